"""What one look shows of a peer, in words for a person: an appearance, never a verdict.

A verdict needs the leader's own gossip and several looks; a cluster that has no leader still must be told apart, server
by server, at 3 a.m. So *looks dead* is said here, and nothing that removes ever asks this file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import Enum

from runbook.dataclass import dataclass
from runbook.raft.diagnosis.findings import format_count
from runbook.raft.listeners import reason_kept_out, unidentified_listener, waiting_server
from runbook.raft.liveness import is_only_out_of_sight, words_of_life
from runbook.raft.model import ClusterView, Peer, Reach, Vantage
from runbook.raft.opinions import Opinion, OpinionKind
from runbook.raft.probes import ProbeMeaning, probe_evidence


class Appearance(Enum):
    """How a peer looks from this host. Ordered by how much of it was seen."""

    ANSWERS = "answers"  # its own HTTP API says its name
    HEARD = "is alive"  # a server that can be believed heard from it
    OUT_OF_SIGHT = "cannot be asked from here"  # nobody misses it, and nobody could be asked
    REPLACED = "was replaced"  # another id answers at its address: this one's data were wiped
    WAITS = "runs and takes part in nothing"  # sealed, or without its data
    HANGS = "does not answer"  # connections open and get no reply: a frozen process, or an HTTP API out of our reach
    REFUSES_US = "answers and refuses this token"  # a server runs there; which one, it does not say
    DOWN = "looks down"  # the machine answers that nothing listens: the process is not there
    SILENT = "cannot be reached"  # no packet comes back: the machine is off, or the network between is cut
    UNTRIED = "was not probed"


@dataclass(frozen=True)
class PeerObservation:
    """One peer as it looks, with the words it rests on. ``opinions`` are what the other servers hold of it, by id."""

    peer: Peer
    appearance: Appearance
    words: str
    opinions: Mapping[str, Opinion]

    @property
    def answers(self) -> bool:
        return self.appearance is Appearance.ANSWERS

    @property
    def alive(self) -> bool:
        return self.appearance in (Appearance.ANSWERS, Appearance.HEARD)

    @property
    def silent(self) -> bool:
        """It may run where this host cannot reach it: nothing came back from there."""
        return self.appearance in (Appearance.SILENT, Appearance.UNTRIED)

    @property
    def all_say_gone(self) -> bool:
        """Every server whose opinion was read says failed or left, or does not know it; at least one was asked."""
        return bool(self.opinions) and all(opinion.says_gone for opinion in self.opinions.values())

    @property
    def nobody_misses_it(self) -> bool:
        """Some have nothing against it, and none says that it is gone."""
        held = self.opinions.values()
        return any(o.kind is OpinionKind.PRESENT for o in held) and not any(o.kind is OpinionKind.GONE for o in held)

    @property
    def left_or_unknown(self) -> bool:
        """It left on purpose, or nobody knows it: gone for days, or the others were started after it had gone."""
        held = self.opinions.values()
        return bool(held) and all(opinion.kind is OpinionKind.ABSENT or opinion.left for opinion in held)

    @property
    def is_unknown_to_all(self) -> bool:
        held = self.opinions.values()
        return bool(held) and all(opinion.kind is OpinionKind.ABSENT for opinion in held)

    @property
    def looks_dead(self) -> bool:
        """For a person's eyes: its machine says that nothing listens, and all others agree. Silence may be a cut."""
        return self.all_say_gone and self.appearance is Appearance.DOWN

    @property
    def opinions_in_words(self) -> str:
        """``gossip of 4 servers: 3 failed, 1 alive``."""
        if not self.opinions:
            return "no other server's opinion of it could be read"
        sources = " and ".join(sorted({opinion.source for opinion in self.opinions.values()}))
        counted = sorted(Counter(opinion.words for opinion in self.opinions.values()).items())
        words = ", ".join(f"{number} {said}" for said, number in counted) if len(counted) > 1 else counted[0][0]
        return f"{sources} of {format_count(len(self.opinions), 'server')}: {words}"

    @property
    def evidence(self) -> str:
        """``s3.global cannot be reached: its Raft port does not reply; gossip of 2 servers: failed``."""
        look = "looks dead" if self.looks_dead else self.appearance.value
        return f"{self.peer.label} {look}: {self.words}; {self.opinions_in_words}"


