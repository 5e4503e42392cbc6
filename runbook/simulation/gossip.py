"""Gossip as each server holds it: late to notice a death, quick to notice a return (docs/servers/raft.md#gossip)."""

from __future__ import annotations

from runbook.raft.model import MemberStatus
from runbook.simulation.settings import REGION
from runbook.simulation.state import ClusterState, GossipEntry, SimulatedServer


def tick(state: ClusterState) -> None:
    """One moment of gossip: every running server hears of, or goes on missing, every other."""
    for observer in state.servers.values():
        if observer.running:
            for other in state.servers.values():
                _observe(state, observer, other)


def serf_name(server_name: str) -> str:
    return f"{server_name}.{REGION}"


def force_leave(state: ClusterState, at: SimulatedServer, member: str) -> None:
    """Mark a failed member as left, for everybody whom ``at`` can hear; an alive one refutes it.

    The name must be the whole gossip name (``s2.global``): anything else is accepted and does nothing.
    """
    for observer in state.servers.values():
        if not state.gossip_passes(at, observer):
            continue
        for name, seen in observer.gossip.items():
            if serf_name(name) == member and seen.status is MemberStatus.FAILED:
                seen.status = MemberStatus.LEFT
                _request_reconcile(state, observer)


def rejoin(state: ClusterState, server: SimulatedServer) -> None:
    """What a start does: it meets those who are alive, and never hears of a member that died before."""
    server.gossip = {}
    for other in state.servers.values():
        if state.gossip_passes(server, other):
            _observe(state, server, other)
            _observe(state, other, server)


def reset_timers(state: ClusterState, server: SimulatedServer) -> None:
    """A thawed server was the silent one itself, so it starts to count the others' silence anew."""
    for seen in server.gossip.values():
        seen.heard_at = state.now


def _observe(state: ClusterState, observer: SimulatedServer, other: SimulatedServer) -> None:
    seen = observer.gossip.get(other.name)
    if state.gossip_passes(observer, other):
        _hear(state, observer, other, seen)
    elif seen and seen.status is MemberStatus.ALIVE and state.now - seen.heard_at >= failure_delay(state, observer):
        seen.status = MemberStatus.FAILED  # the leader does nothing about it


def _hear(state: ClusterState, observer: SimulatedServer, other: SimulatedServer, seen: GossipEntry | None) -> None:
    if seen is None or seen.status is not MemberStatus.ALIVE:
        observer.gossip[other.name] = GossipEntry(MemberStatus.ALIVE, other.uuid, state.now)
        _request_reconcile(state, observer)
    else:
        seen.uuid, seen.heard_at = other.uuid, state.now  # a changed tag is no join: reconcile waits for its next round


def _request_reconcile(state: ClusterState, observer: SimulatedServer) -> None:
    """A join or a leave makes the leader reconcile at once."""
    observer.reconcile_at = state.now


def failure_delay(state: ClusterState, observer: SimulatedServer) -> float:
    """Seconds of silence after which this server calls another one failed."""
    return state.settings.gossip_delay * observer.gossip_pace
