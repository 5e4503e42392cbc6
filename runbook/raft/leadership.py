"""Does the server that is named leader lead? A frozen one that wakes up says so of itself for a moment."""

from __future__ import annotations

from collections.abc import Sequence

from runbook.raft.model import Configuration, Vantage
from runbook.raft.quorum import quorum


def reason_not_leading(configuration: Configuration, leader_id: str, answering: Sequence[Vantage]) -> str | None:
    """Why the named leader is none, or nothing: it denies it, another leads, or a quorum has moved to a newer term.

    One server with a newer term proves nothing: a server that was cut off or removed counts up alone. One that
    *leads* in the same or a newer term was elected by somebody: views are split, or two clusters are mixed up.
    Nothing is said of a leader that was not met: it may lead, and no peer is called dead without its gossip.
    """
    named = _of(configuration, leader_id, answering)
    if named is None:
        return None
    if named.state not in (None, "Leader"):
        return f"{named.name or named.url} is named leader and calls itself {named.state}"
    term = named.term
    if term is None:
        return None
    voters = {each for peer in configuration.voters for each in (peer.id, peer.address)}
    others = [v for v in answering if v is not named and voters & {v.server_id, v.raft_address}]
    newer = [v for v in others if (v.term or 0) > term]
    if len(newer) >= quorum(len(configuration.voters)):
        latest = max(v.term or 0 for v in newer)
        return (
            f"{named.name or named.url} calls itself leader of term {term}, and {len(newer)} of "
            f"{len(configuration.voters)} voters are in newer terms, up to {latest}"
        )
    rival = next((v for v in others if v.state == "Leader" and (v.term or 0) >= term), None)
    if rival is not None:
        return f"{named.name} (term {term}) and {rival.name} (term {rival.term}) both call themselves leader"
    return None


def _of(configuration: Configuration, leader_id: str, answering: Sequence[Vantage]) -> Vantage | None:
    peer = configuration.peer(leader_id)
    words = {leader_id, peer.address} if peer else {leader_id}
    return next((v for v in answering if words & {v.server_id, v.raft_address}), None)
