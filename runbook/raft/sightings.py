"""What was seen of a peer, in words for a person: an appearance, never a verdict.

A verdict needs the leader's own gossip and several looks; a cluster that has no leader still must be told apart, server
by server, at 3 a.m. So *looks dead* is said here, and nothing that removes ever asks this file.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum

from runbook.raft.findings import count
from runbook.raft.liveness import GONE
from runbook.raft.model import ClusterView, Member, Peer, Reach, Vantage
from runbook.raft.probes import ProbeMeaning, probe_evidence


class Appearance(Enum):
    """How a peer looks from here. Ordered by how much of it was seen."""

    ANSWERS = "answers"  # its own HTTP API says its name
    REPLACED = "was replaced"  # another id answers at its address: this one's data were wiped
    HANGS = "is mute"  # connections open and nobody speaks; a frozen process, or an HTTP API out of our reach
    REFUSES_US = "answers and refuses this token"  # somebody lives there; who, it does not say
    DOWN = "looks down"  # the machine answers that nothing listens: the process is not there
    SILENT = "is silent"  # not one packet: the machine is off, or the network between is cut
    UNTRIED = "was not tried"


@dataclass(frozen=True)
class Sighting:
    """One peer as it looks, with the words it rests on. ``gossip`` counts what answering servers say of it."""

    peer: Peer
    appearance: Appearance
    words: str
    gossip: tuple[tuple[str, int], ...]

    @property
    def answers(self) -> bool:
        return self.appearance is Appearance.ANSWERS

    @property
    def silent(self) -> bool:
        """It may live where this host cannot see it: nothing came back from there."""
        return self.appearance in (Appearance.SILENT, Appearance.UNTRIED)

    @property
    def said_gone(self) -> bool:
        """Every server that answers says failed or left, or does not know it; at least one was asked."""
        return bool(self.gossip) and all(
            word in (*(status.value for status in GONE), "absent") for word, _ in self.gossip
        )

    @property
    def said_alive(self) -> bool:
        """Some say alive, and nobody says it is gone."""
        words = {word for word, _ in self.gossip}
        return "alive" in words and not words & {status.value for status in GONE}

    @property
    def looks_dead(self) -> bool:
        """For a person's eyes: its machine says that nothing listens, and all gossip agrees. Silence may be a cut."""
        return self.said_gone and self.appearance is Appearance.DOWN

    @property
    def gossip_words(self) -> str:
        if not self.gossip:
            return "nobody's gossip could be read"
        servers = count(sum(number for _, number in self.gossip), "server")
        told = ", ".join(f"{number} {word}" for word, number in self.gossip)
        return f"gossip of {servers}: {told if len(self.gossip) > 1 else self.gossip[0][0]}"

    @property
    def evidence(self) -> str:
        """``s3.global looks dead: nothing listens at its port; gossip of 2 servers: failed``."""
        look = "looks dead" if self.looks_dead else self.appearance.value
        return f"{self.peer.label} {look}: {self.words}; {self.gossip_words}"


def sighting_of(view: ClusterView, peer: Peer) -> Sighting:
    """How one peer looks in one view."""
    appearance, words = _appearance(view, peer)
    said = Counter(_word(vantage.member_for(peer)) for vantage in view.answering if vantage.members is not None)
    return Sighting(peer, appearance, words, tuple(sorted(said.items())))


def sightings_of(view: ClusterView) -> tuple[Sighting, ...]:
    """Every peer of the best configuration that is known, in the order in which a person looks for it."""
    seen = view.best_configuration
    peers = sorted(seen.peers, key=lambda peer: (peer.label, peer.id)) if seen else []
    return tuple(sighting_of(view, peer) for peer in peers)


def _word(member: Member | None) -> str:
    return member.status.value if member else "absent"


def _appearance(view: ClusterView, peer: Peer) -> tuple[Appearance, str]:
    own = view.vantage_of(peer)
    if own is not None:
        return Appearance.ANSWERS, f"its own HTTP API answers at {own.url}"
    other = next((v for v in view.answering if v.raft_address == peer.address and v.server_id != peer.id), None)
    if other is not None:
        return Appearance.REPLACED, f"at its address now answers {other.server_id}"
    mute = next((v for v in view.vantages if _mute(v, peer)), None)
    if mute is not None and mute.forbidden:
        return Appearance.REFUSES_US, f"{mute.url} refuses this token"
    return _from_the_port(view, peer, mute)


def _mute(vantage: Vantage, peer: Peer) -> bool:
    """Something listens where this peer's HTTP API is expected, and does not name itself."""
    listens = vantage.reach in (Reach.ACCEPTED, Reach.ANSWERED)
    return vantage.expected_id == peer.id and listens and vantage.server_id is None


def _from_the_port(view: ClusterView, peer: Peer, mute: Vantage | None) -> tuple[Appearance, str]:
    reach, probe = view.probes.get(peer.address), probe_evidence(view, peer)
    if probe.meaning is ProbeMeaning.LISTENS:
        return Appearance.HANGS, "its port accepts connections and its HTTP API does not answer"
    if mute is not None:
        return Appearance.HANGS, f"{mute.url} accepts connections and does not say who it is"
    if probe.meaning is ProbeMeaning.HOST_UP:
        return Appearance.HANGS, "its machine answers and its port does not"
    if probe.meaning is ProbeMeaning.NO_PROCESS:
        return Appearance.DOWN, "nothing listens at its port, and its machine says so"
    if reach is Reach.SILENT:
        return Appearance.SILENT, "not a packet comes back"
    if reach is Reach.UNREACHABLE:
        return Appearance.SILENT, "there is no way to it from here"
    if reach is Reach.REFUSED:
        return Appearance.SILENT, probe.words
    return Appearance.UNTRIED, "its port was not tried"
