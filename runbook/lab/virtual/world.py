"""The simulated cluster of a scenario in virtual time, and the hands that break it and mend it as the scenario says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from runbook.cluster.hashicorp.adapter import HashiCorpCluster
from runbook.cluster.hashicorp.dialects import NOMAD
from runbook.cluster.http import HttpSettings
from runbook.errors import LabError
from runbook.lab.virtual.approach import HTTP_PORT, Approach, Shape
from runbook.lab.virtual.door import VirtualNetwork
from runbook.lab.virtual.messages import MessageFault
from runbook.lab.virtual.network import FaultTimes, SimulatedNetwork
from runbook.lab.virtual.timeline import FOREVER, Timeline
from runbook.simulation import consensus
from runbook.simulation.cluster import SimulatedCluster
from runbook.simulation.formation import demote, leave_out
from runbook.simulation.scenario import FOLLOWER, LEADER, Doors, Scenario, ScenarioFault, Token
from runbook.simulation.state import ProcessState, SimulatedServer

WRONG_TOKEN = "00000000-0000-4000-8000-000000000000"  # noqa: S105 - which nobody knows
NEVER_STABLE = "87600h"
SHAPES = {
    Doors.ALL: Shape.OPEN,
    Doors.ONE: Shape.ONE_DOOR,
    Doors.TUNNEL: Shape.TUNNEL,
    Doors.BALANCER: Shape.BALANCER,
    Doors.FAR_BALANCER: Shape.FAR_BALANCER,
}


class RehearsedNetwork(VirtualNetwork):
    """``for_removals`` befalls the next removals that are sent, each one of them."""

    def __init__(self, network: SimulatedNetwork, timeline: Timeline, headers: Mapping[str, str]) -> None:
        super().__init__(network, timeline, headers)
        self.for_removals: list[MessageFault] = []

    def _fault_of(self, method: str, _path: str) -> MessageFault | None:
        return self.for_removals.pop(0) if method == "DELETE" and self.for_removals else None


class RehearsedWorld:
    """``impossible`` says at the end which fault could not befall the cluster as it was then; empty where all could."""

    fault_times = FaultTimes()

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.impossible = ""
        self.model = SimulatedCluster(scenario.settings)
        self.timeline = Timeline(self.model, self.moved)
        approach = Approach(SHAPES[scenario.doors], scenario.door)
        latency = Random(scenario.settings.seed)  # noqa: S311 - a rehearsal must be repeatable, and guards no secret
        self.network = SimulatedNetwork(self.timeline, self.model, self.fault_times, latency, approach)
        given = scenario.settings.token if scenario.token is Token.RIGHT else WRONG_TOKEN
        self._headers = {} if scenario.token is Token.NONE else {"X-Nomad-Token": str(given)}
        sent = {name.lower(): value for name, value in self._headers.items()}
        self._door = RehearsedNetwork(self.network, self.timeline, sent)
        self._addresses = approach.addresses(scenario.settings, self._all_addresses())
        self._names = {server.raft_id: server.name for server in self.model.state.servers.values()}
        self._do: Mapping[str, Callable[[ScenarioFault], None]] = {
            "cut": self._cut,
            "heal": lambda _fault: self._heal(),
            "step_down": lambda _fault: consensus.step_down(self.model.state, self._leader()),
            "lose_requests": lambda fault: self._lose(MessageFault.LOST_REQUEST, fault.count),
            "lose_replies": lambda fault: self._lose(MessageFault.LOST_REPLY_TO_REMOVAL, fault.count),
        }
        self._do_to: Mapping[str, Callable[[SimulatedServer, ScenarioFault], None]] = {
            "kill": lambda server, _fault: self._kill(server),
            "power_off": self._power_off,
            "freeze": self._freeze,
            "hang": self._freeze,
            "pause": self._freeze,
            "thaw": lambda server, _fault: self._thaw(server),
            "restart": lambda server, _fault: self._restart(server, wiped=False),
            "wipe": lambda server, _fault: self._restart(server, wiped=True),
            "cut_off": self._cut_off,
            "refuse": self._refuse,
            "slow": self._slow,
            "remove": lambda server, _fault: self._remove(server),
        }
        if scenario.non_voters:
            demote(self.model, scenario.non_voters)
            self.model.state.autopilot["ServerStabilizationTime"] = NEVER_STABLE
        leave_out(self.model, scenario.unborn)
        for fault in scenario.faults:
            self.timeline.at(fault.at, lambda fault=fault: self._befall(fault))  # type: ignore[misc]

    def cluster(self, through: VirtualNetwork | None = None) -> HashiCorpCluster:
        """The real adapter on it, as the operator of this scenario reaches it, by the usual door or another."""
        settings, door = HttpSettings(self._headers), through or self._door
        return HashiCorpCluster(NOMAD, self._addresses, settings, None, door, name=self.scenario.name)

    def moved(self) -> None:
        """Time went on."""

    def name_of(self, raft_id: str) -> str:
        """Whose id it is or was; the id itself where it was nobody's."""
        self._names |= {server.raft_id: server.name for server in self.model.state.servers.values()}
        return self._names.get(raft_id, raft_id)

    def leader(self) -> str | None:
        return self.model.leader()

    def voters(self) -> tuple[str, ...]:
        """Of the newest configuration: the leader's, else that of the furthest log."""
        servers = self.model.state.servers
        leader = self.model.leader()
        newest = servers[leader] if leader else max(servers.values(), key=lambda server: server.last)
        return tuple(sorted(self.name_of(peer.id) for peer in newest.peers if peer.voter))

    def _all_addresses(self) -> tuple[str, ...]:
        port = self.scenario.settings.http_port
        born = [server for server in self.model.state.servers.values() if server.name not in self.scenario.unborn]
        return tuple(f"http://{server.host}:{port}" for server in born)

    # -- what befalls it

    def _befall(self, fault: ScenarioFault) -> None:
        if self.impossible:
            return
        try:
            word = fault.kind.word
            if word in self._do:
                self._do[word](fault)
            for name in fault.servers:
                self._do_to[word](self._server(name), fault)
        except LabError as error:
            self.impossible = f"{fault.mark.path}:{fault.mark.line}: at {fault.at:g} s {fault.words} cannot be: {error}"
        self.network.kick()

    def _server(self, name: str) -> SimulatedServer:
        if name == LEADER:
            return self._leader()
        if name != FOLLOWER:
            return self.model.server(name)
        running = [server for server in self.model.state.servers.values() if server.running and not server.leads]
        if not running:
            raise LabError("no follower runs then")
        return running[0]

    def _leader(self) -> SimulatedServer:
        name = self.model.leader()
        if name is None:
            raise LabError("nobody leads then")
        return self.model.server(name)

    def _later(self, fault: ScenarioFault, action: Callable[[], None]) -> None:
        def end() -> None:
            action()
            self.network.kick()

        if fault.lasts is not None:
            self.timeline.after(fault.lasts, end)

    def _kill(self, server: SimulatedServer) -> None:
        if server.process is ProcessState.KILLED:
            raise LabError(f"{server.name} is dead already")
        self.model.kill(server.name)

    def _power_off(self, server: SimulatedServer, _fault: ScenarioFault) -> None:
        self._kill(server)
        self.network.links.gone.add(server.name)

    def _freeze(self, server: SimulatedServer, fault: ScenarioFault) -> None:
        self.model.freeze(server.name)
        if fault.kind.word == "hang":
            self.network.links.full.add(server.name)
        elif fault.kind.word == "pause":
            self.network.links.paused.add(server.name)
        self._later(fault, lambda: self._thaw(server))

    def _thaw(self, server: SimulatedServer) -> None:
        self.network.links.full.discard(server.name)
        self.network.links.paused.discard(server.name)
        self.model.thaw(server.name)

    def _restart(self, server: SimulatedServer, *, wiped: bool) -> None:
        for lost in (self.network.links.gone, self.network.links.full, self.network.links.paused):
            lost.discard(server.name)
        self.model.restart(server.name, wiped=wiped)

    def _cut(self, fault: ScenarioFault) -> None:
        self.model.partition([list(group) for group in fault.groups])
        self._later(fault, self.model.heal)

    def _cut_off(self, server: SimulatedServer, fault: ScenarioFault) -> None:
        self.network.links.blocked.add(server.name)
        self._later(fault, lambda: self.network.links.blocked.discard(server.name))

    def _refuse(self, server: SimulatedServer, fault: ScenarioFault) -> None:
        rejected = self.network.links.rejected
        rejected[server.name] = (HTTP_PORT, self.scenario.settings.rpc_port)

        def open_again() -> None:
            rejected.pop(server.name, None)

        self._later(fault, open_again)

    def _heal(self) -> None:
        self.model.heal()
        self.network.links.blocked.clear()
        self.network.links.rejected.clear()

    def _slow(self, server: SimulatedServer, fault: ScenarioFault) -> None:
        lasts = FOREVER if fault.lasts is None else fault.lasts
        self.network.slow_until[server.name] = self.timeline.now + lasts

    def _remove(self, server: SimulatedServer) -> None:
        path = f"/v1/operator/raft/peer?id={server.raft_id}"
        token = {"x-nomad-token": self.scenario.settings.token or ""}
        self.network.from_operator(self._leader(), "DELETE", path, token)

    def _lose(self, what: MessageFault, count: int) -> None:
        self._door.for_removals += [what] * count
