"""What is really so in the simulated world, which no tool can know, and the transcript of how it came to be so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from runbook.lab.virtual.approach import HTTP_PORT
from runbook.lab.virtual.links import Links
from runbook.lab.virtual.timeline import Timeline
from runbook.proving.held import Removals
from runbook.raft.model import ClusterView, Peer, Vantage
from runbook.simulation.cluster import SimulatedCluster
from runbook.simulation.state import ProcessState, SimulatedServer

IN_FLIGHT = 25.0  # seconds; above the adapter's time-out of a change
LONGEST_LINE = 240  # of a transcript
UNTOLD = ("cluster.looked", "step.waiting")  # of a look and a pause, which a reader of a transcript can do without
MOMENT = 0.2  # seconds; what happened so shortly before a look began may not have shown itself in it yet


@dataclass(frozen=True)
class Violation:
    """An invariant that did not hold, and the words for it."""

    invariant: str
    sentence: str


@dataclass
class Transcript:
    """Everything that happened, for a person to read when something is wrong."""

    timeline: Timeline
    lines: list[tuple[float, str, str]] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def tell(self, who: str, what: str) -> None:
        self.lines.append((self.timeline.now, who, what))

    def happened(self, what: str, detail: str = "") -> None:
        self.counts[what] += 1
        self.tell("world", f"{what} {detail}".rstrip())

    def violated(self, invariant: str, sentence: str) -> None:
        self.violations.append(Violation(invariant, sentence))
        self.tell("VIOLATION", f"{invariant}: {sentence}")

    def text(self) -> str:
        return "\n".join(f"{at:9.3f}  {who:<9}  {what}" for at, who, what in self.lines)


class WatchedNetwork(Protocol):
    """What the truth knows of the network. ``lost_probes`` holds when a try of a port was lost last, by the server."""

    @property
    def links(self) -> Links: ...

    @property
    def lost_probes(self) -> Mapping[str, float]: ...

    @property
    def now(self) -> float: ...


class Truth:
    """The servers as they are. ``changes`` are the moments at which something befell the world from outside."""

    def __init__(self, model: SimulatedCluster, network: WatchedNetwork) -> None:
        self.model = model
        self.network = network
        self.changes = [0.0]
        self.removals: list[tuple[float, float]] = []
        self.asked = Removals(model, network.links)
        self.back_since: dict[str, float] = {}

    def removal(self, look_began: float, now: float) -> None:
        """A removal leaves that follows from a look."""
        self.removals.append((look_began, now))

    def overtaken(self) -> bool:
        """Whether the world changed between a look and the end of the removal that followed from it.

        Then even a removal that was safe when it left may end in a dead end: no tool can prevent that.
        """
        return any(
            began - MOMENT <= change <= sent + IN_FLIGHT for began, sent in self.removals for change in self.changes
        )

    def server_of(self, peer: Peer) -> SimulatedServer | None:
        """Who carries this id now; a wiped server has lost the one it had."""
        return next((each for each in self.model.state.servers.values() if each.raft_id == peer.id), None)

    def observer(self, vantage: Vantage) -> SimulatedServer | None:
        """Who answered there; behind a tunnel or a load balancer its address does not say."""
        found = (each for each in self.model.state.servers.values() if vantage.server_id in (each.uuid, each.raft_id))
        return next(found, None)

    def changed_since(self, moment: float) -> bool:
        return self.changes[-1] > moment - MOMENT

    def leader(self) -> SimulatedServer | None:
        name = self.model.leader()
        return self.model.server(name) if name else None

    def sign_of_life(self, peer: Peer, view: ClusterView, began: float) -> str | None:
        """What the look could have seen of a server that lives, or None if nothing of it could be seen."""
        server = self.server_of(peer)
        if server is None or server.process is ProcessState.KILLED:
            return None
        if server.name in self.network.links.paused:
            return f"the machine of {server.name} pauses"
        shut = all(self.network.links.shuts(server.name, port) for port in (HTTP_PORT, _port_of(peer)))
        open_ = self.network.links.open(server.name) and not shut
        if open_ and self.network.lost_probes.get(server.name, -1.0) < began:
            return f"{server.name} is {server.process.value} and its port is open"
        for vantage in view.answering:
            observer = self.observer(vantage)
            if observer and vantage.members is not None and self.model.state.gossip_passes(observer, server):
                return f"{server.name} is {server.process.value} and {observer.name} hears it"
        return None

    def back_for(self, peer: Peer) -> float:
        """Seconds for which a server that had been dead has been answering this host again."""
        server = self.server_of(peer)
        links = self.network.links
        if server is None or not server.running or not links.open(server.name) or links.shuts(server.name, HTTP_PORT):
            return 0.0
        now = self.network.now
        return now - self.back_since.get(server.name, now)

    def hidden_life(self, peer: Peer) -> bool:
        server = self.server_of(peer)
        return server is not None and server.process is not ProcessState.KILLED

    def live_in_reach(self, leader: SimulatedServer, without: str) -> int:
        """Voters beside one peer that run and hear the leader, itself among them."""
        cluster_state = self.model.state
        voters = [peer for peer in leader.peers if peer.voter and peer.id != without]
        found = [cluster_state.server_at(peer.address) for peer in voters]
        return sum(each is not None and (each is leader or cluster_state.connected(leader, each)) for each in found)


def _port_of(peer: Peer) -> int:
    return int(peer.address.rpartition(":")[2])


def brief(record: Mapping[str, Any]) -> str:
    """A record in one line of the story."""
    kept = {key: value for key, value in record.items() if key not in ("kind", "at", "index", "output", "params")}
    return f"{record['kind']} {' '.join(f'{key}={value}' for key, value in kept.items())}"


def format_transcript(lines: list[tuple[float, str, str]]) -> list[str]:
    """Up to the first violation, but for looks and pauses."""
    told = []
    for at, who, what in lines:
        if not what.startswith(UNTOLD):
            told.append(f"{at:9.3f}  {who:<9}  {what[:LONGEST_LINE]}")
        if who == "VIOLATION":
            break
    return told
