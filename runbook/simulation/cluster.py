"""A simulated Nomad cluster: a deterministic object whose clock is told to it, with no threads and no sockets."""

from __future__ import annotations

import math
from collections.abc import Iterator

from runbook.raft.model import MemberStatus
from runbook.simulation import consensus, gossip, leader_tasks
from runbook.simulation.consensus import LEASE
from runbook.simulation.gossip import failure_delay
from runbook.simulation.settings import LabError, SimulationSettings
from runbook.simulation.state import ClusterState, ProcessState, Role, SimulatedServer, form_cluster

NOW = 0.0  # a moment that is always due
TICK = 0.05  # seconds of model time from one moment to the next; changes asked for take effect between two


class SimulatedCluster:
    """A cluster that formed a while ago and has a leader. Its time starts at 0 and moves only in :meth:`advance`."""

    def __init__(self, settings: SimulationSettings) -> None:
        """Raises LabError where the settings are none that a cluster could have."""
        settings.at_least(0)  # says now if the version cannot be read
        self.state: ClusterState = form_cluster(settings)
        leader_tasks.tick(self.state)  # it formed a while ago, so its leader has looked at everybody's health
        self._ticks = 0

    def advance(self, now: float) -> None:
        """Let the model's time pass until ``now``, in seconds since its start; it never goes back.

        Moments in which nothing can happen are passed over; the last one before ``now`` never is, so that whoever
        changes something afterwards finds that everybody was heard just before.
        """
        last = math.floor(now / TICK + 1e-9)
        while self._ticks < last:
            due = math.ceil(min(next_event_at(self.state), now) / TICK - 1e-9)
            self._ticks = min(last, max(self._ticks + 1, due))
            self.state.now = self._ticks * TICK
            gossip.tick(self.state)
            consensus.tick(self.state)
            leader_tasks.tick(self.state)

    def server(self, name: str) -> SimulatedServer:
        """Raises LabError, naming those there are."""
        if name not in self.state.servers:
            raise LabError(f"no server {name} in this lab: it has {', '.join(self.state.servers)}")
        return self.state.servers[name]

    def leader(self) -> str | None:
        """Who leads: of those that think so (a cut-off one goes on for half a second), the one of the newest term."""
        leading = [server for server in self.state.servers.values() if server.running and server.leads]
        return max(leading, key=lambda server: server.term).name if leading else None

    def kill(self, name: str) -> None:
        """As ``kill -9``: what it wrote to disk stays, its term and log; what it knew of the others does not."""
        server = self.server(name)
        if server.process is not ProcessState.KILLED:
            server.process, server.life = ProcessState.KILLED, server.life + 1
            server.role, server.leader = Role.FOLLOWER, None

    def freeze(self, name: str) -> None:
        """As ``kill -STOP``: it believes what it believed, and neither hears nor says anything. Raises LabError."""
        server = self.server(name)
        if server.process is ProcessState.KILLED:
            raise LabError(f"{name} is killed, and only a running server can be frozen: restart it first")
        server.process = ProcessState.FROZEN

    def thaw(self, name: str) -> None:
        """As ``kill -CONT``. A frozen leader goes on to believe in itself for a moment."""
        server = self.server(name)
        if server.process is not ProcessState.FROZEN:
            return
        server.process = ProcessState.RUNNING
        server.campaign_at = self.state.draw_election_deadline()
        gossip.reset_timers(self.state, server)

    def restart(self, name: str, *, wiped: bool = False) -> None:
        """Start it anew, killing it first if need be; ``wiped`` makes it forget its id and its log too."""
        self.kill(name)
        server = self.server(name)
        if wiped:
            self._wipe(server)
        server.process = ProcessState.RUNNING
        server.campaign_at = self.state.draw_election_deadline()
        gossip.rejoin(self.state, server)

    def partition(self, groups: list[list[str]]) -> None:
        """Servers of different groups do not hear each other; those not named form one more group. Raises LabError."""
        named = [name for group in groups for name in group]
        if len(named) != len(set(named)):
            raise LabError("a server can be in one group of a partition only")
        for name in named:
            self.server(name)
        for server in self.state.servers.values():
            server.group = next((number for number, group in enumerate(groups) if server.name in group), len(groups))

    def drop_packets(self, sender: str, receiver: str) -> None:
        """Packets on this way are lost: Raft's connection ends, gossip goes round by others. Raises LabError."""
        self.state.dropping.add((self.server(sender).name, self.server(receiver).name))

    def heal(self) -> None:
        """Everybody hears everybody again."""
        self.state.dropping.clear()
        for server in self.state.servers.values():
            server.group = 0

    def _wipe(self, server: SimulatedServer) -> None:
        server.uuid = self.state.new_uuid()
        if self.state.settings.raft_protocol == 3:
            server.raft_id = server.uuid
        server.log, server.committed, server.term, server.voted = [], 0, 0, None


def next_event_at(state: ClusterState) -> float:
    """Seconds of the model's clock; until then each moment would leave the state as it is. Early is never wrong."""
    leaders = [server for server in state.servers.values() if server.running and server.leads]
    if len(leaders) > 1 or (leaders and not _settled(state, leaders[0])):
        return NOW
    raft = _of_a_leader(state, leaders[0]) if leaders else _of_candidates(state, set())
    return min((*raft, *_of_gossip(state)), default=float("inf"))


def _settled(state: ClusterState, leader: SimulatedServer) -> bool:
    """Whether everybody in its reach has all that it has, and it waits for nothing."""
    return not leader.change_pending and all(
        (other.leader, other.last, other.committed, other.term)
        == (leader.address, leader.last, leader.committed, leader.term)
        for other in _followers(state, leader)
    )


def _followers(state: ClusterState, leader: SimulatedServer) -> list[SimulatedServer]:
    listed = {peer.address for peer in leader.peers}
    others = state.servers.values()
    return [
        other for other in others if other is not leader and other.address in listed and state.connected(leader, other)
    ]


def _of_a_leader(state: ClusterState, leader: SimulatedServer) -> Iterator[float]:
    yield from (leader.health_at, leader.reconcile_at, leader.autopilot_at)
    followers = _followers(state, leader)
    voters = {peer.address for peer in leader.peers if peer.voter}
    if sum(each.address in voters for each in (leader, *followers)) < len(voters) // 2 + 1:
        yield leader.heard_at + LEASE
    yield from _of_candidates(state, {leader.name, *(follower.name for follower in followers)})


def _of_candidates(state: ClusterState, content: set[str]) -> Iterator[float]:
    for server in state.servers.values():
        if server.running and server.name not in content:
            yield server.campaign_at


def _of_gossip(state: ClusterState) -> Iterator[float]:
    for observer in state.servers.values():
        if not observer.running:
            continue
        for other in state.servers.values():
            seen = observer.gossip.get(other.name)
            alive = seen is not None and seen.status is MemberStatus.ALIVE
            if state.gossip_passes(observer, other):
                if seen is None or not alive or seen.uuid != other.uuid:
                    yield NOW
            elif seen is not None and alive:
                yield seen.heard_at + failure_delay(state, observer)
