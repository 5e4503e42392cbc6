"""Every request on its way to a simulated server and back, and every port that is tried, in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from math import floor
from random import Random
from urllib.parse import parse_qs, urlsplit

from runbook.cluster.http import CONNECT_TIMEOUT, PROBE_TIMEOUT
from runbook.errors import ErrorKind
from runbook.lab.virtual.approach import BALANCER, HTTP_PORT, TUNNEL, Approach
from runbook.lab.virtual.links import Links
from runbook.lab.virtual.messages import MessageFault, PortTry, SentRequest
from runbook.lab.virtual.timeline import Timeline
from runbook.raft.model import Reach
from runbook.raft.probes import CLOSED_PORT, MACHINE_PORTS, SSH_PORT
from runbook.simulation.api_call import TOO_MANY_CONNECTIONS, ApiReply, ApiRequest
from runbook.simulation.cluster import TICK, SimulatedCluster
from runbook.simulation.endpoints import handle_request
from runbook.simulation.state import ProcessState, SimulatedServer

SLOW = (MessageFault.SLOW_REPLY, MessageFault.SLOW_BODY)
LEADERS_READ = "/v1/operator/raft/configuration"
SLOW_READ = 7.5  # seconds: near the longest for which anybody waits for a leader's answer
TRUNCATED = (MessageFault.TRUNCATED_BODY, MessageFault.TRUNCATED_SNAPSHOT)


class FaultTimes:
    """How long what is slow takes, in seconds: no time at all, unless somebody says so."""

    def seconds(self, _fault: MessageFault | None) -> float:
        """Of a request, a reply or a body."""
        return 0.0

    def lateness(self) -> float:
        """For which the disk of a leader hangs under a removal."""
        return 0.0

    def stop(self) -> float:
        """For which a server is stopped under one."""
        return 0.0


class SimulatedNetwork:
    """Between the tools and the servers. Nothing here waits: whatever takes time is planned on the timeline."""

    def __init__(
        self, timeline: Timeline, model: SimulatedCluster, faults: FaultTimes, chance: Random, approach: Approach
    ) -> None:
        self.links = Links(approach)
        self.thaw_when_asked: set[str] = set()
        self.slow_until: dict[str, float] = {}
        self.stop: Callable[[SimulatedServer, float], None] = lambda _server, _seconds: None
        self._timeline = timeline
        self._model = model
        self._faults = faults
        self._chance = chance
        self._held: list[SentRequest] = []
        self._by_host = {server.host.strip("[]"): server for server in model.state.servers.values()}

    @property
    def now(self) -> float:
        return self._timeline.now

    def server_at(self, place: str) -> SimulatedServer:
        """By the URL of its API, or by its host and a port."""
        return self._by_host[host_of(place)]

    def _behind_tunnel(self) -> SimulatedServer:
        return self._model.server(self.links.approach.door)

    def _balanced(self) -> SimulatedServer | None:
        """Its health check takes out those at whose port nobody answers; a frozen one it may miss."""
        silent = self.links.silent
        there = [s for s in self._by_host.values() if s.process is not ProcessState.KILLED and not silent(s.name)]
        return self._chance.choice(there) if there else None

    def send(
        self, url: str, method: str, path: str, headers: Mapping[str, str], seconds: float, fault: MessageFault | None
    ) -> SentRequest:
        host, (where, query) = host_of(url), _split(path)
        through = host in (TUNNEL, BALANCER)
        behind = self._behind_tunnel() if host == TUNNEL else self._balanced() if through else self.server_at(url)
        server = behind or self._behind_tunnel()
        asked = ApiRequest(method, where, query, headers)
        request = SentRequest(server, method, path, asked, fault, through, sent=through)
        self._timeline.after(seconds, lambda: self._give_up(request), request)
        if through:
            self._pass_on(request, somebody=behind is not None)
        elif self.links.rejects(server.name, HTTP_PORT):
            refused = "a firewall refuses"
            self._timeline.after(self._latency(), lambda: request.failed(Reach.REFUSED, ErrorKind.UNREACHABLE, refused))
        elif self._silent(server, HTTP_PORT):
            none = "no packet came back"
            self._timeline.after(
                min(CONNECT_TIMEOUT, seconds), lambda: request.failed(Reach.SILENT, ErrorKind.UNREACHABLE, none)
            )
        else:
            late = self._faults.seconds(fault) if fault is MessageFault.SLOW_REQUEST else 0.0
            self._timeline.after(self._latency() + late, lambda: self.arrive(request))
        return request

    def _pass_on(self, request: SentRequest, *, somebody: bool) -> None:
        """Behind a tunnel nobody may be there any more, and before a machine that is off it hangs."""
        if not somebody:
            self._timeline.after(self._latency(), lambda: self._break(request))
        elif not self.links.silent(request.server.name):
            late = self._faults.seconds(request.fault) if request.fault is MessageFault.SLOW_REQUEST else 0.0
            self._timeline.after(self._latency() + late, lambda: self.arrive(request))

    def _break(self, request: SentRequest) -> None:
        request.over = True
        request.failed(Reach.ACCEPTED, ErrorKind.TIMEOUT, "the connection broke")

    def from_operator(self, server: SimulatedServer, method: str, path: str, headers: Mapping[str, str]) -> SentRequest:
        """Of somebody who stands elsewhere and does not wait for the answer."""
        where, query = _split(path)
        request = SentRequest(server, method, path, ApiRequest(method, where, query, headers), None)
        self.arrive(request)
        return request

    def probe(self, address: str, *, lost: bool = False) -> PortTry:
        probe, server = PortTry(), self.server_at(address)
        self._timeline.after(PROBE_TIMEOUT, lambda: probe.end(Reach.SILENT), probe)
        port = int(address.rpartition(":")[2])
        if not lost and self.links.open(server.name) and not self._silent(server, port):
            rejects = self.links.rejects(server.name, port)
            self._timeline.after(
                self._latency(), lambda: probe.end(Reach.REFUSED if rejects else _reach_of(server, port))
            )
        return probe

    def _silent(self, server: SimulatedServer, port: int) -> bool:
        """Whether no packet comes back from this port."""
        full = server.name in self.links.full and port not in MACHINE_PORTS
        return self.links.silent(server.name) or full or self.links.drops(server.name, port)

    def kick(self) -> None:
        """The servers have changed: those who wait at a frozen one try again."""
        held, self._held = self._held, []
        for request in held:
            self._step(request)

    def arrive(self, request: SentRequest) -> None:
        """It is at its server, or at what is left of it."""
        if request.finished:  # given up before it arrived: its bytes do not leave any more
            return
        if request.server.process is ProcessState.KILLED and request.through:
            self._break(request)
            return
        if request.server.process is ProcessState.KILLED:
            request.failed(Reach.REFUSED, ErrorKind.UNREACHABLE, "nothing listens there")
            return
        request.sent, request.life = True, request.server.life
        if request.fault is MessageFault.LOST_REQUEST:
            request.over = True
            return
        if request.fault is MessageFault.TOO_MANY_CONNECTIONS:
            request.over = True
            request.answered(TOO_MANY_CONNECTIONS)
            return
        if request.fault is MessageFault.STOPS:
            self.stop(request.server, self._faults.stop())
        late = self._faults.lateness() if request.fault is MessageFault.LATE else 0.0
        if late:
            self._timeline.after(late, lambda: self._step(request))
        else:
            self._step(request)

    def _step(self, request: SentRequest) -> None:
        server = request.server
        if server.process is ProcessState.KILLED or server.life != request.life:
            request.failed(Reach.ACCEPTED, ErrorKind.TIMEOUT, "the connection broke")
            return
        if server.process is ProcessState.FROZEN and not self._thawed(server, request):
            self._held.append(request)
            return
        request.steps = request.steps or handle_request(self._model.state, server, request.ask)
        newest = self._newest() if request.method == "DELETE" else None
        try:
            next(request.steps)
        except StopIteration as end:
            self._send_back(request, end.value)
        else:
            tick = (floor(self._timeline.now / TICK + 1e-6) + 1) * TICK
            self._timeline.at(tick + 1e-6, lambda: self._step(request))
        if newest is not None:
            request.entry = next(iter(self._newest() - newest), request.entry)

    def _newest(self) -> set[tuple[int, int]]:
        return {server.last for server in self._model.state.servers.values()}

    def _thawed(self, server: SimulatedServer, request: SentRequest) -> bool:
        if server.name not in self.thaw_when_asked or "agent/self" not in request.path:
            return False
        self.thaw_when_asked.discard(server.name)
        self._model.thaw(server.name)
        self._timeline.after(0.0, self.kick)  # what else it holds it goes on with, too
        return True

    def _send_back(self, request: SentRequest, given: ApiReply) -> None:
        fault, request.over = request.fault, True
        if fault in (MessageFault.LATE, MessageFault.STOPS):
            return
        if fault in (MessageFault.LOST_REPLY, MessageFault.LOST_REPLY_TO_REMOVAL):
            broken = "the connection broke"
            self._timeline.after(self._latency(), lambda: request.failed(Reach.ACCEPTED, ErrorKind.TIMEOUT, broken))
            return
        if fault in TRUNCATED:
            given = replace(given, body=given.body[: len(given.body) // 2])
        given, later = self._altered(request, given)
        late = later + (self._faults.seconds(fault) if fault in SLOW else 0.0)
        if self.slow_until.get(request.server.name, 0.0) > self._timeline.now and request.path.startswith(LEADERS_READ):
            late += SLOW_READ if "stale" not in request.path else 0.0
        self._timeline.after(self._latency() + late, lambda: self._come_back(request, given))

    def _altered(self, _request: SentRequest, given: ApiReply) -> tuple[ApiReply, float]:
        """What is sent in the place of a reply, and how many seconds later: the reply itself, at once."""
        return given, 0.0

    def _come_back(self, request: SentRequest, given: ApiReply) -> None:
        if self.links.open(request.server.name):
            request.answered(given)

    def _give_up(self, request: SentRequest) -> None:
        """Its time is over. What the server has of it, it goes on with."""
        if request.sent:
            request.failed(Reach.ACCEPTED, ErrorKind.TIMEOUT, "no whole answer in time")
        else:
            kind = ErrorKind.TIMEOUT if request.method == "GET" else ErrorKind.UNREACHABLE
            request.failed(Reach.SILENT, kind, "late")

    def _latency(self) -> float:
        return self._chance.uniform(0.0005, 0.005)


def _reach_of(server: SimulatedServer, port: int) -> Reach:
    """Of a machine that is up: ssh listens, nobody does on the closed port, and the server does while it is there."""
    if port == CLOSED_PORT:
        return Reach.REFUSED
    return Reach.REFUSED if port != SSH_PORT and server.process is ProcessState.KILLED else Reach.ACCEPTED


@lru_cache(maxsize=1000)
def host_of(place: str) -> str:
    return (urlsplit(place).hostname or "") if "://" in place else place.rpartition(":")[0].strip("[]")


@lru_cache(maxsize=1000)
def _split(path: str) -> tuple[str, Mapping[str, list[str]]]:
    parts = urlsplit(path)
    return parts.path, parse_qs(parts.query, keep_blank_values=True)
