"""A playbook's secrets out of a real OpenBao over TLS: sent and never shown, and each reason why one cannot be had."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.stub import reply, stub
from tests.contract.openbao_lab import OpenBaoLab
from tests.contract.secured import policy_of
from tests.contract.test_recovery import ROOT

pytestmark = pytest.mark.bao
VALUES = {"kv1/ssh": "value-of-version-1", "kv2/data/ssh": "value-of-version-2", "team/kv/data/ssh": "value-of-team"}
PLAYBOOK = """
runbook: 1
name: sends-a-secret
secrets: {{ key: "vault:{reference}" }}
steps:
  - uses: http.request
    effect: read
    with:
      url: {url}
      method: POST
      headers: {{ X-Key: "${{{{ secrets.key }}}}" }}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBaoLab]:
    with OpenBaoLab(tmp_path_factory.mktemp("bao") / "lab", servers=1, tls=True) as lab:
        for version in ("1", "2"):
            assert lab.ask("s1", f"sys/mounts/kv{version}", {"type": "kv", "options": {"version": version}})
        assert lab.ask("s1", "sys/namespaces/team", {})
        assert lab.ask("s1", "team/sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
        for path, value in VALUES.items():
            fields = {"password": value, "data": "a field of that name"}
            body: dict[str, Any] = {"data": fields} if "/data/" in path else fields
            lab.until(path, partial(lab.ask, "s1", path, body))
        yield lab


@pytest.fixture(scope="module")
def smallest(lab: OpenBaoLab) -> str:
    """By the policy of the page, pasted."""
    policy = policy_of("vault.md", 1).replace("kv/", "kv2/")
    assert lab.ask("s1", "sys/policies/acl/reads", {"policy": policy})
    made: Any = lab.ask("s1", "auth/token/create", {"policies": ["reads"], "no_default_policy": True, "ttl": "1h"})
    return str(made["auth"]["client_token"])


def test_the_policy_of_the_page_is_enough(lab: OpenBaoLab, smallest: str, tmp_path: Path) -> None:
    code, shown, sent = run(lab, tmp_path, "kv2/data/ssh#password", BAO_TOKEN=smallest)
    assert (code, VALUES["kv2/data/ssh"] in sent) == (0, True), shown
    code, shown, sent = run(lab, tmp_path, "kv1/ssh#password", BAO_TOKEN=smallest)
    assert (code, sent, "403: 1 error occurred: * permission denied. Check the token" in shown) == (
        1,
        "[]",
        True,
    ), shown


def run(lab: OpenBaoLab, folder: Path, reference: str, **variables: str) -> tuple[int, str, str]:
    """Its exit code, all that it said and kept, and what was sent where the secret goes."""
    with stub(lambda *_: reply("{}")) as there:
        (folder / "sends.yaml").write_text(PLAYBOOK.format(reference=reference, url=there.url))
        environment = {
            **os.environ,
            "BAO_ADDR": lab.address("s1"),
            "BAO_TOKEN": lab.token,
            **lab.variables,
            "NOMAD_ADDR": "http://127.0.0.1:1",
            "RUNBOOK_STATE_DIR": str(folder / "state"),
            **variables,
        }
        words = (sys.executable, "-m", "runbook", "execute", str(folder / "sends.yaml"), "--kind", "nomad", "--yes")
        done = subprocess.run(
            words, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
        )
    kept = [file.read_bytes().decode(errors="replace") for file in folder.rglob("*") if file.is_file()]
    return done.returncode, done.stdout + done.stderr + json.dumps(kept), json.dumps(there.heads)


@pytest.mark.parametrize("path", VALUES)
def test_a_secret_of_either_version_is_sent_and_never_shown(lab: OpenBaoLab, tmp_path: Path, path: str) -> None:
    code, shown, sent = run(lab, tmp_path, f"{path}#password")
    assert (code, VALUES[path] in sent, VALUES[path] in shown) == (0, True, False), shown


def test_one_of_a_namespace_is_read_by_its_variable(lab: OpenBaoLab, tmp_path: Path) -> None:
    code, shown, sent = run(lab, tmp_path, "kv/data/ssh#password", BAO_NAMESPACE="team")
    assert (code, "value-of-team" in sent, "value-of-team" in shown) == (0, True, False), shown


@pytest.mark.parametrize(
    ("reference", "variables", "said"),
    [
        ("kv1/ssh#no", {}, "answered without a text named no. Check its name"),
        ("kv1/none#password", {}, "answered 404: there is nothing, or it was deleted"),
        ("kv2/ssh#password", {}, "Write data/ behind its mount, as in vault:kv2/data/ssh"),
        ("none/ssh#password", {}, "answered 404: no handler for route"),
        ("kv1/ssh#password", {"BAO_TOKEN": "s.wrong"}, "answered 403: permission denied. Check the token"),
        ("kv1/ssh#password", {"BAO_NAMESPACE": "nobody"}, "answered 404: namespace not found"),
        ("kv1/ssh#password", {"BAO_CACERT": ""}, "signed by an authority that is not known here"),
        ("kv1/ssh#password", {"BAO_TLS_SERVER_NAME": ""}, "TLS failed: its certificate is not for 127.0."),
        ("kv1/ssh#password", {"BAO_ADDR": "https://127.0.0.1:1"}, "nothing listens there"),
    ],
)
def test_each_reason_why_it_cannot_be_had_is_one_sentence(
    lab: OpenBaoLab, tmp_path: Path, reference: str, variables: dict[str, str], said: str
) -> None:
    code, shown, sent = run(lab, tmp_path, reference, **variables)
    assert (code, said in shown, sent) == (1, True, "[]"), shown
    assert "secret key: " in shown


def test_a_sealed_server_says_so(lab: OpenBaoLab, tmp_path: Path) -> None:
    assert lab.ask("s1", "sys/seal", {}) is not None
    code, shown, sent = run(lab, tmp_path, "kv1/ssh#password")
    lab.unseal("s1")
    assert (code, sent) == (1, "[]"), shown
    assert "answered 503: Vault is sealed. Unseal it, or name another server" in shown
