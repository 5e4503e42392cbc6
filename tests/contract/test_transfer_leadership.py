"""The leadership of real servers moves to whom it is to, and to nobody where the release cannot or the proof fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from runbook.lab.agent_api import get_json
from runbook.lab.agents import AgentLab
from tests.contract.openbao_lab import OpenBaoLab
from tests.contract.test_etcd import OneDoorLayout
from tests.contract.test_openbao import smallest_token
from tests.contract.test_recovery import ROOT, VARIABLE, Outcome, changes_received

NOMAD_SINCE = (1, 7)


def transfer(folder: Path, variables: dict[str, str], *words: str) -> Outcome:
    """What an operator types, with these variables set."""
    environment = {**os.environ, **variables, "RUNBOOK_STATE_DIR": str(folder)}
    command = [sys.executable, "-m", "runbook", "execute", "transfer-leadership", "--yes", *words]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    newest = max((folder / "runs").iterdir(), key=lambda run: run.stat().st_mtime)
    events = [json.loads(line) for line in (newest / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    return Outcome(done.returncode, done.stdout + done.stderr, events)


def result_of(outcome: Outcome) -> dict[str, Any]:
    (ended,) = [event["output"] for event in outcome.events if event["kind"] == "step.completed"]
    return {key: str(value).split(".")[0] for key, value in ended.items()}


def refusal_of(outcome: Outcome) -> str:
    return str(outcome.events[-1].get("code"))


def asked_of(lab: AgentLab, *names: str) -> dict[str, str]:
    """Where these servers are, as their own command line reads it."""
    return {VARIABLE[lab.layout.kind]: ",".join(lab.layout.address(name) for name in names or lab.names)}


def is_too_old(lab: AgentLab) -> bool:
    told: Any = get_json(lab.addresses[0], "/v1/agent/self")
    build = str(told["member"]["Tags"]["build"]) if lab.layout.kind == "nomad" else "0"
    return tuple(int(part) for part in build.split(".")[:2]) < NOMAD_SINCE


def skip_where_it_cannot(lab: AgentLab) -> None:
    if lab.layout.kind == "nomad" and is_too_old(lab):
        pytest.skip("this Nomad cannot")


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AgentLab]:
    with AgentLab(request.param, 3, folder=tmp_path / "lab") as lab:
        lab.wait_for_leader(60)
        yield lab


MOVES = [pytest.param("etcd", marks=pytest.mark.etcd), pytest.param("nomad", marks=pytest.mark.nomad)]


@pytest.mark.parametrize("lab", MOVES, indirect=True)
def test_the_leadership_moves_to_whom_it_is_to(lab: AgentLab, tmp_path: Path) -> None:
    """Foretold, and then done; a second time there is nothing to do (I9)."""
    skip_where_it_cannot(lab)
    state, door, before = tmp_path / "runs", asked_of(lab), lab.wait_for_leader()
    others = [name for name in lab.names if name != before]
    foretold = transfer(state, door, "--param", f"to={others[1]}", "--dry-run")
    assert (foretold.code, lab.leader()) == (0, before), foretold.text
    moved = transfer(state, door, "--param", f"to={others[1]}")
    assert (moved.code, lab.wait_for_leader()) == (0, others[1]), moved.text
    assert result_of(moved) == result_of(foretold) == {"leader": others[1], "before": before, "changed": "True"}
    again = transfer(state, door, "--param", f"to={others[1]}")
    assert (again.code, result_of(again)["changed"], lab.leader()) == (0, "False", others[1]), again.text
    assert not [event for event in again.events if event["kind"].startswith("change.")]


@pytest.mark.parametrize("lab", MOVES, indirect=True)
def test_where_nobody_is_named_the_first_leads_and_a_dead_server_never(lab: AgentLab, tmp_path: Path) -> None:
    skip_where_it_cannot(lab)
    state, door, before = tmp_path / "runs", asked_of(lab), lab.wait_for_leader()
    anybody = transfer(state, door)
    assert (anybody.code, result_of(anybody)["before"]) == (0, before), anybody.text
    now = lab.wait_for_leader()
    assert now == result_of(anybody)["leader"] == min(name for name in lab.names if name != before)
    dead = next(name for name in lab.names if name != now)
    lab.kill(dead)
    refused = transfer(state, door, "--param", f"to={dead}")
    assert (refused.code, lab.leader()) == (3, now), refused.text
    assert refusal_of(refused) in ("TargetDead", "TargetUnknown"), "by how fast its product notices"


@pytest.mark.nomad
@pytest.mark.parametrize("lab", ["nomad"], indirect=True)
def test_nomad_before_1_7_is_refused_and_asked_nothing(lab: AgentLab, tmp_path: Path) -> None:
    if not is_too_old(lab):
        pytest.skip("this Nomad can")
    refused = transfer(tmp_path / "runs", asked_of(lab))
    assert (refused.code, refusal_of(refused), changes_received(lab)) == (3, "CannotTransfer", []), refused.text


@pytest.mark.nomad
@pytest.mark.parametrize("lab", ["nomad"], indirect=True)
def test_one_door_at_a_follower_is_enough_on_nomad(lab: AgentLab, tmp_path: Path) -> None:
    skip_where_it_cannot(lab)
    before = lab.wait_for_leader()
    first, second = (name for name in lab.names if name != before)
    moved = transfer(tmp_path / "runs", asked_of(lab, first), "--param", f"to={second}")
    assert (moved.code, lab.wait_for_leader()) == (0, second), moved.text


@pytest.mark.consul
@pytest.mark.parametrize("lab", ["consul"], indirect=True)
def test_consul_before_1_15_is_refused_and_asked_nothing(lab: AgentLab, tmp_path: Path) -> None:
    leader = lab.wait_for_leader()
    for more in ((), ("--dry-run",)):
        refused = transfer(tmp_path / "runs", asked_of(lab), *more)
        assert (refused.code, refusal_of(refused), lab.leader()) == (3, "CannotTransfer", leader), refused.text
        assert f"safe-to-stop --param server={leader}" in " ".join(refused.text.split())
    assert changes_received(lab) == []


@pytest.mark.etcd
def test_etcd_behind_the_door_of_a_follower_is_refused_with_where_to_ask(tmp_path: Path) -> None:
    """Only the leader takes it, and its client port is published for its own host alone."""
    lab = AgentLab("etcd", 3, folder=tmp_path / "lab")
    lab.layout = OneDoorLayout(**asdict(lab.layout))
    with lab:
        leader = lab.wait_for_leader(60)
        follower = next(name for name in lab.names if name != leader)
        refused = transfer(tmp_path / "runs", asked_of(lab, follower))
        assert (refused.code, refusal_of(refused), lab.leader()) == (3, "LeaderOutOfReach", leader), refused.text
        moved = transfer(tmp_path / "runs", asked_of(lab, leader))
        assert (moved.code, result_of(moved)["before"]) == (0, leader), moved.text
        assert lab.wait_for_leader() == result_of(moved)["leader"]


@pytest.mark.bao
def test_openbao_elects_whom_it_will(tmp_path: Path) -> None:
    """By a token that may no more than the page says. Whom it will elect is not foretold, and cannot be chosen."""
    with OpenBaoLab(tmp_path / "lab", 3) as lab:
        before = lab.wait_for_leader()
        follower = lab.followers()[0]
        state, door = tmp_path / "state", {"BAO_ADDR": lab.api(follower), "BAO_TOKEN": smallest_token(lab)}
        refused = transfer(state, door, "--param", f"to={follower}")
        assert (refused.code, refusal_of(refused), lab.leader()) == (3, "CannotChooseLeader", before), refused.text
        foretold = transfer(state, door, "--dry-run")
        assert (foretold.code, lab.leader()) == (0, before), foretold.text
        assert result_of(foretold) == {"leader": "(known after apply)", "before": before, "changed": "True"}
        moved = transfer(state, door)
        assert moved.code == 0, moved.text
        assert result_of(moved) == {"leader": lab.wait_for_leader(), "before": before, "changed": "True"}
        assert lab.leader() != before
