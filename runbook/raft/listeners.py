"""Who listens where a peer's API is expected without naming itself: a frozen process, or one that waits for its key."""

from __future__ import annotations

from collections.abc import Sequence

from runbook.raft.model import ClusterView, Peer, Reach, Vantage


def _at_api_of(view: ClusterView, peer: Peer) -> list[Vantage]:
    expected = [vantage for vantage in view.vantages if vantage.expected_id == peer.id and vantage.server_id is None]
    return [vantage for vantage in expected if vantage.reach in (Reach.ACCEPTED, Reach.ANSWERED)]


def unidentified_listener(view: ClusterView, peer: Peer) -> Vantage | None:
    """The address where this peer's HTTP API is expected, if something listens there and does not name itself."""
    return next(iter(_at_api_of(view, peer)), None)


def mute_listener(view: ClusterView, peer: Peer) -> Vantage | None:
    """The same, if it accepts connections there and says nothing at all: a frozen process does so."""
    listener = unidentified_listener(view, peer)
    return listener if listener is not None and listener.reach is Reach.ACCEPTED else None


def speaking_listener(view: ClusterView, peer: Peer) -> Vantage | None:
    """The same, if a process there says why it keeps this host out, as in a TLS handshake: it is not frozen."""
    there = (vantage for vantage in _at_api_of(view, peer) if vantage.reach is Reach.ACCEPTED)
    return next((vantage for vantage in there if vantage.settled_by is not None), None)


def reason_kept_out(view: ClusterView, peer: Peer) -> str | None:
    """What that process says, for a person."""
    speaking = speaking_listener(view, peer)
    return f"a process runs there and keeps this host out: {speaking.trouble}" if speaking else None


def waiting_server(view: ClusterView, peer: Peer) -> Vantage | None:
    """The peer itself, where its process runs and takes part in nothing yet: it is sealed, or has lost its data."""
    return next((vantage for vantage in _at_api_of(view, peer) if vantage.waits_for is not None), None)


def how_to_unseal(view: ClusterView, peers: Sequence[Peer]) -> str:
    """What brings these servers back: said of the first, and of the others that it is the same."""
    first = waiting_server(view, peers[0])
    others = ", ".join(peer.label for peer in peers[1:])
    likewise = f"; likewise {others}, each at its own address" if others else ""
    return f"{first.settled_by if first else ''}{likewise}"
