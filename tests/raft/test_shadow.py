"""When a dry run may take one look for all that would follow, and what of it moves with the leadership."""

from __future__ import annotations

from dataclasses import replace

from runbook.raft.liveness import Liveness, judge_once
from runbook.raft.model import ClusterView
from runbook.raft.opinions import Opinion, OpinionKind
from runbook.raft.plan_basis import leader_term
from runbook.raft.quorum import voters_in_contact
from runbook.raft.shadow import after_transfer, stands_still
from tests.raft.worlds import Kind, peer, view_of

DEAD = Kind(sight="refused", gossip="failed")


def out_of_contact(view: ClusterView, *servers: str) -> ClusterView:
    late = tuple(replace(v, last_contact=9.0) if v.server_id in servers else v for v in view.vantages)
    return replace(view, vantages=late)


def test_a_cluster_with_a_leader_its_quorum_and_no_doubt_stands_still() -> None:
    assert stands_still(view_of([Kind(), Kind(), Kind()]))
    assert stands_still(view_of([Kind(), Kind(), DEAD]))
    assert not stands_still(view_of([Kind(), Kind(), Kind(sight="accepts")]))
    assert not stands_still(view_of([Kind(), Kind(), DEAD], leader=None))


def test_a_leader_whose_quorum_is_late_in_one_look_does_not_stand_still() -> None:
    """The next look may show it again, so nothing is foretold from this one."""
    assert stands_still(out_of_contact(view_of([Kind(), Kind(), Kind()]), "id-3"))
    assert not stands_still(out_of_contact(view_of([Kind(), Kind(), Kind()]), "id-2", "id-3"))
    assert not stands_still(out_of_contact(view_of([Kind(), Kind(), DEAD]), "id-2"))


def test_after_a_transfer_everybody_follows_the_new_leader() -> None:
    """In a term of its own; whom the old leader heard from, the new one hears from."""
    view = view_of([Kind(), Kind(), DEAD])
    moved = after_transfer(view, "id-2")
    assert (moved.leader_id, leader_term(moved), leader_term(view)) == ("id-2", 8, 7)
    assert {v.server_id: v.state for v in moved.vantages} == {"id-1": "Follower", "id-2": "Leader"}
    assert stands_still(moved)
    assert voters_in_contact(moved) == {"id-1", "id-2"}
    assert judge_once(moved, peer(3, DEAD)).liveness is Liveness.DEAD
    back = after_transfer(moved, "id-1")
    assert (back.leader_id, leader_term(back)) == ("id-1", 9)


def test_through_one_door_too_the_new_leader_has_its_quorum() -> None:
    """There nobody but the leader tells who follows it."""
    view = view_of([Kind(), Kind(sight="accepts"), Kind(sight="accepts")])
    pulse = {f"id-{n}": Opinion(OpinionKind.HEARD, "pulse", "pulse", 1.0, follows=True) for n in (1, 2, 3)}
    view = replace(view, opinions={**view.opinions, "id-1": pulse})
    assert voters_in_contact(after_transfer(view, "id-2")) == {"id-1", "id-2", "id-3"}


def test_nobody_moves_where_there_is_no_leader_or_no_such_peer() -> None:
    view = view_of([Kind(), Kind(), Kind()])
    assert after_transfer(view, "id-9") is view
    assert after_transfer(view, "id-1") is view
    alone = view_of([Kind(), Kind(), Kind()], leader=None)
    assert after_transfer(alone, "id-2") is alone
