"""A Raft cluster as it was seen at one moment: frozen values, so that a decision can be made again from the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum
from functools import cached_property
from ipaddress import IPv6Address

from runbook.dataclass import dataclass
from runbook.printable import printable_line
from runbook.raft.opinions import HostWord, Opinion


def same_place(one: str, other: str) -> bool:
    """Whether two ``IP:PORT`` are one place: IPv6 has many spellings of an address."""
    return one == other or (one[:1] == other[:1] == "[" and _spelled_out(one) == _spelled_out(other))


def _spelled_out(place: str) -> tuple[str, str]:
    host, _, port = place.rpartition(":")
    try:
        return IPv6Address(host.strip("[]")).exploded, port
    except ValueError:
        return host, port


class MemberStatus(Enum):
    """What gossip says of a member. ``FAILED`` is gossip's word; *dead* is ours and needs more."""

    NONE = "none"
    ALIVE = "alive"
    LEAVING = "leaving"
    LEFT = "left"
    FAILED = "failed"


class Reach(Enum):
    """What happened when somebody tried to open a TCP connection, or to ask an HTTP question."""

    ANSWERED = "answered"  # HTTP: a reply came. TCP: never used
    ACCEPTED = "accepted"  # the connection opened; a frozen process does this too, so it proves neither life nor death
    REFUSED = "refused"  # the host answered that nothing listens there
    SILENT = "silent"  # no packet came back in time, or a router says that the host cannot be reached
    UNREACHABLE = "unreachable"  # our own fault: no route from this host, no file handle, a name that does not resolve


@dataclass(frozen=True)
class Peer:
    """A server as listed in the Raft configuration.

    ``id`` is what a removal names: the node's UUID on Raft protocol 3, its address on protocol 2.
    ``name`` is the gossip name the answering server attached, ``None`` where it said ``(unknown)``.
    ``never_started``: it was added to the configuration, and no server has ever heard from it.
    """

    id: str
    address: str
    voter: bool
    name: str | None = None
    protocol: int | None = None
    never_started: bool = False

    @property
    def label(self) -> str:
        """How a person calls this server: its name where gossip has one, else its address."""
        return printable_line(self.name or self.address)


@dataclass(frozen=True)
class Configuration:
    """The set of peers one server holds. Order means nothing, so it is kept sorted by id."""

    peers: tuple[Peer, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "peers", tuple(sorted(self.peers, key=lambda peer: (peer.id, peer.address))))

    @cached_property
    def voters(self) -> tuple[Peer, ...]:
        return tuple(peer for peer in self.peers if peer.voter)

    @property
    def fingerprint(self) -> frozenset[tuple[str, str, bool]]:
        """(id, address, voter) of every peer: what a plan basis compares, as ``Index`` is always 0."""
        return frozenset((peer.id, peer.address, peer.voter) for peer in self.peers)

    def peer(self, peer_id: str) -> Peer | None:
        for peer in self.peers:
            if peer.id == peer_id:
                return peer
        return None

    def without(self, peer_id: str) -> Configuration:
        return Configuration(tuple(peer for peer in self.peers if peer.id != peer_id))


def named(configuration: Configuration, name: str) -> tuple[Peer, ...]:
    """The peers that a person may mean: by id, by address, by name, or by the name without its region."""
    return tuple(
        peer
        for peer in configuration.peers
        if name in (peer.id, peer.address, peer.label, peer.label.partition(".")[0])
    )


@dataclass(frozen=True)
class Member:
    """A server as one server's gossip sees it. ``raft_address`` is gossip IP and RPC port, as Raft writes it."""

    name: str
    status: MemberStatus
    id: str | None
    raft_address: str


