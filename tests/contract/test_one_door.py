"""The most ordinary Consul there is: `client_addr` at its default, so that one server's HTTP API can be asked at all.

Real servers, five of them. Only s1 has its API where an address tells; the others' have a port that nobody names, as
good as none. Raft ports are reached, as on one of the servers. The main job works, and nobody alive is advised against.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from runbook.lab.agent_api import get_json
from runbook.lab.agent_layout import AgentLayout
from runbook.lab.agents import AgentLab
from tests.contract.test_full_queue import full_queues, many_handles
from tests.contract.test_recovery import ROOT, VARIABLE, changes_received, execute, followers, labs

__all__ = ["many_handles"]  # a fixture
DOOR = "s1"
ELSEWHERE = 40  # added to the HTTP port of everybody but the door: nobody is told of it
DIAGNOSIS = 60.0  # seconds


class OneDoorLayout(AgentLayout):
    """As usual, but for the HTTP APIs of all servers but one."""

    def address(self, name: str) -> str:
        return f"http://{self.host(name)}:{self.http_port_of(name)}"

    def http_port_of(self, name: str) -> int:
        return self.http_port + (0 if name == DOOR else ELSEWHERE)

    def config(self, name: str, data_dir: Path) -> dict[str, Any]:
        settings = super().config(name, data_dir)
        settings["ports"]["http"] = self.http_port_of(name)
        return settings


@pytest.fixture
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AgentLab]:
    """The door is a follower, as a leader behind another's door is the harder case."""
    kind, servers = request.param
    lab = AgentLab(kind, servers, folder=tmp_path / "lab")
    lab.layout = OneDoorLayout(**asdict(lab.layout))
    with lab:
        if lab.wait_for_leader(60) == DOOR:
            lab.restart(DOOR)
            lab.wait_for_leader(60)
        wait_for_autopilot(lab)
        yield lab


def wait_for_autopilot(lab: AgentLab) -> None:
    """A new leader says nothing of the others for some seconds."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        health = get_json(lab.layout.address(DOOR), "/v1/operator/autopilot/health")
        if health and health["Healthy"]:
            return
        time.sleep(0.5)


def told(lab: AgentLab, state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What the command line says that knows the door, and nothing else."""
    environment = {**os.environ, VARIABLE[lab.layout.kind]: lab.layout.address(DOOR), "RUNBOOK_STATE_DIR": str(state)}
    command = [sys.executable, "-m", "runbook", *words]
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=DIAGNOSIS, check=False
    )


@pytest.mark.parametrize("door", labs(5), indirect=True)
def test_a_healthy_cluster_is_healthy_and_the_dead_are_removed(door: AgentLab, tmp_path: Path) -> None:
    """All alive; the leader dead; then a follower: quorum is proven through the door."""
    lab, state = door, tmp_path / "runs"
    healthy = told(lab, state, "diagnose")
    assert "Healthy" in healthy.stdout, healthy.stdout
    assert "MinorityPartition" not in healthy.stdout, healthy.stdout
    assert told(lab, state, "check").returncode == 0
    outcome = execute(lab, state)
    assert (outcome.code, outcome.asked, changes_received(lab)) == (0, [], []), outcome.text

    leader = lab.wait_for_leader()
    lab.kill(leader)
    outcome = execute(lab, state)
    assert (outcome.code, outcome.asked) == (0, [leader]), outcome.text

    killed = next(name for name in followers(lab) if name != DOOR)
    lab.kill(killed)
    outcome = execute(lab, state)
    assert (outcome.code, outcome.asked) == (0, [killed]), outcome.text


@pytest.mark.parametrize("door", labs(5), indirect=True)
def test_two_dead_go(door: AgentLab, tmp_path: Path) -> None:
    lab = door
    dead = [name for name in followers(lab) if name != DOOR][:2]
    for name in dead:
        lab.kill(name)
    outcome = execute(lab, tmp_path / "runs")
    assert (outcome.code, sorted(outcome.asked)) == (0, sorted(dead)), outcome.text


@pytest.mark.parametrize("door", labs(5), indirect=True)
def test_with_three_dead_nothing_is_asked_for(door: AgentLab, tmp_path: Path) -> None:
    lab = door
    for name in [name for name in followers(lab) if name != DOOR]:
        lab.kill(name)
    outcome = execute(lab, tmp_path / "runs")
    assert (outcome.code, outcome.asked, changes_received(lab)) == (4, [], []), outcome.text


@pytest.mark.usefixtures("many_handles")
@pytest.mark.parametrize("door", labs(5), indirect=True)
def test_a_frozen_server_stays_and_is_named(door: AgentLab, tmp_path: Path) -> None:
    """With room in its listen queue, and with none: no changing request, and exit 3, as it is not decided."""
    lab, state = door, tmp_path / "runs"
    frozen = next(name for name in followers(lab) if name != DOOR)
    lab.freeze(frozen)
    lab.wait_for_gossip(frozen, "failed")
    outcome = execute(lab, state)
    assert (outcome.code, outcome.asked, changes_received(lab)) == (3, [], []), outcome.text
    assert "Undecided" in outcome.text
    with full_queues(lab.layout.host(frozen), [lab.layout.rpc_port, lab.layout.serf_port]):
        outcome = execute(lab, state)
    assert (outcome.code, outcome.asked, changes_received(lab)) == (3, [], []), outcome.text
