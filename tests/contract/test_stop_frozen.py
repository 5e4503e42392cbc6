"""The playbook stop-frozen-server on real servers: one of five hangs, is stopped by name, and is removed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runbook.lab.agents import ADDRESS_VARIABLES, AgentLab
from tests.contract import test_recovery
from tests.contract.test_foretold import ETCD
from tests.contract.test_recovery import QUICK, ROOT, Outcome, followers, labs

lab = test_recovery.lab
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root sees who has a folder open")


def host_of(lab: AgentLab, name: str, data_of: str = "") -> dict[str, Any]:
    """Its service sends SIGTERM, as many do, which a process that is stopped does not see."""
    stop = ["kill", "-TERM", str(lab.processes[name].pid)]
    folder = str(lab.folder / f"{data_of or name}.data")
    return {"local": True, "data_folder": folder, "service": {"stop": stop, "start": ["true"]}}


def stop(lab: AgentLab, folder: Path, server: str, host: dict[str, Any], *more: str) -> Outcome:
    doors = ",".join(row.address for row in lab.status() if row.state == "running")
    environment = {**os.environ, ADDRESS_VARIABLES[lab.layout.kind]: doors, "RUNBOOK_STATE_DIR": str(folder)}
    given = {"server": server, "host": json.dumps(host), "stop_within": "2s", "confirm_final_for": "4s"}
    params = [word for key, value in given.items() for word in ("--param", f"{key}={value}")]
    command = [sys.executable, "-m", "runbook", "execute", "stop-frozen-server", *params, *QUICK, *more]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    newest = max((folder / "runs").iterdir(), key=lambda run: run.stat().st_mtime)
    events = [json.loads(line) for line in (newest / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    return Outcome(done.returncode, done.stdout + done.stderr, events)


@pytest.mark.parametrize("lab", [*labs(5), ETCD], indirect=True)
def test_a_frozen_server_is_stopped_by_name_and_removed(lab: Any, tmp_path: Path) -> None:
    if lab.layout.kind == "etcd":
        told = subprocess.run([lab.layout.binary, "--version"], capture_output=True, text=True, timeout=10, check=True)
        if "etcd Version: 3.4." not in told.stdout:
            pytest.skip("streams to a frozen member stay up there, so it is heard: docs/servers/etcd.md")
    frozen = followers(lab)[0]
    pid = freeze(lab, frozen)
    outcome = stop(lab, tmp_path, frozen, host_of(lab, frozen))
    assert (outcome.code, outcome.asked) == (0, [frozen]), outcome.text
    assert f"by SIGKILL of process {pid}" in " ".join(outcome.text.split())
    assert not Path(f"/proc/{pid}/fd/0").exists()
    assert [row.name for row in lab.status() if row.state == "running"] == [n for n in lab.names if n != frozen]


@pytest.mark.long
@pytest.mark.parametrize("lab", labs(5), indirect=True)
def test_a_dry_run_foretells_the_stop_and_the_removal(lab: Any, tmp_path: Path) -> None:
    frozen = followers(lab)[0]
    freeze(lab, frozen)
    outcome = stop(lab, tmp_path, frozen, host_of(lab, frozen), "--dry-run")
    assert (outcome.code, lab.processes[frozen].frozen) == (0, True), outcome.text
    (end,) = [event for event in outcome.events if event["kind"] == "shadow.ended"]
    assert (len(end["peers"]), end["counts"]["unknown"]) == (4, 0)


@pytest.mark.long
@pytest.mark.parametrize("lab", labs(3), indirect=True)
def test_no_living_server_is_stopped_and_none_by_the_host_of_another(lab: Any, tmp_path: Path) -> None:
    frozen, living = followers(lab)[:2]
    outcome = stop(lab, tmp_path, living, host_of(lab, living))
    assert (outcome.code, lab.processes[living].running) == (3, True), outcome.text
    assert re.search(r"heard in \d+ of \d+ looks over 1\d s", " ".join(outcome.text.split())), outcome.text
    freeze(lab, frozen)
    outcome = stop(lab, tmp_path, frozen, host_of(lab, frozen, data_of=living))
    assert (outcome.code, lab.processes[frozen].frozen) == (3, True), outcome.text
    assert "it is another server's host" in " ".join(outcome.text.split())
    assert [row.name for row in lab.status() if row.state == "running"] == [n for n in lab.names if n != frozen]


def freeze(lab: Any, name: str) -> int:
    lab.freeze(name)
    if lab.layout.kind != "etcd":
        lab.wait_for_gossip(name, "failed")
    return int(lab.processes[name].pid)
