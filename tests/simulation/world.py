"""The simulated cluster of one incident, and the hands that break it and mend it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from runbook.proving.truth import Transcript, Truth
from runbook.raft.model import Peer
from runbook.simulation import consensus
from runbook.simulation.cluster import SimulatedCluster
from runbook.simulation.formation import demote
from runbook.simulation.state import ProcessState, SimulatedServer
from tests.simulation.cuts import Cuts
from tests.simulation.faults import (
    BLIND_FOR,
    BLIND_RATE,
    LONGEST_PAUSE,
    ClusterFault,
    FaultRates,
    MomentFault,
    RequestFault,
)
from tests.simulation.hosts import Hosts
from tests.simulation.incident import Incident, Victim
from tests.simulation.network import IncidentNetwork
from tests.simulation.second_operator import SecondOperator
from tests.simulation.timeline import ActorsTimeline

NEVER_STABLE = "87600h"


class SimulatedWorld:
    """Everything of one incident that is not the tool."""

    def __init__(self, incident: Incident) -> None:
        self.incident = incident
        self.model = SimulatedCluster(incident.settings)
        self.timeline = ActorsTimeline(self.model, self._moved)
        self.transcript = Transcript(self.timeline)
        self.faults = FaultRates(incident.chance, incident.reading_rate, incident.removing_rate)
        latency = incident.chance("latency")
        self.network = IncidentNetwork(self.timeline, self.model, self.faults, latency, incident.approach)
        self.network.stop = self._freeze_one
        self.truth = Truth(self.model, self.network)
        self.second_run: Callable[[], None] = lambda: None
        self._chance: Random = incident.chance("victims")
        self._blinding: Random = incident.chance("blind")
        self.over = False
        self._leader = self.model.leader()
        self.hosts = Hosts(
            self.network, self.timeline, incident.chance("what befalls hosts"), suspends=incident.suspends
        )
        self.cuts = Cuts(self.model, self.network, self.timeline, self._chance, self._changed)
        operator = SecondOperator(self.model, self.network, self.truth, self._some, self._changed)
        self._do: dict[ClusterFault, Callable[[float], str | None]] = {
            ClusterFault.KILL: self._kill,
            ClusterFault.HOST_DIES: self._host_dies,
            ClusterFault.FREEZE: self._freeze,
            ClusterFault.RESTART: lambda _: self._restart(wiped=False),
            ClusterFault.WIPED_RESTART: lambda _: self._restart(wiped=True),
            ClusterFault.PARTITION: lambda lasts: self.cuts.partition(lasts, smaller=False),
            ClusterFault.MINORITY: lambda lasts: self.cuts.partition(lasts, smaller=True),
            ClusterFault.ONE_WAY: self.cuts.one_way,
            ClusterFault.TOOL_CUT_OFF: self.cuts.cut_off,
            ClusterFault.TOOL_DEAF: self.cuts.deafen,
            ClusterFault.OLD_LEADER: self._old_leader,
            ClusterFault.OPERATOR_REMOVES: lambda _: operator.removes(self._dead_and_listed()),
            ClusterFault.OPERATOR_FORCES_LEAVE: lambda _: operator.forces_leave(self._dead()),
            ClusterFault.SECOND_RUN: lambda _: self._second_run(),
            ClusterFault.FULL_QUEUE: lambda lasts: self._freeze(lasts, full=True),
            ClusterFault.MACHINE_PAUSES: self._pause,
            ClusterFault.LIFE_BETWEEN: lambda lasts: self._come_and_go(min(lasts, 20.0), often=False),
            ClusterFault.SLOW_LEADER: self._slow_leader,
            ClusterFault.SHORT_PAUSE: lambda lasts: self._pause(min(max(lasts, 3.0), 30.0)),
            ClusterFault.CRASH_LOOP: lambda lasts: self._come_and_go(lasts, often=True),
            ClusterFault.REJECT: lambda lasts: self.hosts.shut(self._all(), lasts, rejects=True),
            ClusterFault.DROP: lambda lasts: self.hosts.shut(self._all(), lasts, rejects=False),
            ClusterFault.CLOCK_JUMPS: lambda _: self.hosts.jump(),
            ClusterFault.ELECTION: self._elect_another,
            ClusterFault.SHORT_CUT: lambda lasts: self.cuts.partition(lasts, smaller=False),
        }

    def set(self) -> None:
        """The cluster as it was before the incident, and everything that will befall it."""
        incident, cluster_state = self.incident, self.model.state
        self.transcript.counts[f"{incident.settings.servers} servers"] += 1
        self.transcript.counts[incident.approach.shape.value] += 1
        if incident.non_voters:
            demote(self.model, incident.non_voters)
            cluster_state.autopilot["ServerStabilizationTime"] = NEVER_STABLE
        for victim in incident.dead:
            self.timeline.at(victim.at, lambda victim=victim: self._fall(victim))  # type: ignore[misc]
        for planned in incident.planned:
            self.timeline.at(planned.at, lambda planned=planned: self.happen(planned.what, planned.lasts))  # type: ignore[misc]

    def end_faults(self) -> None:
        """Phase two: what is broken is mended, but for those that are dead."""
        self.over = True
        self.faults.stop_faults()
        self.hosts.suspends = False
        self.cuts.heal()
        self.network.slow_until.clear()
        self.network.links.rejected.clear()
        self.network.links.dropped.clear()
        for server in self.model.state.servers.values():
            if server.process is ProcessState.FROZEN:
                self._thaw(server)
        self.transcript.tell("world", "the faults are over")

    def inject_fault(self, fault: RequestFault | None, target: Peer) -> None:
        """What happens between the look and the removal that follows from it."""
        leader, server = self.truth.leader(), self.truth.server_of(target)
        if fault is MomentFault.LEADER_STEPS_DOWN and leader:
            self._changed(lambda: consensus.step_down(self.model.state, leader))
        elif fault is MomentFault.LEADER_FREEZES and leader:
            self._freeze_one(leader, 6.0)
        elif fault is MomentFault.LEADER_DIES and leader:
            self._die(ClusterFault.KILL, leader.name)
        elif fault is MomentFault.TARGET_RETURNS and server and server.process is ProcessState.KILLED:
            self._return(server, wiped=self._chance.random() < 0.3)
        elif fault is MomentFault.VOTER_DIES and leader:
            others = [each for each in self._running() if each is not leader and each is not server]
            if others:
                self._die(ClusterFault.KILL, self._chance.choice(others).name)

    def hang_disk(self, peer_id: str) -> None:
        """The disk takes its time over an intent; half of the times its target returns meanwhile."""
        seconds = self.faults.disk_delay()
        if not seconds:
            return
        self.transcript.happened(MomentFault.SLOW_DISK.value, f"for {seconds:.0f} s")
        server = next((each for each in self._all() if each.raft_id == peer_id), None)
        if server is not None and server.process is ProcessState.KILLED and self._chance.random() < 0.5:
            self._return(server, wiped=False)
        self.timeline.wait(self.timeline.now + seconds)

    def removal_begins(self, step: str) -> None:
        """Where a playbook goes on past it, the look that it begins with may be one without a leader's answer."""
        incident = self.incident
        lenient = incident.goes_on and incident.blinded and step.endswith(".one") and not self.over
        if lenient and self._blinding.random() < BLIND_RATE:
            self.network.lost_until = self.timeline.now + BLIND_FOR
            self.transcript.happened(MomentFault.BLIND.value, step)

    # -- what happens

    def happen(self, what: ClusterFault, lasts: float) -> None:
        if self.over:
            return
        detail = self._do[what](lasts)
        if detail is not None:
            self.transcript.happened(what.value, detail)

    def _moved(self) -> None:
        """After time went on: an election is news for every judgement on what the tool could know."""
        leader = self.model.leader()
        if leader != self._leader:
            self.truth.changes.append(self.timeline.now)
            if leader is not None:
                self.transcript.happened("leader change", f"to {leader}")
            self._leader = leader

    def _changed(self, action: Callable[[], None]) -> None:
        action()
        self.truth.changes.append(self.timeline.now)
        self.network.kick()

    def _fall(self, victim: Victim) -> None:
        if victim.way in (ClusterFault.FREEZE, ClusterFault.FULL_QUEUE):
            full = victim.way is ClusterFault.FULL_QUEUE
            self._freeze_one(self.model.server(victim.name), victim.lasts, full=full)
            self.transcript.happened(victim.way.value, victim.name)
        else:
            self._die(victim.way, victim.name)

    def _die(self, what: ClusterFault, name: str) -> None:
        self._changed(lambda: self.model.kill(name))
        if what is ClusterFault.HOST_DIES:
            self.network.links.gone.add(name)
        self.transcript.happened(what.value, name)

    def _kill(self, _lasts: float) -> str | None:
        server = self._some(self._running())
        if server is None:
            return None
        self._changed(lambda: self.model.kill(server.name))
        return server.name

    def _host_dies(self, lasts: float) -> str | None:
        name = self._kill(lasts)
        if name is not None:
            self.network.links.gone.add(name)
        return name

    def _freeze(self, lasts: float, *, full: bool = False) -> str | None:
        server = self._some(self._running())
        if server is not None:
            self._freeze_one(server, lasts, full=full)
        return server.name if server else None

    def _pause(self, lasts: float) -> str | None:
        """The whole machine stands still, as a cloud does it to a guest that it moves."""
        server = self._some(self._running())
        if server is None:
            return None
        self.network.links.paused.add(server.name)
        self._freeze_one(server, min(lasts, LONGEST_PAUSE))
        return f"{server.name} for {min(lasts, LONGEST_PAUSE):g} s"

    def _freeze_one(self, server: SimulatedServer, lasts: float, *, full: bool = False) -> None:
        if server.process is ProcessState.KILLED:
            return
        if full:
            self.network.links.full.add(server.name)
        self._changed(lambda: self.model.freeze(server.name))
        self.timeline.after(lasts, lambda: self._thaw(server))

    def _thaw(self, server: SimulatedServer) -> None:
        self.network.links.full.discard(server.name)
        self.network.links.paused.discard(server.name)
        self._changed(lambda: self.model.thaw(server.name))

    def _come_and_go(self, lasts: float, *, often: bool) -> str | None:
        """A dead server comes back, and dies again before anybody has made up their mind about it."""
        server = self._some(self._dead())
        if server is not None and often:
            self.hosts.come_and_go(server, lasts, self._start_again, self._kill_again)
        elif server is not None:
            self._return(server, wiped=False)
            self.timeline.after(lasts, lambda: self._kill_again(server))
        return server.name if server else None

    def _start_again(self, server: SimulatedServer) -> None:
        if not self.over:
            self._return(server, wiped=False)

    def _kill_again(self, server: SimulatedServer) -> None:
        self._changed(lambda: self.model.kill(server.name))

    def _elect_another(self, _lasts: float) -> str | None:
        leader = self.truth.leader()
        if leader is not None:
            self._changed(lambda: consensus.step_down(self.model.state, leader))
        return leader.name if leader else None

    def _slow_leader(self, lasts: float) -> str | None:
        leader = self.truth.leader()
        if leader is not None:
            self.network.slow_until[leader.name] = self.timeline.now + lasts
        return leader.name if leader else None

    def _restart(self, *, wiped: bool) -> str | None:
        server = self._some(self._dead())
        if server is not None:
            self._return(server, wiped=wiped)
        return server.name if server else None

    def _return(self, server: SimulatedServer, *, wiped: bool) -> None:
        for lost in (self.network.links.gone, self.network.links.full, self.network.links.paused):
            lost.discard(server.name)
        self.truth.back_since[server.name] = self.timeline.now
        self._changed(lambda: self.model.restart(server.name, wiped=wiped))

    def _old_leader(self, _lasts: float) -> str | None:
        """Frozen until another leads, and thawed by the very question that it then answers."""
        leader = self.truth.leader()
        if leader is None:
            return None
        self._freeze_one(leader, 45.0)
        self.timeline.after(6.0, lambda: self.network.thaw_when_asked.add(leader.name))
        return leader.name

    def _second_run(self) -> str | None:
        self.second_run()
        return "with the same lock" if self.incident.shares_lock else "from another host"

    # -- who

    def _all(self) -> list[SimulatedServer]:
        return list(self.model.state.servers.values())

    def _running(self) -> list[SimulatedServer]:
        return [server for server in self._all() if server.running]

    def _dead(self) -> list[SimulatedServer]:
        return [server for server in self._all() if server.process is ProcessState.KILLED]

    def _dead_and_listed(self) -> list[SimulatedServer]:
        leader = self.truth.leader()
        ids = {peer.id for peer in leader.peers} if leader else set()
        return [server for server in self._dead() if server.raft_id in ids]

    def _some(self, servers: list[SimulatedServer]) -> SimulatedServer | None:
        return self._chance.choice(servers) if servers else None