@dataclass(frozen=True)
class Vantage:
    """One server asked, by its own HTTP address, for what it sees. Every field but ``url`` may be missing.

    ``server_id`` is who *answered* (``/v1/agent/self``), never who we meant to ask: behind a load balancer they differ.
    ``state``, ``term``, ``last_log_term`` and ``last_log_index`` are its own Raft numbers; ``leader_address`` is the
    leader it believes in, and ``last_contact`` the seconds since it heard from that one. ``other_id`` is a second
    server that answered at the same address when it was asked again, so what else was said there is nobody's in
    particular. ``forbidden`` says that a token was refused.
    ``waits_for`` is what a server that runs lacks before it takes part in anything, as a sealed one its key, and
    ``settled_by`` what a person can do about it.
    ``commit_index``, ``version`` and ``data_dir`` are for a recovery by hand: the last entry that it knows to be
    committed, its release, and its data folder on its own host.
    ``clock_drift`` is by how many seconds its clock is at least ahead of this host's; ``certificate_left`` for how many
    its certificate is still good, of ``certificate_life`` in all.
    """

    url: str
    reach: Reach
    server_id: str | None = None
    name: str | None = None
    raft_address: str | None = None
    state: str | None = None
    term: int | None = None
    last_log_term: int | None = None
    last_log_index: int | None = None
    configuration: Configuration | None = None
    members: tuple[Member, ...] | None = None
    leader_address: str | None = None
    last_contact: float | None = None
    expected_id: str | None = None
    other_id: str | None = None
    forbidden: bool = False
    trouble: str | None = None
    commit_index: int | None = None
    version: str | None = None
    data_dir: str | None = None
    waits_for: str | None = None
    settled_by: str | None = None
    clock_drift: float | None = None
    certificate_left: float | None = None
    certificate_life: float | None = None

    @property
    def label(self) -> str:
        """How a sentence calls this server: its name, else the address at which it was asked."""
        return printable_line(self.name or self.url)

    @property
    def log_end(self) -> str:
        """``7/1042``, term and index of its last entry; of a product that shows no term the index alone."""
        index = str(self.last_log_index)
        return index if self.last_log_term is None else f"{self.last_log_term}/{index}"

    def member_for(self, peer: Peer) -> Member | None:
        """This server's gossip entry for a peer: by id first, by address where the entry carries no other id.

        On protocol 2 the peer's id is its address, while gossip may carry a UUID: there only the address counts. Of
        several entries one that is not gone is taken: a sign of life outweighs a left-over.
        """
        members, by_address = self.members or (), peer.id == peer.address
        same_id = [member for member in members if member.id == peer.id]
        there = [m for m in members if same_place(m.raft_address, peer.address) and (by_address or m.id is None)]
        found = same_id or there
        return next(
            (m for m in found if m.status not in (MemberStatus.FAILED, MemberStatus.LEFT)), next(iter(found), None)
        )


@dataclass(frozen=True)
class AutopilotSettings:
    """The cluster's own clean-up policy: a second actor, and a floor under the number of voters.

    ``zeroed``: its thresholds are 0 s, as a partial write leaves them, and then no server is ever healthy.
    """

    cleanup_dead_servers: bool
    min_quorum: int
    zeroed: bool = False


