"""Which server may be stopped for a while, and the numbers of every no."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbook.raft.model import ClusterView
from runbook.raft.removal import Refusal
from runbook.raft.stopping import StopProof, may_stop
from tests.raft.worlds import Kind, view_of

ALIVE, DEAD = Kind(), Kind(sight="refused", gossip="failed")
FROZEN = Kind(sight="accepts", gossip="failed")
OBSERVER = Kind(voter=False)


def answer(view: ClusterView, name: str, spare: int = 0) -> str:
    """``yes`` with the tolerance that is left, or the code of the refusal."""
    made = may_stop(view, name, spare=spare)
    return f"yes {made.tolerance}" if isinstance(made, StopProof) else made.code


@pytest.mark.parametrize(
    ("kinds", "name", "spare", "expected"),
    [
        ([ALIVE] * 3, "s2", 0, "yes 0"),
        ([ALIVE] * 3, "s1.global", 0, "yes 0"),
        ([ALIVE] * 3, "id-3", 0, "yes 0"),
        ([ALIVE] * 3, "10.0.0.3:4647", 0, "yes 0"),
        ([ALIVE] * 3, "s2", 1, "WouldLoseQuorum"),
        ([ALIVE] * 5, "s2", 1, "yes 1"),
        ([ALIVE] * 5, "s2", 2, "WouldLoseQuorum"),
        ([ALIVE, ALIVE, DEAD], "s2", 0, "WouldLoseQuorum"),
        ([ALIVE, ALIVE, FROZEN], "s2", 0, "WouldLoseQuorum"),
        ([ALIVE, ALIVE, DEAD], "s3", 0, "yes 0"),
        ([ALIVE, ALIVE, ALIVE, DEAD], "s2", 0, "WouldLoseQuorum"),
        ([ALIVE] * 4 + [DEAD], "s2", 0, "yes 0"),
        ([ALIVE, ALIVE, ALIVE, OBSERVER], "s4", 0, "yes 1"),
        ([ALIVE, ALIVE, DEAD, OBSERVER], "s4", 0, "yes 0"),
        ([ALIVE, ALIVE, DEAD, OBSERVER], "s2", 0, "WouldLoseQuorum"),
        ([ALIVE], "s1", 0, "WouldLoseQuorum"),
        ([ALIVE] * 3, "s9", 0, "NoSuchServer"),
    ],
)
def test_the_others_must_keep_the_quorum(kinds: list[Kind], name: str, spare: int, expected: str) -> None:
    assert answer(view_of(kinds), name, spare) == expected


def test_a_voter_that_lost_the_leader_is_not_counted() -> None:
    """It runs and answers, and an entry that needs it would wait."""
    view = view_of([ALIVE] * 3)
    assert answer(view, "s2") == "yes 0"
    late = tuple(replace(v, last_contact=9.0) if v.server_id == "id-3" else v for v in view.vantages)
    assert answer(replace(view, vantages=late), "s2") == "WouldLoseQuorum"


def test_without_a_leader_nothing_is_stopped() -> None:
    assert answer(view_of([ALIVE] * 3, leader=None), "s2") == "NoLeader"


def test_a_refusal_has_its_numbers_and_says_who_must_be_back_first() -> None:
    made = may_stop(view_of([ALIVE, ALIVE, DEAD]), "s2")
    assert isinstance(made, Refusal)
    assert str(made) == (
        "without s2.global, 1 of 3 voters are alive and in contact with the leader, and 2 are needed. "
        "Stop nothing before s3.global is back; runbook diagnose says how each server is"
    )
    spare = may_stop(view_of([ALIVE] * 3), "s2", spare=1)
    assert isinstance(spare, Refusal)
    assert "and 2, with 1 to spare, are needed. Add a voter first" in str(spare)
