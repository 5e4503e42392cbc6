"""The simulated cluster of a proof, what is really so in it, and the hands by which a fault befalls it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from runbook.lab.virtual.approach import Approach, Shape
from runbook.lab.virtual.world import RehearsedWorld
from runbook.proving.faults import ProofFault, ProofTimes
from runbook.proving.truth import Transcript, Truth
from runbook.simulation import consensus
from runbook.simulation.api_call import ApiRequest
from runbook.simulation.replies import snapshot_archive
from runbook.simulation.scenario import Scenario
from runbook.simulation.state import ProcessState, SimulatedServer


class ProofStage(RehearsedWorld):
    """``lost_probes`` stays empty: no try of a port is lost."""

    fault_times = ProofTimes()

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.transcript = Transcript(self.timeline)
        self.links = self.network.links
        self.lost_probes: Mapping[str, float] = {}
        self.truth = Truth(self.model, self)
        self.probed_at = float("-inf")  # when the run tried ports last, in a look or beside one
        self.away: Collection[str] = frozenset()  # whom the run has stopped, until it starts them
        self.woken: Callable[[SimulatedServer], None] = lambda _server: None
        self._open = self.links.approach
        self._leader_seen = self.model.leader()

    @property
    def now(self) -> float:
        return self.timeline.now

    @property
    def headers(self) -> Mapping[str, str]:
        """Of whoever asks with the operator's token."""
        return {name.lower(): value for name, value in self._headers.items()}

    def request_to_remove(self, peer_id: str) -> ApiRequest:
        """As the command of the product sends it."""
        return ApiRequest("DELETE", "/v1/operator/raft/peer", {"id": [peer_id]}, self.headers)

    def snapshot(self) -> bytes:
        """A state snapshot of this cluster, as it is now."""
        servers = self.model.state.servers
        return snapshot_archive(servers[self.model.leader() or next(iter(servers))])

    def moved(self) -> None:
        """An election is news for every judgement on what the tool could know."""
        leader = self.model.leader()
        if leader != self._leader_seen:
            self.truth.changes.append(self.timeline.now)
            if leader is not None:
                self.transcript.happened("leader change", f"to {leader}")
            self._leader_seen = leader

    def befall(self, fault: ProofFault) -> None:
        """Where there is nobody whom it can befall, nothing happens, and the transcript says so."""
        leader = self.truth.leader()
        what = self._act(fault, leader)
        self.transcript.happened(fault.value, what or "- there is nobody whom that can befall")
        self.truth.changes.append(self.timeline.now)
        self.network.kick()

    def _act(self, fault: ProofFault, leader: SimulatedServer | None) -> str:
        servers = list(self.model.state.servers.values())
        running = [server for server in servers if server.running]
        if fault is ProofFault.LEADER_CHANGES and leader is not None:
            consensus.step_down(self.model.state, leader)
            return leader.name
        if fault is ProofFault.ANOTHER_DIES:
            victim = next((server for server in reversed(running) if server is not leader), None)
            if victim is not None:
                self.model.kill(victim.name)
                return victim.name
        if fault is ProofFault.ONE_RETURNS:
            listed = {peer.id for peer in leader.peers} if leader else set()
            born = [server for server in servers if server.log]  # nobody else starts one that never ran
            # First who was removed; whom this run has stopped hardly anybody else starts.
            dead = [server for server in born if server.process is ProcessState.KILLED]
            for server in sorted(dead, key=lambda each: (each.name in self.away, each.raft_id in listed)):
                self.truth.back_since[server.name] = self.timeline.now
                self.links.gone.discard(server.name)
                self.model.restart(server.name)
                return server.name
            for server in (server for server in servers if server.process is ProcessState.FROZEN):
                self.truth.back_since[server.name] = self.timeline.now
                self.model.thaw(server.name)
                self.woken(server)
                return server.name
        if fault is ProofFault.ONE_DOOR and running:
            self.links.approach = Approach(Shape.ONE_DOOR, running[0].name)
            return running[0].name
        return ""

    def mend(self) -> None:
        """Every door opens again; who is dead stays so."""
        self.links.approach = self._open
        self.transcript.tell("world", "the faults are over")
