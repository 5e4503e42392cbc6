"""The arithmetic of a quorum, and whether the server that is named leader has one behind it.

Only voters are counted: a non-voter never makes or breaks a quorum.
"""

from __future__ import annotations

from collections.abc import Sequence

from runbook.dataclass import dataclass
from runbook.raft.model import ClusterView, Configuration, Peer, Vantage, same_place
from runbook.raft.opinions import OpinionKind

CONTACT = 5.0  # seconds since a follower heard from its leader: above twice the usual lease, below an election's end
PULSE = 8.0  # seconds: a sign of life that may be older than that counts for nobody's quorum


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
        return f"{named.label} is named leader and calls itself {named.state}"
    term = named.term
    if term is None:
        return None
    voters = {each for peer in configuration.voters for each in (peer.id, peer.address)}
    others = [v for v in answering if v is not named and voters & {v.server_id, v.raft_address}]
    newer = [v for v in others if (v.term or 0) > term]
    if len(newer) >= quorum(len(configuration.voters)):
        latest = max(v.term or 0 for v in newer)
        return (
            f"{named.label} calls itself leader of term {term}, and {len(newer)} of "
            f"{len(configuration.voters)} voters are in newer terms, up to {latest}"
        )
    rival = next((v for v in others if v.state == "Leader" and (v.term or 0) >= term), None)
    if rival is not None:
        return f"{named.name} (term {term}) and {rival.name} (term {rival.term}) both call themselves leader"
    return None


def voters_in_contact(view: ClusterView) -> frozenset[str]:
    """The voters that are seen to follow this leader, and the leader itself. A server may be alive and not among them.

    Either the leader heard from it within ``PULSE`` seconds, or it says so itself: in the leader's term, following it,
    and having heard from it within ``CONTACT`` seconds. What does not fit is not counted.
    """
    leader = view.leader
    if view.configuration is None or leader is None:
        return frozenset()
    return frozenset(peer.id for peer in view.configuration.voters if _is_in_contact(view, leader, peer))


def _is_in_contact(view: ClusterView, leader: Peer, peer: Peer) -> bool:
    opinion = view.opinions.get(leader.id, {}).get(peer.id)
    if opinion is not None and opinion.kind is OpinionKind.HEARD and opinion.follows and opinion.age <= PULSE:
        return True
    own, its_leader = view.vantage_of(peer), view.vantage_of(leader)
    if own is None:
        return False
    if peer == leader:
        return True
    term = its_leader.term if its_leader else view.leader_term
    follows = own.leader_address is None or same_place(own.leader_address, leader.address)
    lately = own.last_contact is not None and own.last_contact < CONTACT
    return own.state == "Follower" and follows and lately and term is not None and own.term == term


def servers_agree(view: ClusterView) -> bool:
    """Whether every server that answers lists the leader's configuration.

    Behind a load balancer nobody is known to hold a list of their own, and the leader's is all there is.
    """
    if view.configuration is None:
        return False
    own = [vantage for vantage in view.answering if vantage.other_id is None]
    fingerprints = {v.configuration.fingerprint for v in own if v.configuration}
    return fingerprints == {view.configuration.fingerprint} or not own
