"""Who may be stopped by name as frozen, and the numbers of every no; and what a dry run sees once it is stopped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbook.raft.frozen import frozen_server
from runbook.raft.liveness import Liveness, judge_once
from runbook.raft.model import Peer, Reach, Vantage
from runbook.raft.shadow import after_stops
from tests.raft.worlds import Kind, view_of

ALIVE, DEAD = Kind(), Kind(sight="refused", gossip="failed")
FROZEN, FULL, OFF = (Kind(sight=sight, gossip="failed") for sight in ("accepts", "full", "off"))
QUIET = Kind(sight="accepts", gossip="alive")
OBSERVER = Kind(voter=False, sight="accepts", gossip="failed")


@pytest.mark.parametrize(
    ("kinds", "name", "expected"),
    [
        ([ALIVE] * 4 + [FROZEN], "s5", "id-5"),
        ([ALIVE] * 4 + [FROZEN], "10.0.0.5:4647", "id-5"),
        ([ALIVE] * 4 + [FULL], "s5", "id-5"),
        ([ALIVE] * 4 + [OFF], "s5", "id-5"),  # its host has the last word
        ([ALIVE] * 4 + [Kind(sight="untried", gossip="failed")], "s5", "id-5"),
        ([ALIVE] * 3 + [FROZEN, FROZEN], "s5", "id-5"),
        ([ALIVE] * 4 + [FROZEN], "s4", "TargetAlive"),
        ([ALIVE] * 4 + [FROZEN], "s1", "TargetIsLeader"),
        ([ALIVE] * 4 + [FROZEN], "s9", "NoSuchServer"),
        ([ALIVE] * 4 + [DEAD], "s5", "NotFrozen"),
        ([ALIVE] * 4 + [QUIET], "s5", "StillHeld"),
        ([ALIVE, ALIVE, FROZEN, FROZEN], "s4", "WouldLoseQuorum"),
        ([ALIVE] * 3 + [OBSERVER], "s4", "NotAVoter"),
    ],
)
def test_only_a_voter_that_nobody_hears_and_nobody_needs(kinds: list[Kind], name: str, expected: str) -> None:
    found = frozen_server(view_of(kinds), name)
    assert (found.id if isinstance(found, Peer) else found.code) == expected


def test_no_leader_and_no_opinion_of_his_is_a_no() -> None:
    kinds = [ALIVE] * 4 + [FROZEN]
    for view, code in ((view_of(kinds, leader=None), "NoLeader"), (replace(view_of(kinds), opinions={}), "StillHeld")):
        found = frozen_server(view, "s5")
        assert not isinstance(found, Peer)
        assert found.code == code


def test_who_waits_for_its_key_is_no_frozen_server() -> None:
    sealed = Vantage("http://10.0.0.5:4646", Reach.ANSWERED, expected_id="id-5", waits_for="its key")
    view = view_of([ALIVE] * 4 + [FROZEN])
    found = frozen_server(replace(view, vantages=(*view.vantages, sealed)), "s5")
    assert not isinstance(found, Peer)
    assert "http://10.0.0.5:4646 answers and waits for its key" in found.sentence


def test_once_it_has_stopped_it_is_dead() -> None:
    """So a dry run foretells its removal."""
    mute = Vantage("http://10.0.0.5:4646", Reach.ACCEPTED, expected_id="id-5")
    view = view_of([ALIVE] * 4 + [FROZEN])
    view = replace(view, vantages=(*view.vantages, mute))
    peer = view.configuration.peer("id-5") if view.configuration else None
    assert peer is not None
    assert judge_once(view, peer).liveness is Liveness.UNKNOWN
    assert judge_once(after_stops(view, {"id-5"}), peer).liveness is Liveness.DEAD
