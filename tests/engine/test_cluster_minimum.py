"""The cluster's own minimum of voters where it cannot be read: whole runs of the shipped playbook on a fake cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runbook.engine.plan import bind_plan, stricter
from runbook.events import RunCompleted, RunRefused
from runbook.playbook.params import bind_params
from runbook.playbook.parser import parse_playbook
from runbook.raft.model import AutopilotSettings
from runbook.raft.removal import Policy
from runbook.steps.registry import CATALOG
from tests.engine.fake import PLAYBOOK, UNREAD, FakeClock, FakeCluster, Run

FOUR = AutopilotSettings(cleanup_dead_servers=False, min_quorum=4)


def policy_of(text: bytes) -> Policy:
    playbook = parse_playbook(text, "own.yaml", CATALOG)
    return bind_plan(playbook, "run-1", bind_params(playbook, {})).policy


def run(folder: Path, **cluster: Any) -> Run:
    return Run(FakeCluster(FakeClock(), dead={4, 5}, **cluster), folder)


@pytest.mark.parametrize("dry_run", [False, True])
def test_an_unread_minimum_refuses_and_a_dry_run_foretells_it(tmp_path: Path, dry_run: bool) -> None:
    """I2, I14: by the proof already, so before anything is asked for."""
    unread = run(tmp_path, autopilot=None)
    ending = unread.execute(dry_run=dry_run)
    assert isinstance(ending, RunRefused), ending
    assert (ending.code, ending.step, unread.cluster.changes) == ("MinimumUnread", "quorum", [])
    assert UNREAD in ending.message
    assert "--override cluster-minimum --reason TEXT" in ending.message


def test_a_person_may_set_aside_what_cannot_be_read_and_nothing_else(tmp_path: Path) -> None:
    """The playbook's own floor stands: two of five may go, and the third may not."""
    by_word = run(tmp_path, autopilot=None)
    by_word.overrides = frozenset({"cluster-minimum"})
    assert isinstance(by_word.execute(), RunCompleted)
    assert by_word.cluster.changes == ["id-4", "id-5"]
    floored = run(tmp_path, autopilot=None)
    floored.overrides, floored.params = frozenset({"cluster-minimum"}), {"min_voters": "4"}
    ending = floored.execute()
    assert isinstance(ending, RunRefused), ending
    assert (ending.code, floored.cluster.changes) == ("BelowMinimumVoters", [])


def test_a_minimum_that_can_be_read_is_set_aside_by_nobody(tmp_path: Path) -> None:
    """The override is for what is not known; whoever wants fewer voters lowers MinQuorum on the cluster."""
    known = run(tmp_path, autopilot=FOUR)
    known.overrides = frozenset({"cluster-minimum"})
    ending = known.execute()
    assert isinstance(ending, RunRefused), ending
    assert (ending.code, known.cluster.changes) == ("BelowMinimumVoters", [])
    assert "autopilot's MinQuorum, is 4" in ending.message
    assert "nomad operator autopilot set-config -min-quorum=3" in ending.message
    assert "--param" not in ending.message


@pytest.mark.parametrize("overrides", [frozenset(), frozenset({"cluster-minimum"})], ids=["unread", "set aside"])
def test_what_any_look_of_the_run_has_read_binds_to_its_end(tmp_path: Path, overrides: frozenset[str]) -> None:
    """However many looks ago: those that a verdict needs no more are forgotten, the minimum is not."""
    once = run(tmp_path, autopilot=FOUR)
    once.cluster.at_look = {2: lambda cluster: cluster.settle_on(None)}
    once.overrides, once.params = overrides, {"looks": "20"}
    ending = once.execute()
    assert isinstance(ending, RunRefused), ending
    assert (ending.code, once.cluster.changes) == ("BelowMinimumVoters", [])


def test_a_minimum_that_becomes_readable_is_enough(tmp_path: Path) -> None:
    """One late reply of a slow server ends no run: what was read in it before allows what it allowed then."""
    slow = run(tmp_path)
    slow.cluster.at_look = {4: lambda cluster: cluster.settle_on(None)}
    assert isinstance(slow.execute(), RunCompleted)
    assert slow.cluster.changes == ["id-4", "id-5"]


GUARDS = [
    ("min_voters: ${{ params.least }}", "least"),
    ("min_voters: ${{ params.least + 1 }}", ""),
    ("min_voters: ${{ [1, 3][params.least - 1] }}", ""),
    ("max_changes: ${{ params.least }}", ""),
]


@pytest.mark.parametrize(("guard", "param"), GUARDS, ids=[row[0] for row in GUARDS])
def test_the_param_that_is_the_floor_is_known_by_name(guard: str, param: str) -> None:
    """So that ``--param`` is advised where it helps, and under the name that it has."""
    text = f"""
runbook: 1
name: own
params:
  least: {{ type: int, default: 2, min: 2 }}
guards:
  {guard}
steps:
  - uses: raft.find_dead
"""
    policy = policy_of(text.encode())
    assert (policy.min_voters_param, policy.min_voters_lowest) == (param, 2 if param else 1)


def test_the_floor_of_a_playbook_within_another_is_no_param_of_the_command_line() -> None:
    """Only the outer one's is, and only where it is the one that binds."""
    outer = policy_of(PLAYBOOK.read_bytes())
    assert outer.min_voters_param == "min_voters"
    assert stricter(outer, Policy(min_voters=4)).min_voters_param == ""
    assert stricter(outer, Policy(min_voters=2)).min_voters_param == "min_voters"
