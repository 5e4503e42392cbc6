"""When a new server may join, and the numbers of every no."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbook.raft.joining import JoinProof, may_join
from runbook.raft.model import ClusterView
from runbook.raft.removal import Refusal
from tests.raft.worlds import Kind, view_of

ALIVE, DEAD = Kind(), Kind(sight="refused", gossip="failed")
FROZEN = Kind(sight="accepts", gossip="failed")
OBSERVER = Kind(voter=False)


def answer(view: ClusterView) -> str:
    """``yes`` with the quorum once one more votes, or the code of the refusal."""
    made = may_join(view)
    return f"yes {made.needed}" if isinstance(made, JoinProof) else made.code


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([ALIVE], "yes 2"),
        ([ALIVE] * 2, "yes 2"),
        ([ALIVE] * 3, "yes 3"),
        ([ALIVE] * 4, "yes 3"),
        ([ALIVE, ALIVE, DEAD], "NotAllAlive"),
        ([ALIVE, ALIVE, FROZEN], "NotAllAlive"),
        ([ALIVE] * 4 + [DEAD], "NotAllAlive"),
        ([ALIVE, ALIVE, OBSERVER], "yes 2"),
        ([ALIVE, ALIVE, replace(DEAD, voter=False)], "yes 2"),
    ],
)
def test_every_voter_must_live(kinds: list[Kind], expected: str) -> None:
    assert answer(view_of(kinds)) == expected


def test_the_refusal_has_its_numbers_and_names_who_is_away() -> None:
    made = may_join(view_of([ALIVE] * 4 + [DEAD]))
    assert isinstance(made, Refusal)
    assert "4 of 5 voters are alive" in made.sentence
    assert "with one more 4 must agree" in made.sentence
    assert "s5" in made.next_action


def test_a_voter_that_lost_the_leader_is_not_counted() -> None:
    view = view_of([ALIVE] * 3)
    late = tuple(replace(v, last_contact=9.0) if v.server_id == "id-3" else v for v in view.vantages)
    assert answer(replace(view, vantages=late)) == "NotAllAlive"


def test_without_a_leader_nobody_is_added() -> None:
    assert answer(view_of([ALIVE] * 3, leader=None)) == "NoLeader"
