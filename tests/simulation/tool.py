"""One process of the tool: the real engine, steps and adapter, with a virtual clock, a journal and an end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from math import inf
from pathlib import Path
from random import Random
from typing import IO, Any, TypeVar

from runbook.changes import ChangeBegun
from runbook.cluster.hashicorp.adapter import HashiCorpCluster
from runbook.cluster.http import Reply
from runbook.errors import ErrorKind
from runbook.events import Event, StepStarted
from runbook.raft.model import ClusterView, Peer, Reach
from runbook.removals import RemovalRequested
from runbook.run_state import fold
from tests.simulation.faults import FaultRates
from tests.simulation.hosts import Hosts
from tests.simulation.invariants import Checks
from tests.simulation.messages import Request
from tests.simulation.network import SimulatedNetwork
from tests.simulation.pending import PendingResult, Question
from tests.simulation.timeline import FOREVER, Timeline

T = TypeVar("T")
Key = TypeVar("Key")
START = datetime(2026, 1, 1, tzinfo=timezone.utc)
EPOCH = 5000.0  # the tool's monotonic clock is not the servers'


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
    def __init__(self, timeline: Timeline, crash: CrashPoint, checks: Checks, hosts: Hosts) -> None:
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


class ToolNetwork:
    """The seam of the adapter: everything that it asks takes its virtual time, and may be the last thing it does."""

    def __init__(
        self,
        network: SimulatedNetwork,
        timeline: Timeline,
        faults: FaultRates,
        crash: CrashPoint,
        checks: Checks,
        token: str,
        chance: Random,
    ) -> None:
        self._network = network
        self._timeline = timeline
        self._faults = faults
        self._crash = crash
        self._checks = checks
        self._headers = {"x-nomad-token": token}
        self._chance = chance
        self._question: Question[Any] | None = None
        self._sent: list[Request] = []

    def die(self) -> None:
        """The kernel closes what was open: what has not left yet never does."""
        for request in self._sent:
            if not request.sent:
                request.failed(Reach.SILENT, ErrorKind.UNREACHABLE, "the process ended")

    def monotonic(self) -> float:
        return EPOCH + self._timeline.now

    def sleep(self, seconds: float) -> None:
        self._timeline.wait(self._timeline.now + seconds)

    def ask(
        self, url: str, method: str, path: str, *, timeout: float, limit: int, into: IO[bytes] | None, **_: Any
    ) -> Reply:
        reply: Reply = self._outcome(lambda: self._send(url, method, path, timeout), method)
        if into is not None and reply.status == 200:
            into.write(reply.body)
            return Reply(reply.status, reply.headers, b"")
        return reply

    def probe(self, address: str) -> Reach:
        reach: Reach = self._outcome(lambda: self._network.probe(address), "probe")
        return reach

    def gather(
        self, first: Iterable[Key], ask: Callable[[Key], T], follow: Callable[[T], Iterable[Key]], seconds: float
    ) -> dict[Key, T | None]:
        questions: dict[Key, Question[T]] = {}
        try:
            return self._gather(questions, first, ask, follow, self._timeline.now + seconds)
        finally:
            for question in questions.values():
                question.drop()

    def _gather(
        self,
        questions: dict[Key, Question[T]],
        first: Iterable[Key],
        ask: Callable[[Key], T],
        follow: Callable[[T], Iterable[Key]],
        until: float,
    ) -> dict[Key, T | None]:
        questions |= {key: Question(partial(ask, key)) for key in first}
        ready = list(questions.values())
        while True:
            while ready:
                named = [key for question in ready for key in self._news(question, follow)]
                fresh = [key for key in dict.fromkeys(named) if key not in questions]
                questions |= {key: Question(partial(ask, key)) for key in fresh}
                ready = [questions[key] for key in fresh]
            waiting = [question for question in questions.values() if not question.over]
            if not waiting or self._timeline.now >= until:
                return {key: question.answer for key, question in questions.items()}
            errands = [question.waits_for for question in waiting]
            self._timeline.wait(until, partial(_some_finished, errands))
            ready = [question for question in waiting if question.waits_for.finished]

    def _news(self, question: Question[T], follow: Callable[[T], Iterable[Key]]) -> list[Key]:
        self._question = question
        try:
            question.go_on()
        finally:
            self._question = None
        return list(follow(question.answer)) if question.over else []  # type: ignore[arg-type]

    def _outcome(self, start: Callable[[], PendingResult], method: str) -> Any:
        pending = start()
        if self._question is not None:
            self._question.wait_for(pending)
            return pending.outcome()
        if method == "DELETE":
            self._timeline.wait(self._timeline.now + self._chance.uniform(0.0, 0.01), lambda: pending.finished)
            self._crash.reach("removal in flight")
        self._timeline.wait(FOREVER, lambda: pending.finished)
        if method == "DELETE":
            self._checks.left(surely_not=not self._sent[-1].sent)
        self._crash.reach("after removal" if method == "DELETE" else "after request")
        return pending.outcome()

    def _send(self, url: str, method: str, path: str, timeout: float) -> PendingResult:
        changing = method != "GET"
        fault = self._faults.fault_of_request(method, path)
        self._crash.reach("before removal" if changing else "before request", may_interrupt=self._question is None)
        if changing:
            self._checks.sends(method, path)
            self._checks.inject_fault(fault)
            self._sent = [self._network.send(url, method, path, self._headers, timeout, fault)]
            self._checks.sent(self._sent[0])
            return self._sent[0]
        return self._network.send(url, method, path, self._headers, timeout, fault)


def _some_finished(errands: Sequence[PendingResult]) -> bool:
    for pending in errands:  # noqa: SIM110 - asked after every event, and a generator takes three times as long
        if pending.finished:
            return True
    return False


class WatchedCluster:
    """The real adapter; what it shows is compared with the truth before anybody decides on it."""

    secrets: tuple[str, ...] = ()

    def __init__(self, inner: HashiCorpCluster, checks: Checks) -> None:
        self.name = inner.name
        self._inner = inner
        self._checks = checks

    def look(self, *, within: float = inf) -> ClusterView:
        self._checks.look_begins()
        view = self._inner.look(within=within)
        self._checks.looked(view)
        return view

    def probe(self, addresses: Collection[str]) -> Mapping[str, Reach]:
        return self._inner.probe(addresses)

    def remove_peer(self, peer: Peer, *, within: float = inf) -> None:
        self._checks.removes(peer)
        self._inner.remove_peer(peer, within=within)

    def save_state(self, path: Path, *, within: float = inf) -> str:
        return self._inner.save_state(path, within=within)


class MemoryJournal:
    """Records as the file would hold them; one whose append does not return may be torn, which is as good as absent."""

    def __init__(
        self,
        clock: VirtualClock,
        crash: CrashPoint,
        checks: Checks,
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
