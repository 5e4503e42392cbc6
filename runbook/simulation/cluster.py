"""A simulated Nomad cluster: a deterministic object whose clock is told to it, with no threads and no sockets."""

from __future__ import annotations

import math

from runbook.errors import LabError
from runbook.simulation import consensus, gossip, leader_tasks
from runbook.simulation.consensus import LEASE
from runbook.simulation.settings import SimulationSettings
from runbook.simulation.state import LEADER, RUNNING, ClusterState, ProcessState, Role, SimulatedServer, form_cluster

NOW, NEVER = 0.0, float("inf")
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
            self._ticks += 1
            if self._ticks < last:
                due = math.ceil(min(next_event_at(self.state), now) / TICK - 1e-9)
                self._ticks = min(last, max(self._ticks, due))
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
        newest: SimulatedServer | None = None
        for server in self.state.servers.values():
            if server.role is LEADER and server.process is RUNNING and (not newest or server.term > newest.term):
                newest = server
        return newest.name if newest else None

    def kill(self, name: str) -> None:
        """As ``kill -9``: what it wrote to disk stays, its term and log; what it knew of the others does not."""
        server = self.server(name)
        if server.process is not ProcessState.KILLED:
            gossip.links_change(self.state)
            server.process, server.life = ProcessState.KILLED, server.life + 1
            server.role, server.leader = Role.FOLLOWER, None

    def freeze(self, name: str) -> None:
        """As ``kill -STOP``: it believes what it believed, and neither hears nor says anything. Raises LabError."""
        server = self.server(name)
        if server.process is ProcessState.KILLED:
            raise LabError(f"{name} is killed, and only a running server can be frozen: restart it first")
        gossip.links_change(self.state)
        server.process = ProcessState.FROZEN

    def thaw(self, name: str) -> None:
        """As ``kill -CONT``. A frozen leader goes on to believe in itself for a moment."""
        server = self.server(name)
        if server.process is not ProcessState.FROZEN:
            return
        gossip.links_change(self.state)
        server.process = RUNNING
        server.campaign_at = self.state.draw_election_deadline()
        gossip.reset_timers(self.state, server)

    def restart(self, name: str, *, wiped: bool = False) -> None:
        """Start it anew, killing it first if need be; ``wiped`` makes it forget its id and its log too."""
        self.kill(name)
        server = self.server(name)
        if wiped:
            server.uuid = self.state.new_uuid()
            server.raft_id = server.uuid if self.state.settings.raft_protocol == 3 else server.raft_id
            server.log, server.committed, server.term, server.voted = [], 0, 0, None
        gossip.links_change(self.state)
        server.process = RUNNING
        server.campaign_at = self.state.draw_election_deadline()
        gossip.rejoin(self.state, server)

    def partition(self, groups: list[list[str]]) -> None:
        """Servers of different groups do not hear each other; those not named form one more group. Raises LabError."""
        named = [name for group in groups for name in group]
        if len(named) != len(set(named)):
            raise LabError("a server can be in one group of a partition only")
        for name in named:
            self.server(name)
        gossip.links_change(self.state)
        for server in self.state.servers.values():
            server.group = next((number for number, group in enumerate(groups) if server.name in group), len(groups))

    def drop_packets(self, sender: str, receiver: str) -> None:
        """Packets on this way are lost: Raft's connection ends, gossip goes round by others. Raises LabError."""
        way = self.server(sender).name, self.server(receiver).name
        gossip.links_change(self.state)
        self.state.dropping.add(way)

    def heal(self) -> None:
        """Everybody hears everybody again."""
        gossip.links_change(self.state)
        self.state.dropping.clear()
        for server in self.state.servers.values():
            server.group = 0


def next_event_at(state: ClusterState) -> float:
    """Seconds of the model's clock; until then each moment would leave the state as it is. Early is never wrong."""
    running = [server for server in state.servers.values() if server.process is RUNNING]
    leaders = [server for server in running if server.role is LEADER]
    if not leaders:
        return min((*(server.campaign_at for server in running), gossip.next_change_at(state)), default=NEVER)
    leader = leaders[0]
    if len(leaders) > 1 or leader.change_pending:
        return NOW
    peers, held = leader.peers, (leader.address, leader.last, leader.committed, leader.term)
    listed, in_reach, away = {peer.address for peer in peers}, {leader.address}, []
    for other in running:
        if other is leader:
            continue
        if other.address not in listed or not state.connected(leader, other):
            away.append(other)
        elif (other.leader, other.last, other.committed, other.term) != held:
            return NOW  # it is brought up to date
        else:
            in_reach.add(other.address)
    due = [leader.health_at, leader.reconcile_at, leader.autopilot_at, gossip.next_change_at(state)]
    voters = [peer for peer in peers if peer.voter]
    if sum(voter.address in in_reach for voter in voters) < len(voters) // 2 + 1:
        due.append(leader.heard_at + LEASE)
    due.extend(server.campaign_at for server in away)
    return min(due)
