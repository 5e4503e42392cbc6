"""On real servers: who is not yet failed in gossip is not removed, and who was removed and starts again is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runbook.lab.agent_api import get_json
from runbook.lab.agents import AgentLab
from tests.contract.test_recovery import (
    PLAYBOOK,
    QUICK,
    ROOT,
    VARIABLE,
    changes_received,
    execute,
    followers,
    labs,
    not_reads,
    received,
)

CONSUL_ALIVE = 1
SHORT = 60.0  # seconds a finding may take to show; a rejoining server is a non-voter for at least ten


@pytest.fixture
def five(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AgentLab]:
    kind, servers = request.param
    with AgentLab(kind, servers, folder=tmp_path / "lab") as lab:
        lab.wait_for_leader(60)
        yield lab


def environment(lab: AgentLab, state: Path) -> dict[str, str]:
    address = next(row.address for row in lab.status() if row.state == "running")
    return {**os.environ, VARIABLE[lab.layout.kind]: address, "RUNBOOK_STATE_DIR": str(state)}


def diagnosed(lab: AgentLab, state: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "runbook", "diagnose", "--format", "json"]
    done = subprocess.run(
        command, env=environment(lab, state), cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def names(told: dict[str, Any]) -> set[str]:
    return {finding["name"] for finding in told["findings"]}


def alive_in_gossip(lab: AgentLab, name: str) -> bool:
    """As the leader's own gossip has it."""
    leader = lab.leader()
    answer = get_json(lab.layout.address(leader), "/v1/agent/members") if leader else None
    members = answer["Members"] if isinstance(answer, dict) else answer or []
    return any(m["Name"] == lab.layout.gossip_name(name) and m["Status"] in (CONSUL_ALIVE, "alive") for m in members)


@pytest.mark.parametrize("five", labs(5), indirect=True)
def test_who_is_alive_in_gossip_is_not_removed_and_who_comes_back_is_a_zombie(five: AgentLab, tmp_path: Path) -> None:
    """No request leaves while gossip says alive; who starts again after it is added as a non-voter."""
    lab, state = five, tmp_path / "runs"
    killed = followers(lab)[0]
    lab.kill(killed)
    assert alive_in_gossip(lab, killed)
    command = [sys.executable, "-m", "runbook", "execute", PLAYBOOK, *QUICK, "--quiet"]
    with subprocess.Popen(command, env=environment(lab, state), cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        looked = 0
        while running.poll() is None:
            sent = len(not_reads(received(lab)))
            if alive_in_gossip(lab, killed):  # still, after the count was taken
                looked += 1
                assert sent == 0
            time.sleep(0.05)
        assert running.stdout is not None
        assert running.returncode == 0, running.stdout.read()
    assert looked > 10
    assert len(changes_received(lab)) == 1

    lab.restart(killed)
    until = time.monotonic() + SHORT
    told = diagnosed(lab, state)
    while "ZombiePeer" not in names(told) and time.monotonic() < until:
        told = diagnosed(lab, state)
    zombie = next(finding for finding in told["findings"] if finding["name"] == "ZombiePeer")
    assert zombie["certainty"] == "certain"
    assert [server["name"].split(".")[0] for server in zombie["servers"]] == [killed]
    while names(told) != {"Healthy"} and time.monotonic() < until:  # until it is a voter again, for everybody
        time.sleep(1)
        told = diagnosed(lab, state)
    assert names(told) == {"Healthy"}
    outcome = execute(lab, state, "--override", "cooldown", "--reason", "the test")
    assert (outcome.code, outcome.asked) == (0, []), outcome.text
