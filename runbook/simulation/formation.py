"""A cluster as it was formed, before anything befell it."""

from __future__ import annotations

from dataclasses import replace

from runbook.raft.model import Configuration
from runbook.simulation.cluster import SimulatedCluster
from runbook.simulation.state import LogEntry


def demote(model: SimulatedCluster, names: tuple[str, ...]) -> None:
    """As if these had been non-voters since the cluster was formed; never the leader."""
    ids = {model.server(name).raft_id for name in names if name != model.leader()}
    for server in model.state.servers.values():
        server.log = [_demoted(entry, ids) for entry in server.log]


def _demoted(entry: LogEntry, ids: set[str]) -> LogEntry:
    if entry.configuration is None:
        return entry
    peers = tuple(replace(peer, voter=peer.voter and peer.id not in ids) for peer in entry.configuration.peers)
    return replace(entry, configuration=Configuration(peers))
