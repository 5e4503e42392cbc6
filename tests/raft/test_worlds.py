"""Every unordered world of a few servers through the guard, against a second algorithm that only counts.

A server is a voter or not × alive, dead or unknown to this host × what gossip says of it: eighteen kinds, so 33,648
worlds of up to five as multisets, and 480,699 of up to seven, which ``WORLD_SERVERS=7`` asks for, as each night does.
The count is printed at the end of the test run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations_with_replacement, product
from math import comb

import pytest

from runbook.raft.liveness import Verdict
from runbook.raft.model import AutopilotSettings, ClusterView, Configuration
from runbook.raft.opinions import Opinion, OpinionKind
from runbook.raft.removal import Policy, refusal_to_remove
from tests.raft.worlds import Kind, peer, verdicts_of, view_of

MOST = int(os.environ.get("WORLD_SERVERS", "5"))
KINDS = [
    Kind(voter, sight, said)
    for voter, sight, said in product((True, False), ("answers", "refused", "accepts"), ("alive", "failed", "absent"))
]
World = Sequence[Kind]


def is_dead(kind: Kind) -> bool:
    """The verdict by counting signs, for worlds whose leader answers: nothing here, and nothing in gossip."""
    return kind.sight == "refused" and kind.gossip != "alive"


def may_go(world: World, target: int, leader: int | None, floor: int) -> bool:
    """I1, I2 and I3 by counting: the target is dead, not the leader, and a quorum of living voters stays and was."""
    if leader is None or world[leader].sight != "answers":
        return False
    voters = sum(kind.voter for kind in world)
    living = sum(kind.voter and kind.sight == "answers" for kind in world)
    left = voters - world[target].voter
    if target == leader or not is_dead(world[target]) or 2 * living <= voters or 2 * living <= left:
        return False
    return not world[target].voter or left >= max(floor, 1)


def test_every_unordered_world_of_a_few_servers(summarize: Callable[[str], None]) -> None:
    """0 violations: whatever the guard lets go, counting lets go too, and the other way round."""
    verdicts = {(kind, n): judged_beside_a_leader(kind, n) for kind in KINDS for n in range(1, MOST + 1)}
    peers = {(kind, n): peer(n, kind) for kind in KINDS for n in range(1, MOST + 1)}
    worlds = asked = allowed = 0
    for world in every_world():
        worlds += 1
        leader = next((n for n, kind in enumerate(world) if kind.voter and kind.sight == "answers"), None)
        placed = list(zip(world, range(1, MOST + 1), strict=False))
        configuration = Configuration(tuple(peers[place] for place in placed))
        leader_id = None if leader is None else f"id-{leader + 1}"
        heard = {f"id-{place}": HEARD for kind, place in placed if kind.sight == "answers"}
        led = configuration if leader_id else None
        view = ClusterView("x", 30.0, led, leader_id, (), autopilot=NO_MINIMUM, opinions={leader_id or "": heard})
        judged = {f"id-{place[1]}": verdicts[place] for place in placed}
        for target in {kind: n for n, kind in enumerate(world)}.values():  # one of each kind
            asked += 1
            policy = TIGHT if asked % 2 else LOOSE
            safe = refusal_to_remove(view, judged, peers[placed[target]], policy) is None
            allowed += safe
            assert safe == may_go(world, target, leader, policy.min_voters), (world, target, leader, policy)
    assert worlds == comb(len(KINDS) + MOST, MOST) - 1
    assert allowed > worlds // 50
    summarize(f"worlds of up to {MOST} servers: {worlds}, asked {asked} times, let go {allowed}, 0 violations")


HEARD = Opinion(OpinionKind.HEARD, "it answers", follows=True)
NO_MINIMUM = AutopilotSettings(cleanup_dead_servers=False, min_quorum=0)
TIGHT, LOOSE = Policy(min_voters=3), Policy(min_voters=1)


def every_world() -> Iterator[tuple[Kind, ...]]:
    for size in range(1, MOST + 1):
        yield from combinations_with_replacement(KINDS, size)


def judged_beside_a_leader(kind: Kind, number: int) -> Verdict:
    """A verdict rests on the server's own kind and on the leader's gossip; ``test_in_any_order`` shows that it does."""
    world = [Kind()] * (MOST + 1)
    world[number - 1] = kind
    return verdicts_of(view_of(world, leader=MOST + 1))[f"id-{number}"]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_in_any_order_and_led_by_anybody(size: int) -> None:
    """All orders, every server as leader or none, each verdict judged from the whole view: the same answer again."""
    for world in product(KINDS, repeat=size):
        for leader in (None, *(n for n, kind in enumerate(world) if kind.voter)):
            view = view_of(world, leader=None if leader is None else leader + 1)
            judged = verdicts_of(view)
            for target, kind in enumerate(world):
                safe = refusal_to_remove(view, judged, peer(target + 1, kind), LOOSE) is None
                assert safe == may_go(world, target, leader, 1), (world, target, leader)
