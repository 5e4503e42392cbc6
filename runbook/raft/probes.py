"""What this host's own try at a peer's port is worth. A probe is worth what it is worth on the living.

A refused port is a process that is gone, or a firewall that rejects for it. A silent port is a machine that is gone, a
cut, or a frozen process whose listen queue is full: the kernel then drops what comes. The same probe of the servers
that answered in the same look, and other ports of the same machines, tell these apart; where they cannot, it is blind.
"""

from __future__ import annotations

from enum import Enum

from runbook.dataclass import dataclass
from runbook.raft.model import ClusterView, Peer, Reach, Vantage
from runbook.raft.opinions import OpinionKind

SSH_PORT = 22
CLOSED_PORT = 9  # discard: nobody listens there, so a machine that is up refuses it at once
MACHINE_PORTS = (SSH_PORT, CLOSED_PORT)  # answered by the machine, whatever its server does
LEAST_APIS = 2  # of living servers: one alone may be the only door that this host was let through
HEARD_BY_HOST = (Reach.ACCEPTED, Reach.ANSWERED, Reach.REFUSED)  # any of these is a machine that is up


class ProbeMeaning(Enum):
    """What a probe says of the peer."""

    LISTENS = "listens"  # something accepts: forbids *dead*, proves no life
    NO_PROCESS = "no process"  # refused, where the living accept
    NO_MACHINE = "no machine"  # silent on every port, where the machines of the living answer
    HOST_UP = "host up"  # the port is silent and its machine answers: frozen, or filtered
    BLIND = "blind"  # it would look the same for a living server
    UNTRIED = "untried"


@dataclass(frozen=True)
class ProbeEvidence:
    """The meaning, and the words for a person."""

    meaning: ProbeMeaning
    words: str

    @property
    def allows_dead(self) -> bool:
        return self.meaning in (ProbeMeaning.NO_PROCESS, ProbeMeaning.NO_MACHINE)

    @property
    def is_blind(self) -> bool:
        return self.meaning in (ProbeMeaning.BLIND, ProbeMeaning.UNTRIED)


def probe_evidence(view: ClusterView, peer: Peer) -> ProbeEvidence:
    """Judge this host's probe of the peer's Raft port by its probes of the living in the same look."""
    reach = view.probes.get(peer.address)
    if reach is None:
        return ProbeEvidence(ProbeMeaning.UNTRIED, f"port {peer.address} was not probed")
    if reach in (Reach.ACCEPTED, Reach.ANSWERED):
        words = f"port {peer.address} accepts connections: the process may be frozen"
        return ProbeEvidence(ProbeMeaning.LISTENS, words)
    if reach is Reach.UNREACHABLE:
        words = f"this host cannot try port {peer.address}: no route, no file handle, or no such name"
        return ProbeEvidence(ProbeMeaning.BLIND, words)
    return _refused(view, peer) if reach is Reach.REFUSED else _silent(view, peer)


def _refused(view: ClusterView, peer: Peer) -> ProbeEvidence:
    living = _heard_from(view, peer)
    also_refused = [other for other in living if view.probes.get(other.address) is Reach.REFUSED]
    if also_refused:
        living_too = f"and so is that of {also_refused[0].label}, which is alive"
        words = f"port {peer.address} is refused, {living_too}: a firewall?"
        return ProbeEvidence(ProbeMeaning.BLIND, words)
    accepting = sum(view.probes.get(other.address) is Reach.ACCEPTED for other in living)
    if not accepting:
        words = f"port {peer.address} is refused, and no Raft port of a living server could be opened to compare"
        return ProbeEvidence(ProbeMeaning.BLIND, words)
    words = f"port {peer.address} is refused; {accepting} of {len(living)} living servers accept on theirs"
    return _refused_at_api(view, peer, words) if view.waits_at_api else ProbeEvidence(ProbeMeaning.NO_PROCESS, words)


