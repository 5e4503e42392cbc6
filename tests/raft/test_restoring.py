"""When a cluster's state may be replaced, and the numbers of every no."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbook.raft.restoring import KeptSnapshot, agrees, last_index, refusal_of_product, refusal_to_restore
from tests.raft.worlds import Kind, view_of

ALIVE, DEAD, FROZEN = Kind(), Kind(sight="refused", gossip="failed"), Kind(sight="accepts", gossip="failed")
KEPT = KeptSnapshot(1000, "ab" * 32, 1, 40, 2, "2026-11-26T02:30:00+00:00", ("id-1", "id-2", "id-9"))


@pytest.mark.parametrize(
    ("kinds", "kept", "expected"),
    [
        ([ALIVE] * 3, KEPT, ""),
        ([ALIVE] * 3, replace(KEPT, servers=("10.0.0.2:4647",)), ""),
        ([ALIVE] * 3, replace(KEPT, servers=("id-7", "id-8")), "none of its 2 servers is in this one"),
        ([ALIVE] * 3, replace(KEPT, servers=()), "none of its 0 servers is in this one"),
        ([ALIVE] * 4 + [DEAD], KEPT, "4 of 5 voters are alive and in contact with the leader"),
        ([ALIVE] * 4 + [FROZEN], KEPT, "4 of 5 voters are alive and in contact with the leader"),
        ([ALIVE] * 3 + [Kind(voter=False, sight="refused", gossip="failed")], KEPT, ""),
    ],
)
def test_every_voter_must_be_there_and_the_snapshot_of_this_cluster(
    kinds: list[Kind], kept: KeptSnapshot, expected: str
) -> None:
    reason = refusal_to_restore(view_of(kinds), kept)
    assert (reason is None) == (expected == "")
    assert expected in str(reason or "")


def test_without_a_leader_nothing_is_restored() -> None:
    reason = refusal_to_restore(view_of([ALIVE] * 3, leader=None), KEPT)
    assert reason is not None
    assert reason.code == "NoLeader"


def test_a_voter_that_is_behind_does_not_agree() -> None:
    """The log never falls: each server has the new state once its log ends later than any did before."""
    view = view_of([ALIVE] * 3)
    ends = {"id-1": 51, "id-2": 51, "id-3": 50}
    view = replace(view, vantages=tuple(replace(v, last_log_index=ends.get(v.server_id or "")) for v in view.vantages))
    assert last_index(view) == 51
    assert (agrees(view, KEPT, 49), agrees(view, KEPT, 50), agrees(view, KEPT, None)) == (True, False, True)


@pytest.mark.parametrize("kind", ["consul", "nomad", "openbao", "vault"])
def test_these_are_restored_while_they_run_and_etcd_is_not(kind: str) -> None:
    assert refusal_of_product(f"{kind}:x") is None
    assert "etcdutl snapshot restore" in str(refusal_of_product("etcd:x"))
