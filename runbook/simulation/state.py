"""What a simulated cluster consists of: servers with their logs and gossip, and who can hear whom. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

from runbook.raft.model import Configuration, MemberStatus, Peer
from runbook.simulation.settings import SimulationSettings

FIRST_TERM = 2  # what a cluster is at when it has just formed, as in the captured replies
FIRST_INDEX = 6
ELECTION_TIMEOUT = 1.0  # seconds; the real one is drawn between this and twice this, as hashicorp/raft does


class ProcessState(Enum):
    RUNNING = "running"
    FROZEN = "frozen"
    KILLED = "killed"


RUNNING = ProcessState.RUNNING


class Role(Enum):
    """In the words of ``stats.raft.state``."""

    FOLLOWER = "Follower"
    CANDIDATE = "Candidate"
    LEADER = "Leader"


LEADER = Role.LEADER  # by this name it is found without asking the class, which is asked a hundred times a moment


@dataclass(frozen=True)
class LogEntry:
    """One entry of a Raft log; only changes of the configuration carry anything that matters here."""

    term: int
    index: int
    configuration: Configuration | None = None


@dataclass
class GossipEntry:
    """What one server's gossip holds about another: ``uuid`` is the member's tag ``id``."""

    status: MemberStatus
    uuid: str
    heard_at: float


class ServerHealth(NamedTuple):
    """One row of autopilot's picture; times in seconds of the model's clock, ``None`` where Nomad shows a zero."""

    id: str
    name: str
    address: str
    status: MemberStatus
    leader: bool
    voter: bool
    healthy: bool
    last_contact: float | None
    last_term: int
    last_index: int
    stable_since: float | None


@dataclass
class SimulatedServer:
    """One server agent. ``raft_id`` is its UUID on protocol 3 and its address on protocol 2; ``life`` counts starts."""

    name: str
    host: str
    address: str
    uuid: str
    raft_id: str
    process: ProcessState = ProcessState.RUNNING
    life: int = 1
    group: int = 0
    term: int = FIRST_TERM
    voted: tuple[int, str] | None = None
    role: Role = Role.FOLLOWER
    leader: str | None = None
    log: list[LogEntry] = field(default_factory=list)
    committed: int = 0
    heard_at: float = 0.0
    campaign_at: float = 0.0
    gossip: dict[str, GossipEntry] = field(default_factory=dict)
    gossip_pace: float = 1.0
    reconcile_at: float = 0.0
    autopilot_at: float = 0.0
    health_at: float = 0.0
    health: tuple[ServerHealth, ...] | None = None
    _latest: tuple[list[LogEntry], int, LogEntry | None] = field(default=([], 0, None), repr=False)

    @property
    def running(self) -> bool:
        return self.process is RUNNING

    @property
    def leads(self) -> bool:
        return self.role is LEADER

    @property
    def configuration(self) -> Configuration | None:
        """The latest one in its own log, committed or not; ``None`` before any was received."""
        entry = self._latest_change()
        return entry.configuration if entry else None

    @property
    def committed_configuration(self) -> Configuration | None:
        committed = self.log[: self.committed]
        return next((entry.configuration for entry in reversed(committed) if entry.configuration is not None), None)

    @property
    def configuration_index(self) -> int:
        """Index of the latest configuration entry in its log; 0 if there is none."""
        entry = self._latest_change()
        return entry.index if entry else 0

    @property
    def change_pending(self) -> bool:
        """Whether its latest configuration is not committed yet; Raft then takes no further change."""
        return self.configuration_index > self.committed

    @property
    def last(self) -> tuple[int, int]:
        """(term, index) of its last log entry: what decides whose log is newer."""
        return (self.log[-1].term, self.log[-1].index) if self.log else (0, 0)

    @property
    def peers(self) -> tuple[Peer, ...]:
        configuration = self.configuration
        return configuration.peers if configuration else ()

    def _latest_change(self) -> LogEntry | None:
        """Looked for once for each log and length of it: a log only grows, or is replaced by another one."""
        log, length, entry = self._latest
        if log is not self.log or length != len(log):
            entry = next((each for each in reversed(self.log) if each.configuration is not None), None)
            self._latest = self.log, len(self.log), entry
        return entry


@dataclass
class ClusterState:
    """All servers, the time, and the one seeded source of chance. ``autopilot`` is Nomad's own document of settings.

    ``dropping`` holds (from, to) for every way on which packets are lost, beside the groups of a partition.
    ``restored`` counts how often its state was replaced.
    ``silent`` holds every running server with its entry of one that it no longer hears; it is None from a change of who
    hears whom to the next moment of gossip.
    """

    settings: SimulationSettings
    servers: dict[str, SimulatedServer]
    random: Random
    autopilot: dict[str, Any]
    now: float = 0.0
    restored: int = 0
    dropping: set[tuple[str, str]] = field(default_factory=set)
    silent: list[tuple[SimulatedServer, GossipEntry]] | None = None
    by_address: dict[str, SimulatedServer] = field(default_factory=dict)

    def server_at(self, address: str) -> SimulatedServer | None:
        """Who is behind a Raft address: packets go to addresses, whatever id they were meant for."""
        return self.by_address.get(address)

    def connected(self, one: SimulatedServer, other: SimulatedServer) -> bool:
        """Whether two servers hear each other: both run, and packets pass both ways, as a connection needs."""
        near = one.process is RUNNING and other.process is RUNNING and one.group == other.group
        return near and not (self.dropping and self._dropped_ways(one, other))

    def gossip_passes(self, one: SimulatedServer, other: SimulatedServer) -> bool:
        """Whether gossip passes: one way that is lost is made good by the others, who ask in its stead."""
        near = one.process is RUNNING and other.process is RUNNING and one.group == other.group
        return near and not (self.dropping and self._dropped_ways(one, other) == 2)

    def _dropped_ways(self, one: SimulatedServer, other: SimulatedServer) -> int:
        return ((one.name, other.name) in self.dropping) + ((other.name, one.name) in self.dropping)

    def draw_election_deadline(self) -> float:
        return self.now + self.random.uniform(ELECTION_TIMEOUT, 2 * ELECTION_TIMEOUT)

    def new_uuid(self) -> str:
        return str(UUID(int=self.random.getrandbits(128), version=4))


def form_cluster(settings: SimulationSettings) -> ClusterState:
    """A cluster that formed a while ago: one leader, equal logs, everybody known to everybody."""
    random = Random(settings.seed)  # noqa: S311 - a lab must be repeatable, and guards no secret
    state = ClusterState(settings, {}, random, _autopilot(settings))
    for name in settings.names:
        server = _server(state, name)
        state.servers[name] = state.by_address[server.address] = server
    configuration = Configuration(
        tuple(Peer(server.raft_id, server.address, voter=True) for server in state.servers.values())
    )
    log = [LogEntry(1, 1, configuration), *(LogEntry(FIRST_TERM, index) for index in range(2, FIRST_INDEX + 1))]
    drawn = random.choice(list(state.servers.values()))
    leader = state.servers.get(settings.leader, drawn)
    for server in state.servers.values():
        server.log, server.committed, server.leader = list(log), FIRST_INDEX, leader.address
        server.gossip = {each.name: GossipEntry(MemberStatus.ALIVE, each.uuid, 0.0) for each in state.servers.values()}
    leader.role = Role.LEADER
    leader.reconcile_at, leader.autopilot_at = settings.reconcile_every, 10.0
    return state


def _server(state: ClusterState, name: str) -> SimulatedServer:
    host, uuid = state.settings.host(name), state.new_uuid()
    address = f"{host}:{state.settings.rpc_port}"
    uuid = next((seat.raft_id for seat in state.settings.seats if seat.name == name), uuid)
    server = SimulatedServer(name, host, address, uuid, uuid if state.settings.raft_protocol == 3 else address)
    server.campaign_at = state.draw_election_deadline()
    server.gossip_pace = state.random.uniform(0.9, 1.2)  # 35 to 48 s were measured
    return server


def _autopilot(settings: SimulationSettings) -> dict[str, Any]:
    return {
        "LastContactThreshold": "200ms",
        "ServerStabilizationTime": "10s",
        "CleanupDeadServers": settings.cleanup,
        "MaxTrailingLogs": 250,
        "MinQuorum": settings.min_quorum,
        "EnableRedundancyZones": False,
        "DisableUpgradeMigration": False,
        "EnableCustomUpgrades": False,
        "CreateIndex": 4,
        "ModifyIndex": 4,
    }
