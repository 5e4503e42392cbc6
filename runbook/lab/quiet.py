"""When the simulated cluster next does something of its own accord, so that the time until then need not be played."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.lab.consensus import LEASE
from runbook.lab.gossip import patience
from runbook.lab.world import Server, World
from runbook.raft.model import MemberStatus

NOW = 0.0


def next_moment(world: World) -> float:
    """Seconds of the model's clock; until then each moment would leave the world as it is. Early is never wrong."""
    leaders = [server for server in world.servers.values() if server.running and server.leads]
    if len(leaders) > 1 or (leaders and not _settled(world, leaders[0])):
        return NOW
    raft = _of_a_leader(world, leaders[0]) if leaders else _of_candidates(world, set())
    return min((*raft, *_of_gossip(world)), default=float("inf"))


def _settled(world: World, leader: Server) -> bool:
    """Whether everybody in its reach has all that it has, and it waits for nothing."""
    return not leader.changing and all(
        (other.leader, other.last, other.committed, other.term)
        == (leader.address, leader.last, leader.committed, leader.term)
        for other in _followers(world, leader)
    )


def _followers(world: World, leader: Server) -> list[Server]:
    listed = {peer.address for peer in leader.peers}
    others = world.servers.values()
    return [other for other in others if other is not leader and other.address in listed and world.hear(leader, other)]


def _of_a_leader(world: World, leader: Server) -> Iterator[float]:
    yield from (leader.health_at, leader.reconcile_at, leader.autopilot_at)
    followers = _followers(world, leader)
    voters = {peer.address for peer in leader.peers if peer.voter}
    if sum(each.address in voters for each in (leader, *followers)) < len(voters) // 2 + 1:
        yield leader.heard_at + LEASE
    yield from _of_candidates(world, {leader.name, *(follower.name for follower in followers)})


def _of_candidates(world: World, content: set[str]) -> Iterator[float]:
    for server in world.servers.values():
        if server.running and server.name not in content:
            yield server.campaign_at


def _of_gossip(world: World) -> Iterator[float]:
    for observer in world.servers.values():
        if not observer.running:
            continue
        for other in world.servers.values():
            seen = observer.gossip.get(other.name)
            alive = seen is not None and seen.status is MemberStatus.ALIVE
            if world.gossips(observer, other):
                if seen is None or not alive or seen.uuid != other.uuid:
                    yield NOW
            elif seen is not None and alive:
                yield seen.heard_at + patience(world, observer)
