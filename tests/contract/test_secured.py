"""Mutual TLS and access control, as production has them: the job with the smallest policy of the page, pasted; and what
each bad credential is called.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from runbook.lab.agent_layout import AgentLayout
from runbook.lab.agents import AgentLab
from tests.contract.test_recovery import PLAYBOOK, QUICK, ROOT, Outcome, followers

pytestmark = pytest.mark.consul
PAGE = ROOT / "docs" / "servers" / "consul.md"
MANAGEMENT = "11111111-1111-1111-1111-111111111111"
UNKNOWN = "99999999-9999-9999-9999-999999999999"
LEAF = """\
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {0}.key -out {0}.csr -subj /CN={0}
printf 'subjectAltName={2}\\nextendedKeyUsage=serverAuth,clientAuth\\n' > {0}.ext
openssl x509 -req -in {0}.csr -CA {1}.pem -CAkey {1}.key -CAcreateserial -out {0}.pem -days 2 -extfile {0}.ext
"""
AUTHORITY = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {0}.key -out {0}.pem -subj /CN={0}\n"
)


class SecuredLayout(AgentLayout):
    """HTTPS for clients with a certificate, beside the plain API that the lab itself asks."""

    def config(self, name: str, data_dir: Path) -> dict[str, Any]:
        config, folder = super().config(name, data_dir), data_dir.parent
        config["ports"] = {**config["ports"], "https": self.http_port + 1}
        tokens = {"master": MANAGEMENT, "agent": MANAGEMENT}
        files = {key: str(folder / file) for key, file in TLS_FILES.items()}
        acl = {"acl": {"enabled": True, "default_policy": "deny", "tokens": tokens}}
        return {**config, **files, **acl, "verify_incoming": True, "verify_outgoing": True}


TLS_FILES = {"ca_file": "ca.pem", "cert_file": "server.pem", "key_file": "server.key"}


def make_certificates(folder: Path, hosts: list[str]) -> None:
    """Of the servers, of a client, and of somebody whom another authority has signed."""
    folder.mkdir()
    places = ",".join(f"IP:{host}" for host in hosts)
    script = AUTHORITY.format("ca") + AUTHORITY.format("other") + LEAF.format("server", "ca", places)
    script += LEAF.format("client", "ca", "DNS:client") + LEAF.format("stranger", "other", "DNS:client")
    subprocess.run(["sh", "-euc", script], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[AgentLab]:
    lab = AgentLab("consul", 5, folder=tmp_path / "lab")
    lab.layout = SecuredLayout(**asdict(lab.layout))
    make_certificates(tmp_path / "lab", lab.layout.hosts)
    with lab:
        lab.wait_for_leader(60)
        yield lab


def variables(lab: AgentLab, token: str = MANAGEMENT, **more: str) -> dict[str, str]:
    """As an operator sets them; the first server that runs is the one that is known."""
    running = next(row.name for row in lab.status() if row.state == "running")
    return {
        **os.environ,
        "CONSUL_HTTP_ADDR": f"https://{lab.layout.host(running)}:{lab.layout.http_port + 1}",
        "CONSUL_CACERT": str(lab.folder / "ca.pem"),
        "CONSUL_CLIENT_CERT": str(lab.folder / "client.pem"),
        "CONSUL_CLIENT_KEY": str(lab.folder / "client.key"),
        "CONSUL_HTTP_TOKEN": token,
        **more,
    }


def token_with(lab: AgentLab, rules: str) -> str:
    """Made by the management token, over HTTPS."""

    def put(path: str, body: dict[str, Any]) -> dict[str, Any]:
        known = variables(lab)
        command = [
            *("curl", "--silent", "--fail", "--request", "PUT", "--data", json.dumps(body)),
            *("--cacert", known["CONSUL_CACERT"], "--cert", known["CONSUL_CLIENT_CERT"]),
            *("--key", known["CONSUL_CLIENT_KEY"], "--header", f"X-Consul-Token: {MANAGEMENT}"),
        ]
        until = time.monotonic() + 60
        while True:  # a cluster that was just formed refuses it while its access control begins
            done = subprocess.run(
                [*command, known["CONSUL_HTTP_ADDR"] + path], capture_output=True, timeout=30, check=False
            )
            if done.returncode == 0:
                return dict(json.loads(done.stdout))
            assert time.monotonic() < until, f"PUT {path} ended with {done.returncode}"
            time.sleep(0.5)

    policy = put("/v1/acl/policy", {"Name": f"p{abs(hash(rules))}", "Rules": rules})
    return str(put("/v1/acl/token", {"Policies": [{"ID": policy["ID"]}]})["SecretID"])


def smallest_policy() -> str:
    (policy,) = re.findall(r"```hcl\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return str(policy)


def runbook(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "runbook", *words]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)


def execute(lab: AgentLab, state: Path, token: str, *options: str) -> Outcome:
    done = runbook(variables(lab, token, RUNBOOK_STATE_DIR=str(state)), "execute", PLAYBOOK, *QUICK, *options)
    newest = max((state / "runs").iterdir(), key=lambda folder: folder.stat().st_mtime)
    events = [json.loads(line) for line in (newest / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    return Outcome(done.returncode, done.stdout + done.stderr, events)


def test_the_smallest_policy_of_the_page_is_enough_and_one_that_only_reads_is_told_at_once(
    lab: AgentLab, tmp_path: Path
) -> None:
    """The dead one is removed; and without the right for that, the run and its dry run end before anything waits."""
    small, reads = smallest_policy(), token_with(lab, smallest_policy().replace('"write"', '"read"', 1))
    killed = followers(lab)[0]
    lab.kill(killed)
    for options in ((), ("--dry-run",)):
        outcome = execute(lab, tmp_path / "reads", reads, *options)
        assert (outcome.code, outcome.asked) == (3, []), outcome.text
        assert "this token has no operator:write, which a removal needs" in outcome.text
        assert not any(
            event["kind"] == "verdict.criteria" for event in outcome.events
        ), "before the dead are looked for"
    checked = runbook(variables(lab, reads), "check")
    assert checked.returncode in (0, 1), checked.stdout

    outcome = execute(lab, tmp_path / "removes", token_with(lab, small))
    assert (outcome.code, outcome.asked) == (0, [killed]), outcome.text
    assert "no state snapshot" in outcome.text, "which needs a management token"


BAD = [
    ({"CONSUL_CLIENT_CERT": "", "CONSUL_CLIENT_KEY": ""}, "it wants a client certificate"),
    ({"CONSUL_CACERT": "other.pem"}, "signed by an authority that is not known here"),
    ({"CONSUL_CLIENT_CERT": "stranger.pem", "CONSUL_CLIENT_KEY": "stranger.key"}, "turns"),
    ({"CONSUL_TLS_SERVER_NAME": "consul.example.org"}, "its certificate is not for consul.example.org, but for 127.0."),
    ({"CONSUL_HTTP_TOKEN": UNKNOWN}, "ACL not found"),
    ({"CONSUL_HTTP_TOKEN": ""}, "Permission denied"),
]


def test_each_bad_credential_has_its_sentence(lab: AgentLab) -> None:
    """Nothing else is in the way, as the last one shows."""
    for changed, said in BAD:
        there = {
            key: str(lab.folder / word) if word.endswith((".pem", ".key")) else word for key, word in changed.items()
        }
        checked = runbook(
            variables(lab, **there) if "CONSUL_HTTP_TOKEN" not in there else {**variables(lab), **there}, "check"
        )
        assert (checked.returncode, said in checked.stdout) == (3, True), f"{changed}: {checked.stdout}"
    plain = variables(lab)["CONSUL_HTTP_ADDR"].replace(str(lab.layout.http_port + 1), str(lab.layout.http_port))
    checked = runbook(variables(lab, CONSUL_HTTP_ADDR=plain), "check")
    assert (checked.returncode, "it speaks plain HTTP" in checked.stdout) == (3, True), checked.stdout
    assert runbook(variables(lab), "check").returncode == 0
