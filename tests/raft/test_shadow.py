"""When a dry run may take one look for all that would follow."""

from __future__ import annotations

from dataclasses import replace

from runbook.raft.model import ClusterView
from runbook.raft.shadow import stands_still
from tests.raft.worlds import Kind, view_of

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
