"""One process of the tool: the real engine, steps and adapter, with a virtual clock, a journal and an end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any

from runbook.changes import ChangeBegun
from runbook.errors import ErrorKind
from runbook.events import Event, StepStarted
from runbook.lab.virtual.door import EPOCH, VirtualNetwork
from runbook.lab.virtual.messages import MessageFault, PendingResult, SentRequest
from runbook.raft.model import Reach
from runbook.removals import RemovalRequested
from runbook.run_state import fold
from tests.simulation.faults import FaultRates
from tests.simulation.hosts import Hosts
from tests.simulation.invariants import IncidentChecks
from tests.simulation.network import IncidentNetwork
from tests.simulation.pending import GreenletQuestion
from tests.simulation.timeline import ActorsTimeline

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


class ToolCrash(BaseException):
    """The process is gone: nothing of it goes on, and no handler of the code under test may catch it."""


@dataclass
class CrashPoint:
    """Where this process ends: at the ``nth`` passage of a point, by a crash or a Ctrl-C."""

    point: str = ""
    nth: int = 0
    interrupt: bool = False
    passed: Counter[str] = field(default_factory=Counter)
    dead: bool = False

    def reach(self, *points: str, may_interrupt: bool = True) -> None:
        if self.dead:
            raise ToolCrash
        for point in (*points, "anywhere"):
            self.passed[point] += 1
            if point != self.point or self.passed[point] != self.nth:
                continue
            if not self.interrupt:
                self.dead = True
                raise ToolCrash
            if may_interrupt:
                raise KeyboardInterrupt
            self.nth += 1  # a signal is held until the next point at which it may be taken


class VirtualClock:
    def __init__(self, timeline: ActorsTimeline, crash: CrashPoint, checks: IncidentChecks, hosts: Hosts) -> None:
        self._hosts = hosts
        self._timeline = timeline
        self._crash = crash
        self._checks = checks

    def monotonic(self) -> float:
        return EPOCH + self._timeline.now

    def now(self) -> str:
        moment = START + timedelta(seconds=self._timeline.now + self._hosts.jumped)
        return moment.isoformat(timespec="milliseconds")

    def sleep(self, seconds: float) -> None:
        self._checks.sleeps(seconds)
        self._crash.reach("sleep")
        self._timeline.wait(self._timeline.now + max(0.0, seconds))
        self.stand_still()

    def stand_still(self) -> None:
        """Now and then the process is suspended, or its machine is."""
        seconds = self._hosts.suspension()
        if seconds:
            self._checks.suspended(seconds)
            self._timeline.wait(self._timeline.now + seconds)


class ToolNetwork(VirtualNetwork):
    """The seam of the adapter: everything that it asks takes its virtual time, and may be the last thing it does."""

    make_question = staticmethod(GreenletQuestion)  # a hundred thousand of them are switched to and fro

    def __init__(
        self,
        network: IncidentNetwork,
        timeline: ActorsTimeline,
        faults: FaultRates,
        crash: CrashPoint,
        checks: IncidentChecks,
        token: str,
        chance: Random,
    ) -> None:
        super().__init__(network, timeline, {"x-nomad-token": token})
        self._faults = faults
        self._crash = crash
        self._checks = checks
        self._chance = chance
        self._sent: list[SentRequest] = []

    def die(self) -> None:
        """The kernel closes what was open: what has not left yet never does."""
        for request in self._sent:
            if not request.sent:
                request.failed(Reach.SILENT, ErrorKind.UNREACHABLE, "the process ended")

    def _wait_alone(self, pending: PendingResult, method: str) -> None:
        if method == "DELETE":
            self._timeline.wait(self._timeline.now + self._chance.uniform(0.0, 0.01), lambda: pending.finished)
            self._crash.reach("removal in flight")
        super()._wait_alone(pending, method)
        if method == "DELETE":
            self._checks.left(surely_not=not self._sent[-1].sent)
        self._crash.reach("after removal" if method == "DELETE" else "after request")

    def _send(self, url: str, method: str, path: str, timeout: float) -> PendingResult:
        changing = method != "GET"
        fault = self._faults.fault_of_request(method, path)
        self._crash.reach("before removal" if changing else "before request", may_interrupt=self._question is None)
        befalls = fault if isinstance(fault, MessageFault) else None
        if changing:
            self._checks.sends(method, path)
            self._checks.inject_fault(fault)
            self._sent = [self._network.send(url, method, path, self._headers, timeout, befalls)]
            self._checks.sent(self._sent[0])
            return self._sent[0]
        return self._network.send(url, method, path, self._headers, timeout, befalls)


class MemoryJournal:
    """Records as the file would hold them; one whose append does not return may be torn, which is as good as absent."""

    def __init__(
        self,
        clock: VirtualClock,
        crash: CrashPoint,
        checks: IncidentChecks,
        lines: list[str],
        hang: Callable[[str], None],
        begins: Callable[[str], None],
    ) -> None:
        """``hang`` lets the disk take its time over the intent to remove the peer of this id; ``begins`` is told of
        each step.
        """
        self.lines = lines
        self._begins = begins
        self._hang = hang
        self._clock = clock
        self._records = [json.loads(line) for line in lines]
        self.state = fold(self._records)
        self._crash = crash
        self._checks = checks

    @property
    def records(self) -> list[dict[str, Any]]:
        return list(self._records)

    def emit(self, event: Event) -> None:
        """As the command line's own: a signal waits until the event is written."""
        self._crash.reach(f"before {event.kind}", "before emit", may_interrupt=False)
        line = json.dumps({"index": len(self.lines), "at": self._clock.now(), **event.record()})
        self.lines.append(line)
        if event.kind == RemovalRequested.kind:
            self._hang(event.record()["peer"])
        record = json.loads(line)
        self._records.append(record)
        self.state.apply(record, view=getattr(event, "view", None), moment=self._clock.monotonic())
        self._checks.recorded(record)
        if event.kind == StepStarted.kind:
            self._begins(record["step"])
        if event.kind != ChangeBegun.kind:  # not yet: a command follows from the look before its intent was written
            self._clock.stand_still()
        self._crash.reach(f"after {event.kind}", "after emit")
