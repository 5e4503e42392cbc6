"""Whose address is whose: a server does not say which one it is, so this is put together from what the others say.

In this order: what an inventory says, what the server itself publishes among those who echo, and where its machine is:
the API of every server at the same port of the host that Raft knows. Nobody is called dead by any of these; they only
say who may live.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from runbook.cluster.vantages import at_its_address
from runbook.cluster.vault.interview import VaultWords
from runbook.raft.model import Configuration, Peer, Vantage, same_place


def peer_at(place: str | None, configuration: Configuration | None) -> Peer | None:
    """The peer with this Raft address."""
    peers = configuration.peers if configuration else ()
    return next((peer for peer in peers if place and same_place(peer.address, place)), None)


def peer_on_host_of(url: str, configuration: Configuration | None) -> Peer | None:
    """The peer whose Raft address has the host of this address of an API, if it is one alone."""
    host = urlsplit(url).hostname
    there = [p for p in (configuration.peers if configuration else ()) if _host(p) == host]
    return there[0] if len(there) == 1 else None


def addresses_like(url: str, configuration: Configuration | None) -> Iterator[tuple[str, str]]:
    """Where the APIs of the other peers are if they are as this one is, on a host of its own; and the peers' ids."""
    if peer_on_host_of(url, configuration) is None or configuration is None:
        return
    parts = urlsplit(url)
    hosts = [_host(peer) for peer in configuration.peers]
    port = f":{parts.port}" if parts.port else ""
    for peer in configuration.peers:
        if hosts.count(_host(peer)) == 1 and _host(peer) != parts.hostname:
            host = peer.address.rpartition(":")[0]
            yield f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}", peer.id


def _host(peer: Peer) -> str:
    return peer.address.rpartition(":")[0].strip("[]").lower()


def expected_at(
    url: str, servers: Mapping[str, str], published: Mapping[str, str], configuration: Configuration | None
) -> str | None:
    """The id of the peer whose API this address is said to be."""
    if url in servers:
        return servers[url]
    peer = peer_at(published.get(url), configuration) or peer_on_host_of(url, configuration)
    return peer.id if peer else None


def with_names(
    said: Iterable[VaultWords],
    expected: Mapping[str, str | None],
    published: Mapping[str, str],
    leading: Configuration | None,
    servers: Mapping[str, str],
) -> list[Vantage]:
    """What each server said, under the name of the peer that it is; who waits for its key has no name of its own.

    ``leading`` is the configuration of the active server: whom it does not list was removed, and goes on answering.
    """
    named = []
    for words in said:
        vantage = replace(words.vantage, expected_id=expected.get(words.vantage.url))
        if vantage.waits_for is None and vantage.state is not None:
            vantage = _as_server(vantage, words, leading or vantage.configuration, published.get(vantage.url))
            if leading is not None and vantage.server_id and leading.peer(vantage.server_id) is None:
                vantage = _as_removed(vantage, vantage.server_id)
        named.append(at_its_address(vantage, servers))
    return named


def _as_server(vantage: Vantage, words: VaultWords, held: Configuration | None, place: str | None) -> Vantage:
    itself = peer_at(words.leads_at, held)
    server_id = words.own_id or (itself.id if itself else vantage.expected_id) or place
    peer = held.peer(server_id or "") if held else None
    return replace(vantage, server_id=server_id, name=server_id, raft_address=peer.address if peer else place)


def _as_removed(vantage: Vantage, server_id: str) -> Vantage:
    words = f"{vantage.url}: {server_id} answers there as a standby, and the configuration does not list it"
    return replace(vantage, state="Removed", server_id=None, configuration=None, trouble=words)
