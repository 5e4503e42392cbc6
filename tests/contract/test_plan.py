"""A plan on real servers: refused where one more has died since it was made, and else done to the letter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runbook.lab.agents import AgentLab
from tests.contract import test_etcd, test_recovery
from tests.contract.test_recovery import PLAYBOOK, QUICK, ROOT, VARIABLE, changes_received, followers, labs

PARAMS = (*QUICK[:-1], *test_etcd.QUICK)  # nobody agrees to a plan
ETCD = pytest.param(("etcd", 5), marks=pytest.mark.etcd, id="etcd")
lab = test_recovery.lab


def runbook(lab: AgentLab, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    address = next(row.address for row in lab.status() if row.state == "running")
    environment = {**os.environ, VARIABLE[lab.layout.kind]: address, "RUNBOOK_STATE_DIR": str(folder / "state")}
    command = [sys.executable, "-m", "runbook", *words]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def asked(folder: Path) -> list[str]:
    """By the newest run, in its order."""
    newest = max((folder / "state" / "runs").iterdir())
    events = [json.loads(line) for line in (newest / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    return [event["peer"] for event in events if event["kind"] == "removal.requested"]


@pytest.mark.long
@pytest.mark.parametrize("lab", [*labs(5), ETCD], indirect=True)
def test_one_more_dies_and_it_is_refused_and_else_its_requests_leave_in_their_order(
    lab: AgentLab, tmp_path: Path
) -> None:
    """The servers' own logs show that nothing else was asked for."""
    changes = test_etcd.changes_received if lab.layout.kind == "etcd" else changes_received
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    dead, other, *_ = followers(lab)
    lab.kill(dead)
    lab.wait_for_gossip(dead, "failed")
    made = runbook(lab, tmp_path, "plan", PLAYBOOK, *PARAMS, "-o", str(first))
    assert made.returncode == 0, made.stdout + made.stderr
    lab.kill(other)
    lab.wait_for_gossip(other, "failed")
    refused = runbook(lab, tmp_path, "execute", "--plan", str(first), "--yes")
    assert (refused.returncode, changes(lab)) == (3, []), refused.stdout + refused.stderr
    assert " REFUSED at step plan: since the plan was made (" in refused.stdout
    shown = other if lab.layout.kind == "etcd" else lab.layout.gossip_name(other)
    assert f"{shown} was alive and it is dead now: " in refused.stdout, refused.stdout
    made = runbook(lab, tmp_path, "plan", PLAYBOOK, *PARAMS, "-o", str(second))
    assert made.returncode == 0, made.stdout + made.stderr
    done = runbook(lab, tmp_path, "execute", "--plan", str(second), "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    planned = [request["peer"] for request in json.loads(second.read_text(encoding="utf-8"))["requests"]]
    assert len(planned) == 2
    print(refused.stdout, done.stdout, sep="\n")
    assert asked(tmp_path) == planned
    assert len(changes(lab)) == 2
    again = runbook(lab, tmp_path, "execute", "--plan", str(second), "--yes")
    assert (again.returncode, "was executed before, by" in again.stderr) == (3, True)