def _refused_at_api(view: ClusterView, peer: Peer, words: str) -> ProbeEvidence:
    """Who waits for its key listens at its API's port alone: there it must be refused too, as no living server is.

    What accepts there was met before this is asked.
    """
    own = _apis_of(view, peer)
    if not own:
        why = "no address of its API is known, and a sealed server listens there alone"
        return ProbeEvidence(ProbeMeaning.BLIND, f"{words}; {why}")
    if any(vantage.reach is not Reach.REFUSED for vantage in own):
        why = f"this host cannot try {own[0].url}, and a sealed server listens there alone"
        return ProbeEvidence(ProbeMeaning.BLIND, f"{words}; {why}")
    living = {other.label: _apis_of(view, other) for other in _heard_from(view, peer)}
    also = [name for name, apis in living.items() if apis and all(each.reach is Reach.REFUSED for each in apis)]
    answering = sum(any(vantage.reach is Reach.ANSWERED for vantage in apis) for apis in living.values())
    if also or answering < LEAST_APIS:
        why = f"so is that of {also[0]}, which is alive" if also else f"{answering} of the living answers at its own"
        why = f"its API is refused, and {why}"
        return ProbeEvidence(ProbeMeaning.BLIND, f"{words}; {why}: it may be sealed")
    return ProbeEvidence(ProbeMeaning.NO_PROCESS, f"{words}; its API is refused too")


def _apis_of(view: ClusterView, peer: Peer) -> list[Vantage]:
    return [vantage for vantage in view.vantages if peer.id in (vantage.server_id, vantage.expected_id)]


def _silent(view: ClusterView, peer: Peer) -> ProbeEvidence:
    living, asked = _heard_from(view, peer), view.hosts.get(peer.address, {})
    up = sorted(port for port, reach in asked.items() if reach in HEARD_BY_HOST)
    if up:
        return _on_a_machine_that_answers(view, peer, up[0])
    answers = [
        (other, port)
        for other in living
        for port in _open_machine_ports(view, other)
        if asked.get(port) is Reach.SILENT
    ]
    alike = [other for other in living if _is_silent_machine(view, other)]
    if answers and not alike:
        other, port = answers[0]
        ports = ", ".join(map(str, sorted(asked)))
        words = (
            f"port {peer.address} is silent, and so are ports {ports} of its machine; "
            f"that of {other.label} answers on {port}"
        )
        return ProbeEvidence(ProbeMeaning.NO_MACHINE, words)
    if alike:
        words = f"port {peer.address} is silent, and so is the machine of {alike[0].label}, which is alive: a firewall?"
        return ProbeEvidence(ProbeMeaning.BLIND, words)
    words = f"port {peer.address} is silent, and no living server's machine answers this host in a way to compare with"
    return ProbeEvidence(ProbeMeaning.BLIND, words)


def _on_a_machine_that_answers(view: ClusterView, peer: Peer, port: int) -> ProbeEvidence:
    """A frozen process whose queue is full; or a firewall, where the ports of the living are as silent."""
    alike = [other for other in _heard_from(view, peer) if view.probes.get(other.address) is Reach.SILENT]
    silent = f"port {peer.address} is silent and its machine answers on port {port}"
    if alike:
        words = f"{silent}, and so it is with {alike[0].label}, which is alive: a firewall?"
        return ProbeEvidence(ProbeMeaning.BLIND, words)
    return ProbeEvidence(ProbeMeaning.HOST_UP, f"{silent}: the process may be frozen")


def _open_machine_ports(view: ClusterView, peer: Peer) -> list[int]:
    """Where its machine answers for itself. The product's own ports are no machine's word: a frozen process with full
    queues is silent on all of them.
    """
    tried = view.hosts.get(peer.address, {})
    return [port for port in MACHINE_PORTS if tried.get(port) in HEARD_BY_HOST]


def _is_silent_machine(view: ClusterView, peer: Peer) -> bool:
    tried = view.hosts.get(peer.address, {})
    asked = [tried[port] for port in MACHINE_PORTS if port in tried]
    return bool(asked) and not _open_machine_ports(view, peer)


def _heard_from(view: ClusterView, peer: Peer) -> list[Peer]:
    """The other peers that somebody heard from in this look: this host, or the leader."""
    seen = view.best_configuration
    return [each for each in (seen.peers if seen else ()) if each.id != peer.id and _is_heard(view, each)]


def _is_heard(view: ClusterView, peer: Peer) -> bool:
    heard = any(opinion.kind is OpinionKind.HEARD for opinion in view.opinions_of(peer).values())
    return heard or view.vantage_of(peer) is not None