def observe_peers(view: ClusterView) -> tuple[PeerObservation, ...]:
    """Every peer of the best configuration that is known, in the order in which a person looks for it."""
    seen = view.best_configuration
    peers = sorted(seen.peers, key=lambda peer: (peer.label, peer.id)) if seen else []
    return tuple(observe_peer(view, peer) for peer in peers)


def observe_peer(view: ClusterView, peer: Peer) -> PeerObservation:
    """How one peer looks in one view."""
    appearance, words = _appearance(view, peer)
    others = {by: opinion for by, opinion in view.opinions_of(peer).items() if by != peer.id}
    return PeerObservation(peer, appearance, words, others)


def _appearance(view: ClusterView, peer: Peer) -> tuple[Appearance, str]:
    runs = _running(view, peer)
    if runs is not None:
        return runs
    other = next((v for v in view.answering if v.raft_address == peer.address and v.server_id != peer.id), None)
    if other is not None:
        return Appearance.REPLACED, f"server {other.server_id} now answers at its address"
    listener = unidentified_listener(view, peer)
    if listener is not None and listener.forbidden:
        return Appearance.REFUSES_US, f"{listener.url} refuses this token"
    if is_only_out_of_sight(view, peer) and _is_vouched_for(view, peer):
        return Appearance.OUT_OF_SIGHT, _why_unasked(view, peer)
    return _by_host_or_port(view, peer, listener)


def _by_host_or_port(view: ClusterView, peer: Peer, listener: Vantage | None) -> tuple[Appearance, str]:
    probe = probe_evidence(view, peer)
    told = view.host_words.get(peer.id)
    if told is not None and (told.stopped or told.runs):
        return Appearance.DOWN if told.stopped else Appearance.HANGS, f"on its host: {told.words}"
    kept_out = reason_kept_out(view, peer)
    if kept_out:
        return Appearance.HANGS, kept_out
    if probe.meaning is ProbeMeaning.LISTENS:
        return Appearance.HANGS, "its Raft port accepts connections, but its HTTP API does not answer"
    if listener is not None:
        return Appearance.HANGS, f"{listener.url} accepts connections, but does not say which server it is"
    if probe.meaning is ProbeMeaning.HOST_UP:
        return Appearance.HANGS, "its machine answers, but its Raft port does not"
    if probe.meaning is ProbeMeaning.NO_PROCESS:
        return Appearance.DOWN, "its Raft port is refused, so no process listens there"
    return _unreached(view.probes.get(peer.address), probe.words)


def _running(view: ClusterView, peer: Peer) -> tuple[Appearance, str] | None:
    """How a peer looks that is surely there; a server that waits for its key says so itself, whoever heard from it."""
    own = view.vantage_of(peer)
    if own is not None:
        return Appearance.ANSWERS, f"its own HTTP API answers at {own.url}"
    waiting = waiting_server(view, peer)
    if waiting is not None:
        return Appearance.WAITS, f"{waiting.url} answers and waits for {waiting.waits_for}"
    heard = words_of_life(view, peer)
    return None if heard is None else (Appearance.HEARD, heard)


def _unreached(reach: Reach | None, probe_words: str) -> tuple[Appearance, str]:
    if reach is Reach.SILENT:
        return Appearance.SILENT, "its Raft port does not reply"
    if reach is Reach.UNREACHABLE:
        return Appearance.SILENT, "this host cannot connect to it: no route, no such name, or too many open files"
    if reach is Reach.REFUSED:
        return Appearance.SILENT, probe_words
    return Appearance.UNTRIED, "its Raft port was not probed"


def _is_vouched_for(view: ClusterView, peer: Peer) -> bool:
    """Something listens there; or most servers are out of this host's sight, and either the product has proven its
    quorum or the leader finds nothing wrong with this one. That is enough for a person's eyes and a monitor's, as a
    leader without a quorum steps down within seconds.
    """
    if probe_evidence(view, peer).meaning is ProbeMeaning.LISTENS:
        return True
    listed = len(view.best_configuration.peers) if view.best_configuration else 0
    healthy = view.unhealthy is not None and peer.id not in view.unhealthy
    return 2 * len(view.answering) < listed and (healthy or view.quorum_proof is not None)


def _why_unasked(view: ClusterView, peer: Peer) -> str:
    """What was tried to ask it, and what became of it."""
    tried = [vantage for vantage in view.vantages if vantage.expected_id == peer.id and vantage.trouble]
    return tried[0].trouble or "" if tried else "no address of its own API is known"
