"""What ``doctor`` says: a pure function of what was seen of this machine, of the cluster, and of the servers' hosts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from enum import Enum
from urllib.parse import urlsplit

from runbook.dataclass import dataclass
from runbook.inspection.machine import MachineFacts
from runbook.raft.diagnosis.findings import format_count
from runbook.raft.model import ClusterView, Peer, Reach
from runbook.raft.opinions import OpinionKind

LITTLE = 256 * 1024**2  # bytes of free space: a state snapshot of a small cluster has some MiB
MIB = 1024**2
LOOPBACK = ("127.", "::1")


class Grade(Enum):
    """``note`` stands in nobody's way."""

    OK = "ok"
    NOTE = "note"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True)
class DoctorLine:
    """One thing that was examined, what was found, and what to do about it."""

    about: str
    grade: Grade
    sentence: str
    next_action: str = ""


@dataclass(frozen=True)
class ClusterFacts:
    """What was found of the cluster.

    Args:
        view: One look, or None where it could not be asked at all, and ``trouble`` says why.
        addresses: What was given of its servers' APIs.
        permission: Why a removal would be refused: empty where it would not, None where that is not told.
        hosts: What the servers' hosts said, by server: empty where all is well there.
        own: The addresses of servers that are this machine's.
        token_from: Where the credentials are kept, where that is a secret store of an address.
        approvals: Why others could not sign here: empty where they could, None where nobody needs to.
    """

    view: ClusterView | None
    trouble: str = ""
    next_action: str = ""
    addresses: tuple[str, ...] = ()
    permission: str | None = None
    hosts: Mapping[str, str] = field(default_factory=dict)
    own: frozenset[str] = frozenset()
    token_from: str = ""
    approvals: str | None = None


def examine(machine: MachineFacts, cluster: ClusterFacts) -> tuple[DoctorLine, ...]:
    """Everything in the order in which a person would ask for it."""
    lines = [*_of_machine(machine)]
    if cluster.view is None:
        return (*lines, DoctorLine("cluster", Grade.BAD, cluster.trouble, cluster.next_action))
    return (
        *lines,
        *_of_cluster(cluster.view, cluster),
        *_of_verdicts(cluster.view, cluster.hosts),
        *_of_hosts(cluster.hosts),
        *_of_approvals(cluster.approvals),
        *_of_circles(machine, cluster, cluster.view),
    )


def _of_machine(machine: MachineFacts) -> Iterable[DoctorLine]:
    libraries = ", ".join(f"{name} {number}" for name, number in machine.libraries.items() if number)
    yield DoctorLine("python", Grade.OK, f"{machine.python}; {libraries}" if libraries else machine.python)
    state = machine.state
    if state.trouble:
        advice = "Set RUNBOOK_STATE_DIR to a folder that this user may write"
        yield DoctorLine(
            "runs", Grade.BAD, f"no run could be kept in {state.path or 'any folder'}: {state.trouble}", advice
        )
    else:
        free = f"{state.path}, {state.free // MIB} MiB free"
        grade = Grade.OK if state.free >= LITTLE else Grade.WARN
        yield DoctorLine(
            "runs", grade, free, "" if grade is Grade.OK else "Make room: a run keeps a state snapshot there"
        )
    if state.unfinished:
        names = ", ".join(state.unfinished[-3:])
        sentence = f"{format_count(len(state.unfinished), 'run')} without an end: {names}"
        yield DoctorLine(
            "runs", Grade.WARN, sentence, f"runbook show {state.unfinished[-1]}; then resume it, or runbook ack it"
        )
    if machine.clock is False:
        yield DoctorLine(
            "clock", Grade.WARN, "it is not synchronized", "Switch NTP on: the record's times are compared later"
        )
    elif machine.clock is None:
        yield DoctorLine("clock", Grade.NOTE, "whether it is synchronized cannot be told here")
    else:
        yield DoctorLine("clock", Grade.OK, "synchronized")


def _of_cluster(view: ClusterView, facts: ClusterFacts) -> Iterable[DoctorLine]:
    configuration = view.best_configuration
    if configuration is None:
        why = view.error_text or "no server answered"
        yield DoctorLine("cluster", Grade.BAD, why, "runbook diagnose says more")
        return
    voters = f"{view.cluster}: {format_count(len(configuration.voters), 'voter')}"
    if view.leader_id:
        yield DoctorLine("cluster", Grade.OK, f"{voters}, {view.label_of(view.leader_id)} leads")
    else:
        yield DoctorLine("cluster", Grade.BAD, f"{voters}, no leader", "runbook diagnose")
    yield _shape(view)
    for vantage in view.vantages:
        if vantage.server_id is None and _place_of(vantage.url) in set(map(_place_of, facts.addresses)):
            sentence = f"{vantage.url} does not answer: {vantage.trouble or vantage.reach.value}"
            yield DoctorLine("cluster", Grade.WARN, sentence, "Correct the address, or see what is wrong there")
    if facts.permission:
        yield DoctorLine(
            "permission", Grade.BAD, facts.permission, "The smallest policy that suffices is in docs/servers"
        )
    elif facts.permission is None:
        yield DoctorLine("permission", Grade.NOTE, "whether this token may remove a server cannot be asked beforehand")
    else:
        yield DoctorLine("permission", Grade.OK, "a server may be removed with it")


