"""The main job against real servers: one dead server, then its leader, two at once, three at once, and a frozen one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runbook.lab.agents import AgentLab

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK = str(ROOT / "playbooks" / "remove-dead-peers.yaml")
QUICK = ("--param", "confirm_for=2s", "--param", "watch_for=2s", "--param", "cooldown=0s", "--yes")
KINDS = [pytest.param("consul", marks=pytest.mark.consul), pytest.param("nomad", marks=pytest.mark.nomad)]
# Nomad 1.0.18 and 2.0.5: "http: request complete: method=GET path=/v1/...", and "request failed" with an error;
# Consul 1.8.7: "agent.http: Request finished: method=GET url=/v1/...".
REQUEST = re.compile(r"\bmethod=(\w+) (?:path|url)=(\S+)")
VARIABLE = {"consul": "CONSUL_HTTP_ADDR", "etcd": "ETCDCTL_ENDPOINTS", "nomad": "NOMAD_ADDR"}


@dataclass(frozen=True)
class Outcome:
    """How one ``runbook execute`` ended, and what its journal holds."""

    code: int
    text: str
    events: list[dict[str, Any]]

    @property
    def asked(self) -> list[str]:
        return [event["name"].split(".")[0] for event in self.events if event["kind"] == "removal.requested"]


def execute(lab: AgentLab, state: Path, *options: str) -> Outcome:
    """As an operator's shell would, with the address of a server that still runs."""
    address = next(row.address for row in lab.status() if row.state == "running")
    environment = {**os.environ, VARIABLE[lab.layout.kind]: address, "RUNBOOK_STATE_DIR": str(state)}
    command = [sys.executable, "-m", "runbook", "execute", PLAYBOOK, *QUICK, *options]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    newest = max((state / "runs").iterdir(), key=lambda folder: folder.stat().st_mtime)
    events = [json.loads(line) for line in (newest / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    return Outcome(done.returncode, done.stdout + done.stderr, events)


def received(lab: AgentLab) -> list[str]:
    """Every HTTP request that the servers' own logs list, as ``METHOD path``: proof from the other side of the wire."""
    logs = [(lab.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace") for name in lab.names]
    return [" ".join(request) for log in logs for request in REQUEST.findall(log)]


def changes_received(lab: AgentLab) -> list[str]:
    """Those with any method but GET; that reads are listed shows that the logs list requests at all."""
    requests = received(lab)
    assert any(request.startswith("GET /v1/operator/raft/configuration") for request in requests)
    return not_reads(requests)


def not_reads(requests: list[str]) -> list[str]:
    return [request for request in requests if not request.startswith("GET ")]


def followers(lab: AgentLab) -> list[str]:
    leader = lab.wait_for_leader(60)
    return [row.name for row in lab.status() if row.state == "running" and row.name != leader]


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AgentLab]:
    kind, servers = request.param
    with AgentLab(kind, servers, folder=tmp_path / "lab") as lab:
        lab.wait_for_leader(60)
        yield lab


def labs(servers: int) -> list[Any]:
    return [pytest.param((kind.values[0], servers), marks=kind.marks, id=str(kind.values[0])) for kind in KINDS]


@pytest.mark.smoke
@pytest.mark.parametrize("lab", labs(5), indirect=True)
def test_a_frozen_server_stays_and_a_dead_one_goes_and_then_the_dead_leader(lab: AgentLab, tmp_path: Path) -> None:
    """SIGSTOP is never death; kill -9 is, for a follower and for a leader; a second run finds nothing to do (I9)."""
    state = tmp_path / "runs"
    frozen, killed, *_ = followers(lab)
    lab.freeze(frozen)
    outcome = execute(lab, state)
    assert (outcome.code, outcome.asked, changes_received(lab)) == (3, [], []), outcome.text
    lab.thaw(frozen)
    lab.wait_for_gossip(frozen, "alive")

    lab.kill(killed)
    outcome = execute(lab, state)
    assert (outcome.code, outcome.asked) == (0, [killed]), outcome.text
    outcome = execute(lab, state)
    assert (outcome.code, outcome.asked) == (0, []), outcome.text
    assert "nothing to do" in outcome.text

    leader = lab.wait_for_leader()
    lab.kill(leader)
    outcome = execute(lab, state)
    assert (outcome.code, outcome.asked) == (0, [leader]), outcome.text


@pytest.mark.parametrize("lab", labs(5), indirect=True)
def test_two_of_five_go_one_after_the_other(lab: AgentLab, tmp_path: Path) -> None:
    """I6: the second is asked for only after a look that shows the first one gone."""
    dead = followers(lab)[:2]
    for name in dead:
        lab.kill(name)
    outcome = execute(lab, tmp_path / "runs", "--dry-run")
    assert (outcome.code, outcome.asked, changes_received(lab)) == (0, [], []), outcome.text
    outcome = execute(lab, tmp_path / "runs")
    assert (outcome.code, sorted(outcome.asked)) == (0, sorted(dead)), outcome.text
    assert [request.split("=")[0] for request in changes_received(lab)] == ["DELETE /v1/operator/raft/peer?id"] * 2
    kinds = [event["kind"] for event in outcome.events if event["kind"].startswith("removal.")]
    assert kinds == ["removal.requested", "removal.confirmed"] * 2


@pytest.mark.parametrize("lab", labs(5), indirect=True)
def test_three_of_five_dead_is_no_case_for_a_removal(lab: AgentLab, tmp_path: Path) -> None:
    """Sent without quorum, a removal would bar elections: docs/servers/raft.md#a-removal-after-quorum-is-lost."""
    for name in followers(lab)[:3]:
        lab.kill(name)
    told = "quorum is lost: 2 of 5 voters answer and 3 are needed"
    for _ in range(3):  # a busy machine may be late with one of those that live; each time nothing is asked for
        outcome = execute(lab, tmp_path / "runs")
        assert (outcome.code, outcome.asked, changes_received(lab)) == (4, [], []), outcome.text
        if told in outcome.text:
            return
    raise AssertionError(outcome.text)


@pytest.mark.parametrize("lab", labs(3), indirect=True)
def test_three_servers_lose_one_and_a_person_must_say_that_two_are_enough(lab: AgentLab, tmp_path: Path) -> None:
    """The policy's floor refuses with the number; naming the floor lets it pass."""
    dead = followers(lab)[0]
    lab.kill(dead)
    outcome = execute(lab, tmp_path / "runs")
    assert (outcome.code, outcome.asked) == (3, []), outcome.text
    outcome = execute(lab, tmp_path / "runs", "--param", "min_voters=2")
    assert (outcome.code, outcome.asked) == (0, [dead]), outcome.text
