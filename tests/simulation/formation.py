"""A cluster as it was formed, before anything befell it."""

from __future__ import annotations

from dataclasses import replace

from runbook.lab.model import Model
from runbook.lab.world import Entry
from runbook.raft.model import Configuration


def demote(model: Model, names: tuple[str, ...]) -> None:
    """As if these had been non-voters since the cluster was formed; never the leader."""
    ids = {model.server(name).raft_id for name in names if name != model.leader()}
    for server in model.world.servers.values():
        server.log = [_demoted(entry, ids) for entry in server.log]


def _demoted(entry: Entry, ids: set[str]) -> Entry:
    if entry.configuration is None:
        return entry
    peers = tuple(replace(peer, voter=peer.voter and peer.id not in ids) for peer in entry.configuration.peers)
    return replace(entry, configuration=Configuration(peers))