def _shape(view: ClusterView) -> DoctorLine:
    """All doors, some, or one: how many servers answer this host themselves."""
    configuration = view.best_configuration
    voters = configuration.voters if configuration else ()
    met = [peer.label for peer in voters if view.vantage_of(peer) is not None]
    if any(vantage.other_id is not None for vantage in view.answering):
        return DoctorLine(
            "shape", Grade.WARN, "a load balancer answers for several servers", "Give each server's own address"
        )
    if len(met) == len(voters):
        return DoctorLine("shape", Grade.OK, f"all doors: each of the {len(voters)} voters answers this host itself")
    word = "one door" if len(met) == 1 else "some doors"
    sentence = f"{word}: of {len(voters)} voters {', '.join(met) or 'none'} answer this host themselves"
    return DoctorLine(
        "shape", Grade.NOTE, sentence, "A second address keeps a run going when this one dies" if len(met) == 1 else ""
    )


def _of_verdicts(view: ClusterView, hosts: Mapping[str, str]) -> Iterable[DoctorLine]:
    """Whether the death of each voter could be told from here: its Raft port must be seen to accept while it lives."""
    configuration = view.best_configuration
    blind = [peer for peer in (configuration.voters if configuration else ()) if _is_blind(view, peer)]
    by_host = [
        peer.label for peer in blind if hosts.get(peer.label) == "" or hosts.get(peer.label.partition(".")[0]) == ""
    ]
    rest = [peer.label for peer in blind if peer.label not in by_host]
    if by_host:
        yield DoctorLine(
            "verdicts", Grade.OK, f"of {', '.join(by_host)} their hosts tell, as their ports cannot be tried from here"
        )
    if rest:
        sentence = (
            f"should {', '.join(rest)} die tonight, nobody could tell it from here: the Raft port cannot be tried"
        )
        yield DoctorLine(
            "verdicts", Grade.WARN, sentence, "Open the port to this host, or write their hosts into the inventory"
        )
    if configuration and not blind:
        yield DoctorLine("verdicts", Grade.OK, "the Raft port of every voter can be tried from here")


def _is_blind(view: ClusterView, peer: Peer) -> bool:
    """A server that is down now says nothing about its port."""
    reach = view.probes.get(peer.address)
    heard = view.vantage_of(peer) is not None or any(
        o.kind is OpinionKind.HEARD for o in view.opinions_of(peer).values()
    )
    return heard and reach is not Reach.ACCEPTED


def _of_hosts(hosts: Mapping[str, str]) -> Iterable[DoctorLine]:
    if hosts and not any(hosts.values()):
        yield DoctorLine("hosts", Grade.OK, f"{', '.join(hosts)} can be looked at on their hosts")
    for server, trouble in hosts.items():
        if trouble:
            yield DoctorLine("hosts", Grade.WARN, f"{server}: {trouble}", "A recovery of a lost quorum needs it")


def _of_approvals(trouble: str | None) -> Iterable[DoctorLine]:
    if trouble:
        yield DoctorLine("approvals", Grade.WARN, trouble, "Whatever changes this cluster needs their signatures")
    elif trouble is not None:
        yield DoctorLine("approvals", Grade.OK, "those whose signatures a change needs can give them here")


def _of_circles(machine: MachineFacts, facts: ClusterFacts, view: ClusterView) -> Iterable[DoctorLine]:
    """What this host needs of the cluster that it is to recover."""
    configuration = view.best_configuration
    peers = configuration.peers if configuration else ()
    servers = {peer.address.rpartition(":")[0].strip("[]"): peer.label for peer in peers}
    names = sorted({host for host in map(_host_of, facts.addresses) if host and not _is_ip(host)})
    inner = [host for host in names if host.endswith(".consul")]
    if inner:
        sentence = f"the address {', '.join(inner)} is resolved by Consul itself"
        yield DoctorLine("circle", Grade.BAD, sentence, "Give IP addresses")
    asked = [servers[each] for each in machine.resolvers if each in servers and not each.startswith(LOOPBACK)]
    if names and asked:
        sentence = f"DNS is asked of {', '.join(asked)}, servers of this cluster, and {', '.join(names)} needs it"
        yield DoctorLine("circle", Grade.BAD, sentence, "Give IP addresses, or another resolver")
    elif names and not inner:
        yield DoctorLine("circle", Grade.NOTE, f"{', '.join(names)} needs DNS tonight", "An IP address does not")
    if facts.token_from and _host_of(facts.token_from) in map(_host_of, facts.addresses):
        sentence = f"the credentials are kept in {facts.token_from}, in the cluster that is to be recovered"
        yield DoctorLine("circle", Grade.BAD, sentence, "Keep a copy where it can be had without it")
    own = sorted(label for host, label in servers.items() if host in facts.own)
    if own:
        sentence = f"this host is {', '.join(own)}: a run here dies with it"
        yield DoctorLine(
            "circle", Grade.WARN, sentence, "Have another host ready, with runbook and the inventory on it"
        )


def _host_of(address: str) -> str:
    return urlsplit(address).hostname or ""


def _place_of(address: str) -> str:
    return urlsplit(address).netloc.rpartition("@")[2]


def _is_ip(host: str) -> bool:
    from ipaddress import ip_address

    try:
        ip_address(host)
    except ValueError:
        return False
    return True
