"""A cluster as it was formed, before anything befell it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from runbook.raft.model import Configuration, Peer
from runbook.simulation.cluster import SimulatedCluster
from runbook.simulation.state import LogEntry, SimulatedServer


def demote(model: SimulatedCluster, names: tuple[str, ...]) -> None:
    """As if these had been non-voters since the cluster was formed; never the leader."""
    ids = {model.server(name).raft_id for name in names if name != model.leader()}
    _form(model, lambda peers: tuple(replace(peer, voter=peer.voter and peer.id not in ids) for peer in peers))


def leave_out(model: SimulatedCluster, names: tuple[str, ...]) -> None:
    """As if these had never been started: they have no data, and nobody knows of them; never the leader."""
    ids = {model.server(name).raft_id for name in names}
    _form(model, lambda peers: tuple(peer for peer in peers if peer.id not in ids))
    for name in names:
        model.kill(name)
        server = model.server(name)
        server.log, server.committed, server.term, server.gossip = [], 0, 0, {}
        for other in model.state.servers.values():
            other.gossip.pop(name, None)
            other.health = tuple(row for row in other.health if row.id not in ids) if other.health else other.health


def recover(server: SimulatedServer, configuration: Configuration) -> None:
    """As Raft's own recovery does before a start: all of its log is applied, committed or not, and becomes a snapshot
    with this configuration (docs/servers/raft.md#recovery-by-peersjson).
    """
    first, *others = (replace(entry, configuration=None) for entry in server.log)
    server.log = [replace(first, configuration=configuration), *others]
    server.committed = len(server.log)


def _form(model: SimulatedCluster, peers: Callable[[tuple[Peer, ...]], tuple[Peer, ...]]) -> None:
    for server in model.state.servers.values():
        server.log = [_formed(entry, peers) for entry in server.log]


def _formed(entry: LogEntry, peers: Callable[[tuple[Peer, ...]], tuple[Peer, ...]]) -> LogEntry:
    if entry.configuration is None:
        return entry
    return replace(entry, configuration=Configuration(peers(entry.configuration.peers)))
