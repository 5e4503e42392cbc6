"""Every small cluster of etcd, as this host may see it: who is removed is dead, and enough of the living are left."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import combinations_with_replacement

import pytest

from runbook.raft.liveness import Liveness, judge, judge_once
from runbook.raft.model import ClusterView
from runbook.raft.quorum import quorum, voters_in_contact
from runbook.raft.removal import Policy, refusal_to_remove
from runbook.raft.stopping import StopProof, may_stop
from tests.cluster.etcd_world import VOTING, EtcdWorld, member

KINDS = "fdzone"
MOST = int(os.environ.get("ETCD_WORLDS", "4")) - 1  # members beside the leader
LOOKS, APART = 26, 15.0  # long enough for a removal that is final, and for a machine that is off
DOORS = {"every API": None, "the leader's API": frozenset({1}), "a follower's API": frozenset({2})}


def looks_at(world: EtcdWorld, door: int) -> list[ClusterView]:
    cluster, views = world.cluster(door), []
    for pause in (*[APART] * LOOKS, 1.0, 0.0):
        views.append(cluster.look())
        world.sleep(pause)
    return views


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("sticky", [False, True], ids=["streams break", "streams to the frozen stay"])
def test_no_removal_of_the_living_or_without_quorum(door: str, sticky: bool, summarize: Callable[[str], None]) -> None:
    worlds = removed = 0
    dead_kinds: set[str] = set()
    for size in range(1, MOST + 1):
        for others in map("".join, combinations_with_replacement(KINDS, size)):
            letters = "l" + others
            if door == "a follower's API" and others[0] != "f":
                continue
            world = EtcdWorld(letters, sticky, DOORS[door])
            views = looks_at(world, 2 if door == "a follower's API" else 1)
            peers = views[-1].configuration.peers if views[-1].configuration else ()
            verdicts = {peer.id: judge(views, peer, confirm_for=300.0) for peer in peers}
            worlds += 1
            for peer in peers:
                kind = letters[int(peer.id, 16) - member(0) - 1]
                if verdicts[peer.id].liveness is Liveness.DEAD:
                    dead_kinds.add(kind)
                if refusal_to_remove(views[-1], verdicts, peer, Policy(min_voters=1)) is None:
                    removed += 1
                    voters = sum(letter in VOTING for letter in letters)
                    assert kind in "do", letters
                    assert sum(letter in "lf" for letter in letters) >= quorum(voters - 1), letters
    assert dead_kinds <= set("do")
    assert "d" in dead_kinds
    assert removed
    summarize(f"worlds of etcd through {door}: {worlds}, let go {removed}, dead are {''.join(sorted(dead_kinds))}")


@pytest.mark.parametrize("sticky", [False, True])
@pytest.mark.parametrize("door", ["every API", "the leader's API"])
def test_nobody_counts_a_frozen_member_and_none_is_stopped_where_quorum_would_go(door: str, sticky: bool) -> None:
    stopped = 0
    for size in range(1, MOST + 1):
        for others in map("".join, combinations_with_replacement("fdzo", size)):
            letters = "l" + others
            views = looks_at(EtcdWorld(letters, sticky, DOORS[door]), 1)
            view = views[-1]
            living = {f"{member(n):x}" for n, letter in enumerate(letters, 1) if letter in "lf"}
            assert voters_in_contact(view) <= living, letters
            for peer in view.configuration.voters if view.configuration else ():
                if isinstance(may_stop(view, peer.id), StopProof):
                    stopped += 1
                    assert len(living - {peer.id}) >= quorum(len(letters)), (letters, peer.label)
                if peer.id in living:
                    assert judge_once(view, peer).liveness is Liveness.ALIVE, (letters, peer.label)
    assert stopped