@dataclass(frozen=True)
class ClusterView:
    """One gathered, timed, frozen picture. Everything that is decided is decided on such a value.

    ``taken_at`` is when its gathering *began*, in seconds on the tool's own monotonic clock (never a server's): nothing
    in it is older. ``seconds`` is how long the gathering took.
    ``configuration`` and ``leader_id`` come from a *default* (not stale) read, so they are ``None`` without a leader;
    ``error_kind`` then says why, as an :class:`runbook.errors.ErrorKind` (``no_leader``, ``forbidden``, …).
    ``probes`` is this host's own try at each peer's Raft port, by the peer's address; it is made last.
    ``hosts`` is filled where a Raft port was silent: this host's try at other ports of that peer's machine, and of the
    machines of the living, by the peer's address and the port's number.
    ``host_words`` are what was seen on the machines of servers, by the peer's id: of those about whom only that can
    tell, where their machines are known.
    ``opinions`` are what each server whose words could be had holds of the peers, by its id and the peer's; those of
    the leader may come through another server's door. ``leader_term`` is its term by its own words, through any door.
    ``quorum_proof`` says by which read the product itself has proven that this leader has a quorum behind it.
    ``removal_is_final`` is true of a product where a removed server cannot come back with its data; ``waits_at_api`` of
    one whose servers, started and waiting for their key, listen at their API's port alone.
    ``cluster_id`` is the cluster's own id, of a product whose peers have ids that people choose, and may choose again.
    ``unhealthy`` holds the ids the leader's autopilot calls unhealthy; ``None`` when it could not be asked. It is one
    voice among several: a living voter is called unhealthy beside a dead one, a dead one healthy for 40 s.
    ``autopilot_error`` says why ``autopilot`` could not be read; what is not read is not zero (I2).
    """

    cluster: str
    taken_at: float
    configuration: Configuration | None
    leader_id: str | None
    vantages: tuple[Vantage, ...]
    probes: Mapping[str, Reach] = field(default_factory=dict)
    hosts: Mapping[str, Mapping[int, Reach]] = field(default_factory=dict)
    unhealthy: frozenset[str] | None = None
    autopilot: AutopilotSettings | None = None
    error_kind: str | None = None
    error_text: str | None = None
    autopilot_error: str | None = None
    seconds: float = 0.0
    opinions: Mapping[str, Mapping[str, Opinion]] = field(default_factory=dict)
    leader_term: int | None = None
    quorum_proof: str | None = None
    removal_is_final: bool = False
    waits_at_api: bool = False
    cluster_id: str | None = None
    host_words: Mapping[str, HostWord] = field(default_factory=dict)

    @property
    def identities(self) -> frozenset[str]:
        """By what this cluster is known whatever address was given: its peers' ids, which no other cluster's have."""
        seen = self.best_configuration
        prefix = f"{self.cluster_id}/" if self.cluster_id else ""
        return frozenset(f"{prefix}{peer.id}" for peer in (seen.peers if seen else ()))

    @property
    def ended_at(self) -> float:
        return self.taken_at + self.seconds

    def vantage_of(self, peer: Peer) -> Vantage | None:
        """The answer of this peer itself, if it answered. On protocol 2 a peer has no id but its address."""
        if peer.id == peer.address:
            return next((v for v in self.answering if same_place(v.raft_address or "", peer.address)), None)
        return self._by_id.get(peer.id)

    def opinions_of(self, peer: Peer) -> dict[str, Opinion]:
        """What the others hold of this peer, by their ids; the leader also of itself, as its own reply is heard."""
        return {by: held[peer.id] for by, held in self.opinions.items() if peer.id in held}

    @cached_property
    def leader(self) -> Peer | None:
        return self.configuration.peer(self.leader_id) if self.configuration and self.leader_id else None

    def label_of(self, server_id: str) -> str:
        """How a person calls the server with this id, listed or not."""
        listed = self.best_configuration.peer(server_id) if self.best_configuration else None
        met = self._by_id.get(server_id)
        return listed.label if listed else met.label if met else server_id

    @cached_property
    def judged(self) -> dict[tuple[Peer, bool], object]:
        """The verdicts on this look that were asked for already; no part of what was seen."""
        return {}

    @cached_property
    def _by_id(self) -> dict[str | None, Vantage]:
        """Of two that answered with one id the first."""
        return {vantage.server_id: vantage for vantage in reversed(self.answering)}

    @cached_property
    def answering(self) -> tuple[Vantage, ...]:
        return tuple(v for v in self.vantages if v.reach is Reach.ANSWERED and v.server_id is not None)

    @property
    def best_configuration(self) -> Configuration | None:
        """The leader's configuration, else (without a leader) the one held by the server with the newest log."""
        if self.configuration is not None:
            return self.configuration
        known = [v for v in self.answering if v.configuration is not None]
        newest = max(known, key=lambda v: (v.last_log_term or 0, v.last_log_index or 0), default=None)
        return newest.configuration if newest else None
