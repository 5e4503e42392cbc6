"""Who shows a sign of trouble though nothing is proven: never who only cannot be asked from here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbook.raft.model import Reach, Vantage
from runbook.raft.verdicts import LONGER, undecided_voters
from tests.raft.worlds import Kind, view_of

OFF = "One of two words would settle it"
FROZEN = "Look at it on its host"


@pytest.mark.parametrize(
    ("sight", "gossip", "settled_by"),
    [
        ("answers", "alive", None),
        ("answers", "failed", None),
        ("accepts", "alive", None),
        ("refused", "alive", None),
        ("silent", "alive", None),
        ("untried", "alive", None),
        ("accepts", "failed", FROZEN),
        ("full", "failed", FROZEN),
        ("silent", "failed", OFF),
        ("untried", "left", OFF),
        ("refused", "failed", LONGER),
        ("refused", "absent", LONGER),
        ("accepts", "absent", FROZEN),
    ],
)
def test_gossip_against_it_is_a_sign_and_silence_alone_is_none(sight: str, gossip: str, settled_by: str | None) -> None:
    view = view_of([Kind(), Kind(), Kind(sight=sight, gossip=gossip)])
    found = undecided_voters(view)
    assert bool(found) is bool(settled_by)
    assert all(voter.settled_by.startswith(str(settled_by)) for voter in found)


def test_who_listens_and_says_nothing_is_one() -> None:
    """Gossip takes 40 s to notice that a process is frozen."""
    view = view_of([Kind(), Kind(), Kind(sight="accepts")])
    mute = Vantage("http://10.0.0.3:4646", Reach.ACCEPTED, expected_id="id-3")
    assert undecided_voters(replace(view, vantages=(*view.vantages, mute)))


def test_non_voters_and_clusters_without_a_leader_have_none() -> None:
    """Without a leader nobody knows who votes, and the run says that."""
    assert not undecided_voters(view_of([Kind(), Kind(), Kind(sight="accepts", gossip="failed", voter=False)]))
    assert not undecided_voters(view_of([Kind(), Kind(sight="accepts", gossip="failed")], leader=None))


@pytest.mark.parametrize(("sight", "told"), [("refused", True), ("silent", True), ("full", True), ("accepts", False)])
def test_who_does_not_listen_is_told_where_nobodys_opinion_can_be_had(sight: str, told: bool) -> None:
    """As behind a load balancer on Raft protocol 2: *nothing to do* is more than anybody knows."""
    view = replace(view_of([Kind(), Kind(), Kind(sight=sight)]), opinions={})
    found = [each.name for each in undecided_voters(view)]
    assert found == (["s3.global"] if told else [])
