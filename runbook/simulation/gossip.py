"""Gossip as each server holds it: late to notice a death, quick to notice a return (docs/servers/raft.md#gossip).

As long as nothing changes who hears whom, everybody goes on hearing whom they heard: only silence is to be counted.
"""

from __future__ import annotations

from collections.abc import Iterator

from runbook.raft.model import MemberStatus
from runbook.simulation.settings import REGION
from runbook.simulation.state import ClusterState, GossipEntry, SimulatedServer


def tick(state: ClusterState) -> None:
    """One moment of gossip: every running server hears of, or goes on missing, every other."""
    if state.silent is None:
        state.silent = list(_hear_everybody(state))
    for observer, entry in state.silent:
        silence = state.now - entry.heard_at
        if entry.status is MemberStatus.ALIVE and silence >= _failure_delay(state, observer):
            entry.status = MemberStatus.FAILED  # the leader does nothing about it


def links_change(state: ClusterState) -> None:
    """To be called before anything changes who hears whom: whoever was heard until now was heard at this moment."""
    if state.silent is not None:
        for observer in state.servers.values():
            for name, entry in observer.gossip.items():
                if state.gossip_passes(observer, state.servers[name]):
                    entry.heard_at = state.now
    state.silent = None


def next_change_at(state: ClusterState) -> float:
    """When gossip next changes by itself, in seconds of the model's clock: 0 where somebody is to be met now."""
    if state.silent is None:
        return min(_changes(state), default=float("inf"))
    alive = [(observer, entry) for observer, entry in state.silent if entry.status is MemberStatus.ALIVE]
    return min((entry.heard_at + _failure_delay(state, observer) for observer, entry in alive), default=float("inf"))


def serf_name(server_name: str) -> str:
    """A server's name as gossip has it."""
    return f"{server_name}.{REGION}"


def force_leave(state: ClusterState, at: SimulatedServer, member: str) -> None:
    """Mark a failed member as left, for everybody whom ``at`` can hear; an alive one refutes it.

    The name must be the whole gossip name (``s2.global``): anything else is accepted and does nothing.
    """
    for observer in state.servers.values():
        if not state.gossip_passes(at, observer):
            continue
        for name, entry in observer.gossip.items():
            if serf_name(name) == member and entry.status is MemberStatus.FAILED:
                entry.status = MemberStatus.LEFT
                observer.reconcile_at = state.now  # a leave makes the leader reconcile at once


def rejoin(state: ClusterState, server: SimulatedServer) -> None:
    """What a start does: it meets those who are alive, and never hears of a member that died before."""
    server.gossip = {}
    for other in state.servers.values():
        if state.gossip_passes(server, other):
            _hear(state, server, other)
            _hear(state, other, server)


def reset_timers(state: ClusterState, server: SimulatedServer) -> None:
    """A thawed server was the silent one itself, so it starts to count the others' silence anew."""
    for entry in server.gossip.values():
        entry.heard_at = state.now


def _hear_everybody(state: ClusterState) -> Iterator[tuple[SimulatedServer, GossipEntry]]:
    """Let everybody hear whom they can; what is told is who holds an entry of somebody not heard."""
    for observer in state.servers.values():
        if not observer.running:
            continue
        for other in state.servers.values():
            if state.gossip_passes(observer, other):
                _hear(state, observer, other)
            elif other.name in observer.gossip:
                yield observer, observer.gossip[other.name]


def _hear(state: ClusterState, observer: SimulatedServer, other: SimulatedServer) -> None:
    entry = observer.gossip.get(other.name)
    if entry is None or entry.status is not MemberStatus.ALIVE:
        observer.gossip[other.name] = GossipEntry(MemberStatus.ALIVE, other.uuid, state.now)
        observer.reconcile_at = state.now  # a join makes the leader reconcile at once
    else:
        entry.uuid, entry.heard_at = other.uuid, state.now  # a changed tag is no join: reconcile waits for its round


def _changes(state: ClusterState) -> Iterator[float]:
    for observer in state.servers.values():
        if not observer.running:
            continue
        for other in state.servers.values():
            entry = observer.gossip.get(other.name)
            alive = entry is not None and entry.status is MemberStatus.ALIVE
            if state.gossip_passes(observer, other):
                if entry is None or not alive or entry.uuid != other.uuid:
                    yield 0.0
            elif entry is not None and alive:
                yield entry.heard_at + _failure_delay(state, observer)


def _failure_delay(state: ClusterState, observer: SimulatedServer) -> float:
    """Seconds of silence after which this server calls another one failed."""
    return state.settings.gossip_delay * observer.gossip_pace
