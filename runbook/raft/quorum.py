"""The arithmetic of a quorum, and whether the server that is named leader has one behind it.

Only voters are counted: a non-voter never makes or breaks a quorum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runbook.raft.model import Configuration, Vantage


def quorum(voters: int) -> int:
    """How many voters must agree: floor(voters/2)+1. The *number*, not the group."""
    return voters // 2 + 1


def failure_tolerance(voters: int, live: int) -> int:
    """How many more live voters may die before quorum is lost; never below 0, as autopilot counts it."""
    return max(0, live - quorum(voters))


@dataclass(frozen=True)
class VoterCounts:
    """How many voters one look found in the configuration, and how many of them are alive."""

    voters: int
    live_voters: int

    @property
    def margin(self) -> int:
        """By how many the living are more than quorum; below 0 where it is lost."""
        return self.live_voters - quorum(self.voters)

    @property
    def tolerance(self) -> int:
        return failure_tolerance(self.voters, self.live_voters)


def reason_not_leading(configuration: Configuration, leader_id: str, answering: Sequence[Vantage]) -> str | None:
    """Why the server that is named leader does not lead: it denies it, another leads, or a quorum is in newer terms.

    A frozen leader that wakes up calls itself leader for a moment.
    One server with a newer term proves nothing: a server that was cut off or removed counts up alone. One that
    *leads* in the same or a newer term was elected by somebody: views are split, or two clusters are mixed up.
    Nothing is said of a leader that was not met: it may lead, and no peer is called dead without its gossip.
    """
    peer = configuration.peer(leader_id)
    identities = {leader_id, peer.address} if peer else {leader_id}
    named = next((v for v in answering if identities & {v.server_id, v.raft_address}), None)
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
