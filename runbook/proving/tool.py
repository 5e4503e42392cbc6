"""One process of the tool in a proof: its doors to the network, to time and to its record, each with its points."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from math import inf
from pathlib import Path
from typing import IO, Any

from runbook.cluster.hashicorp.adapter import HashiCorpCluster
from runbook.cluster.http import Reply
from runbook.errors import ErrorKind
from runbook.events import Event
from runbook.lab.virtual.door import VirtualClock, VirtualNetwork
from runbook.lab.virtual.messages import PendingResult, SentRequest
from runbook.proving.checks import Checks
from runbook.proving.faults import AT_A_CHANGE, AT_A_PAUSE, AT_A_READ, OF_A_MESSAGE, ProofFault
from runbook.proving.questions import ReplayedQuestion
from runbook.proving.stage import ProofStage
from runbook.proving.watched import WatchedCluster
from runbook.raft.model import ClusterView, Reach
from runbook.run_state import RunState

REMOVAL = "DELETE"

Reach_ = Callable[[str, tuple[ProofFault, ...]], ProofFault | None]
"""Told of a point and of what can befall it there: what does, if it is for the caller to see to."""


class ProofNetwork(VirtualNetwork):
    """``reach`` sees to what befalls the servers and the tool; what befalls a request is seen to here."""

    make_question = staticmethod(ReplayedQuestion)

    def __init__(self, stage: ProofStage, checks: Checks, reach: Reach_) -> None:
        super().__init__(stage.network, stage.timeline, stage.headers)
        self._stage, self._checks = stage, checks
        self._reach = reach
        self._sent: list[SentRequest] = []
        self._fills_a_file = False
        self.for_a_file: ProofFault | None = None

    def ask(self, url: str, method: str, path: str, *, timeout: float, into: IO[bytes] | None, **more: Any) -> Reply:
        self._fills_a_file = into is not None
        return super().ask(url, method, path, timeout=timeout, into=into, **more)

    def probe(self, address: str) -> Reach:
        self._once(self._tries_a_port)
        return super().probe(address)

    def _tries_a_port(self) -> None:
        self._stage.probed_at = self._stage.now

    def monotonic(self) -> float:
        return float(self._once(super().monotonic))

    def sleep(self, seconds: float) -> None:
        self._once(lambda: super(ProofNetwork, self).sleep(seconds))

    def _once(self, tell: Callable[[], Any]) -> Any:
        question = self._question
        return question.once(tell) if isinstance(question, ReplayedQuestion) else tell()

    def _outcome(self, start: Callable[[], PendingResult], method: str) -> Any:
        return super()._outcome(lambda: self._once(start), method)

    def die(self) -> None:
        """The kernel closes what was open: what has not left yet never does."""
        for request in self._sent:
            if not request.sent:
                request.failed(Reach.SILENT, ErrorKind.UNREACHABLE, "the process ended")

    def _wait_alone(self, pending: PendingResult, method: str) -> None:
        if method in ("GET", "probe"):
            super()._wait_alone(pending, method)
            return
        self._reach(f"{method} under way", AT_A_PAUSE)
        super()._wait_alone(pending, method)
        self._checks.left(surely_not=method == REMOVAL and not self._sent[-1].sent)
        self._reach(f"after {method}", AT_A_PAUSE)

    def _send(self, url: str, method: str, path: str, timeout: float) -> PendingResult:
        place = f"{method} {path.partition('?')[0]} of {self._network.server_at(url).name}"
        if method != "GET":
            (self._checks.sends if method == REMOVAL else self._checks.changes)(method, path)
        if self._fills_a_file:
            fault, self.for_a_file = self.for_a_file, None
        else:
            fault = self._reach(place, AT_A_READ if method == "GET" else AT_A_CHANGE)
        befalls = OF_A_MESSAGE.get(fault) if fault else None
        request = self._network.send(url, method, path, self._headers, timeout, befalls)
        if method != "GET":
            self._sent.append(request)
        if method == REMOVAL:
            self._checks.sent(request)
        return request


class ProofCluster(WatchedCluster):
    """Something can befall the servers just before each look, and a state snapshot before its file is opened: a forked
    process writes into the open files of the one that it came from.
    """

    def __init__(self, inner: HashiCorpCluster, network: ProofNetwork, checks: Checks, reach: Reach_) -> None:
        super().__init__(inner, checks)
        self._network = network
        self._reach = reach

    def save_state(self, path: Path, *, within: float = inf) -> str:
        self._network.for_a_file = self._reach("GET of the state snapshot", AT_A_READ)
        return super().save_state(path, within=within)

    def look(self, *, within: float = inf) -> ClusterView:
        self._reach("a look", AT_A_PAUSE)
        return super().look(within=within)


class ProofClock(VirtualClock):
    """``timeline`` and ``began`` are those of the stage."""

    def __init__(self, stage: ProofStage, began: Any, checks: Checks, reach: Reach_) -> None:
        super().__init__(stage.timeline, began)
        self._checks = checks
        self._reach = reach

    def sleep(self, seconds: float) -> None:
        self._checks.sleeps(seconds)
        self._reach("a pause", AT_A_PAUSE)
        super().sleep(seconds)


class ProofJournal:
    """The record in memory, as the file would hold it."""

    def __init__(self, clock: ProofClock, checks: Checks, records: list[Mapping[str, Any]], reach: Reach_) -> None:
        """``records`` are those of earlier processes of the run, and grow."""
        self.records = records
        self.state = RunState()
        for record in records:
            self.state.apply(record)
        self._clock, self._checks, self._reach = clock, checks, reach

    def emit(self, event: Event) -> None:
        self._reach(f"before {event.kind}", (ProofFault.CRASH,))
        line = json.dumps({"index": len(self.records), "at": self._clock.now(), **event.record()})
        record = json.loads(line)
        self.records.append(record)
        self.state.apply(record, view=getattr(event, "view", None), moment=self._clock.monotonic())
        self._checks.recorded(record)
