"""A lost quorum on real servers, where the inventory asks for two people: they sign while the run waits for them."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runbook.lab.agents import AgentLab
from tests.approvers import Signer, allowed_signers, signer
from tests.contract.lost_quorum import lose, read_key, write_key
from tests.contract.test_recover_lost_quorum import hosts_of, typed
from tests.contract.test_recovery import ROOT

NEEDED = os.geteuid() == 0 and shutil.which("ssh-keygen")
pytestmark = pytest.mark.skipif(not NEEDED, reason="needs ssh-keygen, and root to see who has a folder open")


@pytest.fixture
def lab(tmp_path: Path, short_hold: None) -> Iterator[AgentLab]:
    with AgentLab("consul", 3, folder=tmp_path / "lab") as lab:
        lab.wait_for_leader(60)
        yield lab
        AgentLab.load(lab.folder).stop()


def approve(plan: Path, who: Signer) -> subprocess.CompletedProcess[str]:
    """As that person does at a shell of their own."""
    command = [sys.executable, "-m", "runbook", "approve", str(plan), "--key", str(who.key), "--as", who.name, "--yes"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.consul
def test_it_waits_for_two_others_and_goes_on(lab: AgentLab, tmp_path: Path) -> None:
    """One who is in no list and one of two do not move it; then the cluster is whole again, with its data."""
    write_key(lab, "written before the outage")
    dead = lose(lab, 2, wipe=True)
    ann, bob, eve = (signer(tmp_path, f"{name}@example.org") for name in ("ann", "bob", "eve"))
    hosts = {
        name: {**host, "service": {verb: shlex.join(words) for verb, words in host["service"].items()}}
        for name, host in hosts_of(lab, lab.names).items()
    }
    rule = {"by": str(allowed_signers(tmp_path, ann, bob)), "count": 2}
    cluster = {"kind": lab.layout.kind, "addresses": lab.addresses, "hosts": hosts, "approve": rule}
    inventory = json.dumps({"inventory": 1, "clusters": {"practice": cluster}})
    (tmp_path / "clusters.yaml").write_text(inventory, encoding="utf-8")
    told: list[str] = []

    def others() -> None:
        until = time.monotonic() + 90
        while time.monotonic() < until and not (found := waiting(tmp_path)):
            time.sleep(0.1)
        for who in (eve, ann, bob):
            told.append(approve(found[0], who).stdout.strip())
            time.sleep(1.2)

    helper = threading.Thread(target=others)
    helper.start()
    environment = {**os.environ, "TERM": "dumb", "RUNBOOK_STATE_DIR": str(tmp_path / "state"), "HOME": str(tmp_path)}
    choice = ("--cluster", "practice", "--inventory", str(tmp_path / "clusters.yaml"))
    params = ("--param", "confirm_for=1s", "--param", "cooldown=0s", "--param", "approve_within=60s")
    ended = typed(environment, tmp_path, "execute", "recover-lost-quorum", *choice, *params, "--yes")
    helper.join(60)
    assert ended.code == 0, ended.text
    waits = [
        event["reason"] for event in ended.events if event["kind"] == "step.waiting" and "signed" in event["reason"]
    ]
    assert [wait.partition(" people")[0] for wait in waits] == ["0 of 2", "0 of 2", "1 of 2"], waits
    assert "runbook approve" in waits[0]
    assert "is nobody's in" in waits[1]
    signed = {event["who"] for event in ended.events if "SSH key" in str(event.get("how"))}
    assert signed == {ann.name, bob.name}
    assert len([path for path in told if Path(path).is_file()]) == 3
    recovered = AgentLab.load(lab.folder)
    assert recovered.wait_for_leader(60) not in dead
    assert read_key(recovered) == "written before the outage"


def waiting(folder: Path) -> list[Path]:
    """The plan of the run, once the cluster's name was typed."""
    journals = list((folder / "state" / "runs").glob("*/journal.jsonl"))
    if not any("0 of 2 people have signed" in journal.read_text(encoding="utf-8") for journal in journals):
        return []
    return list((folder / "state" / "runs").glob("*/recovery-plan.txt"))
