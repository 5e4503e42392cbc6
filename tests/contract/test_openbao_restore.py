"""The playbook restore-snapshot on real OpenBao, with a token that may do no more than the page says is needed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import ROOT
from tests.contract import test_openbao
from tests.contract.openbao_lab import OpenBaoLab
from tests.contract.test_openbao import command
from tests.contract.test_recover_lost_quorum import Ended, typed

pytestmark = pytest.mark.bao
lab = test_openbao.lab
RESTORE = 'path "sys/storage/raft/snapshot" { capabilities = ["read", "update"] }'


def token_of(lab: OpenBaoLab) -> str:
    """By the page's policies but that for a removal, with update on the snapshot."""
    _, _, rest = (ROOT / "docs" / "servers" / "vault.md").read_text(encoding="utf-8").partition("```hcl\n")
    policy = rest.partition("# snapshot")[0] + RESTORE
    assert lab.ask(lab.wait_for_leader(), "sys/policies/acl/restores", {"policy": policy})
    made: Any = lab.ask(lab.wait_for_leader(), "auth/token/create", {"policies": ["restores"], "ttl": "1h"})
    return str(made["auth"]["client_token"])


def write(lab: OpenBaoLab, value: str) -> None:
    assert lab.ask(lab.wait_for_leader(), "sys/policies/acl/value", {"policy": f"# {value}"})


def read(lab: OpenBaoLab) -> str:
    told: Any = lab.ask(lab.wait_for_leader(), "sys/policies/acl/value")
    return str(told["data"]["policy"]).removeprefix("# ")


def restore(lab: OpenBaoLab, folder: Path, path: Path, token: str) -> Ended:
    environment = {**os.environ, "BAO_ADDR": lab.api(lab.running[0]), "BAO_TOKEN": token, "TERM": "dumb"}
    environment["RUNBOOK_STATE_DIR"] = str(folder / "state")
    words = ("execute", "restore-snapshot", "--param", f"path={path}", "--param", "cooldown=0s", "--yes")
    return typed(environment, folder, *words)


@pytest.mark.parametrize("lab", [{"servers": 3}], indirect=True)
def test_the_old_value_is_back_and_of_another_cluster_nothing_is_taken(lab: OpenBaoLab, tmp_path: Path) -> None:
    write(lab, "old")
    token = token_of(lab)
    (tmp_path / "kept").mkdir()
    done = command(lab, tmp_path, "execute", "take-snapshot", "--param", f"folder={tmp_path / 'kept'}", token=token)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (tmp_path / "kept").iterdir()
    write(lab, "new")
    ended = restore(lab, tmp_path, path, token)
    assert ended.code == 0, ended.text
    assert read(lab) == "old"
    assert lab.voters() == lab.names

    write(lab, "new")
    with OpenBaoLab(tmp_path / "other", servers=3, octet=lab.octet + 1) as other:
        (tmp_path / "foreign").mkdir()
        ended = restore(other, tmp_path / "foreign", path, other.token)
        assert ended.code == 1, ended.text
        assert "answered 400" in ended.text
        assert other.voters() == other.names
