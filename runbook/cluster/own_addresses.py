"""Addresses that are said to be one server's own, by its name or its id: who answers there says who it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from runbook.raft.model import Vantage


def expected_ids(servers: Mapping[str, str], vantages: Iterable[Vantage]) -> dict[str, str]:
    """By address the id of the server whose own it is said to be; a name is looked up in all that the servers said."""
    ids: dict[str, str] = {}
    for vantage in vantages:
        peers = vantage.configuration.peers if vantage.configuration else ()
        ids |= {peer.name: peer.id for peer in peers if peer.name and peer.name not in ids}
        ids |= {member.name: member.id for member in vantage.members or () if member.id}
        ids |= {vantage.name: vantage.server_id} if vantage.name and vantage.server_id else {}
    return {url: ids.get(server, server) for url, server in servers.items()}


def at_its_address(vantage: Vantage, servers: Mapping[str, str]) -> Vantage:
    """What it said, and that it is another server than the one whose own this address is said to be."""
    if vantage.url not in servers or vantage.server_id in (None, vantage.expected_id):
        return vantage
    name = vantage.name or vantage.server_id
    other = f"{vantage.url} is given as the address of {servers[vantage.url]}, but {name} answers there"
    return replace(vantage, trouble=f"{vantage.trouble}; {other}" if vantage.trouble else other)
