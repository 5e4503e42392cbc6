"""The network of an incident: what befalls it is counted, and tries of ports, answers and minimums can be lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from random import Random

from runbook.lab.virtual.approach import BALANCER, TUNNEL, Approach
from runbook.lab.virtual.messages import MessageFault, PortTry, SentRequest
from runbook.lab.virtual.network import LEADERS_READ, SimulatedNetwork, host_of
from runbook.simulation.api_call import ApiReply
from runbook.simulation.cluster import SimulatedCluster
from tests.simulation import minimum
from tests.simulation.faults import FaultRates, MomentFault
from tests.simulation.minimum import OddMinimum, Unreadable
from tests.simulation.timeline import ActorsTimeline


class IncidentNetwork(SimulatedNetwork):
    """``lost_probes`` holds when a try of a port of a server was lost last, by its name."""

    def __init__(
        self, timeline: ActorsTimeline, model: SimulatedCluster, faults: FaultRates, chance: Random, approach: Approach
    ) -> None:
        super().__init__(timeline, model, faults, chance, approach)
        self.counts: Counter[str] = Counter()
        self.lost_probes: dict[str, float] = {}
        self.lost_until = 0.0
        self.odd_minimum: Unreadable | None = None
        self._rates = faults

    def put_minimum(self, odd: Unreadable | None) -> None:
        """From now on this is answered in the place of the cluster's own minimum, or again what it is."""
        self.counts["unreadable minimum"] += odd is not None
        self.odd_minimum = odd

    def has_somebody_at(self, url: str) -> bool:
        """Whether a server that runs is, or may be, behind an address that was given."""
        if host_of(url) == BALANCER:
            return any(server.running for server in self._by_host.values())
        return (self._behind_tunnel() if host_of(url) == TUNNEL else self.server_at(url)).running

    def send(
        self, url: str, method: str, path: str, headers: Mapping[str, str], seconds: float, fault: MessageFault | None
    ) -> SentRequest:
        if self.lost_until > self._timeline.now and path.startswith(LEADERS_READ):
            fault = MessageFault.LOST_REPLY
        self.count(fault)
        return super().send(url, method, path, headers, seconds, fault)

    def probe(self, address: str, *, lost: bool = False) -> PortTry:
        fault = self._rates.fault_of_probe()
        self.count(fault)
        if fault is not None:
            self.lost_probes[self.server_at(address).name] = self._timeline.now
        return super().probe(address, lost=lost or fault is not None)

    def count(self, fault: MessageFault | MomentFault | None) -> None:
        if fault is not None:
            self.counts[fault.value] += 1

    def _altered(self, request: SentRequest, given: ApiReply) -> tuple[ApiReply, float]:
        odd = self.odd_minimum
        if odd is None or not request.path.startswith(minimum.PATH):
            return given, 0.0
        self.counts[odd.what.value] += 1
        return odd.answer(self._model.state, given), minimum.LATE if odd.what is OddMinimum.LATE else 0.0
