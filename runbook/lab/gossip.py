"""Gossip as each server holds it: late to notice a death, quick to notice a return (docs/servers/raft.md#gossip)."""

from __future__ import annotations

from runbook.lab.settings import REGION
from runbook.lab.world import Seen, Server, World
from runbook.raft.model import MemberStatus


def listen(world: World) -> None:
    """One moment of gossip: every running server hears of, or goes on missing, every other."""
    for observer in world.servers.values():
        if observer.running:
            for other in world.servers.values():
                _observe(world, observer, other)


def serf_name(server_name: str) -> str:
    return f"{server_name}.{REGION}"


def force_leave(world: World, at: Server, member: str) -> None:
    """Mark a failed member as left, for everybody whom ``at`` can hear; an alive one refutes it.

    The name must be the whole gossip name (``s2.global``): anything else is accepted and does nothing.
    """
    for observer in world.servers.values():
        if not world.gossips(at, observer):
            continue
        for name, seen in observer.gossip.items():
            if serf_name(name) == member and seen.status is MemberStatus.FAILED:
                seen.status = MemberStatus.LEFT
                _tell_the_leader(world, observer)


def forget_everybody(world: World, server: Server) -> None:
    """What a start does: it meets those who are alive, and never hears of a member that died before."""
    server.gossip = {}
    for other in world.servers.values():
        if world.gossips(server, other):
            _observe(world, server, other)
            _observe(world, other, server)


def excuse_silence(world: World, server: Server) -> None:
    """A thawed server was the silent one itself, so it starts to count the others' silence anew."""
    for seen in server.gossip.values():
        seen.heard_at = world.now


def _observe(world: World, observer: Server, other: Server) -> None:
    seen = observer.gossip.get(other.name)
    if world.gossips(observer, other):
        _hear(world, observer, other, seen)
    elif seen and seen.status is MemberStatus.ALIVE and world.now - seen.heard_at >= patience(world, observer):
        seen.status = MemberStatus.FAILED  # the leader does nothing about it


def _hear(world: World, observer: Server, other: Server, seen: Seen | None) -> None:
    if seen is None or seen.status is not MemberStatus.ALIVE:
        observer.gossip[other.name] = Seen(MemberStatus.ALIVE, other.uuid, world.now)
        _tell_the_leader(world, observer)
    else:
        seen.uuid, seen.heard_at = other.uuid, world.now  # a changed tag is no join: reconcile waits for its next round


def _tell_the_leader(world: World, observer: Server) -> None:
    """A join or a leave makes the leader reconcile at once."""
    observer.reconcile_at = world.now


def patience(world: World, observer: Server) -> float:
    """Seconds of silence after which this server calls another one failed."""
    return world.settings.gossip_delay * observer.gossip_pace
