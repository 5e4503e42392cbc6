"""The door of an adapter to simulated servers, and the clock of whoever waits for them: both in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import IO, Any, TypeVar

from runbook.cluster.http import Reply
from runbook.lab.virtual.messages import MessageFault, PendingResult
from runbook.lab.virtual.network import SimulatedNetwork
from runbook.lab.virtual.questions import Question, ThreadQuestion
from runbook.lab.virtual.timeline import FOREVER, Timeline
from runbook.raft.model import Reach

T = TypeVar("T")
Key = TypeVar("Key")
EPOCH = 5000.0  # the tool's monotonic clock is not the servers'


class VirtualClock:
    """``began`` is the wall time at the beginning of the timeline."""

    def __init__(self, timeline: Timeline, began: datetime) -> None:
        self._timeline, self._began = timeline, began

    def monotonic(self) -> float:
        return EPOCH + self._timeline.now

    def now(self) -> str:
        return (self._began + timedelta(seconds=self._timeline.now)).isoformat(timespec="milliseconds")

    def sleep(self, seconds: float) -> None:
        self._timeline.wait(self._timeline.now + max(0.0, seconds))


class VirtualNetwork:
    """See :class:`runbook.cluster.network.Network`. No packet leaves the process."""

    make_question: Callable[[Callable[[], Any]], Question[Any]] = staticmethod(ThreadQuestion)

    def __init__(self, network: SimulatedNetwork, timeline: Timeline, headers: Mapping[str, str]) -> None:
        """``headers`` go with every request: a token, if there is one."""
        self._network = network
        self._timeline = timeline
        self._headers = headers
        self._question: Question[Any] | None = None

    def monotonic(self) -> float:
        return EPOCH + self._timeline.now

    def sleep(self, seconds: float) -> None:
        self._timeline.wait(self._timeline.now + seconds)

    def ask(self, url: str, method: str, path: str, *, timeout: float, into: IO[bytes] | None, **_: Any) -> Reply:
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
        questions |= {key: self.make_question(partial(ask, key)) for key in first}
        waiting = ready = list(questions.values())
        while True:
            while ready:
                named = [key for question in ready for key in self._news(question, follow)]
                fresh = {key: self.make_question(partial(ask, key)) for key in named if key not in questions}
                questions |= fresh
                ready = list(fresh.values())
                waiting = [*waiting, *ready]
            waiting = [question for question in waiting if not question.over]
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
        else:
            self._wait_alone(pending, method)
        return pending.outcome()

    def _wait_alone(self, pending: PendingResult, _method: str) -> None:
        self._timeline.wait(FOREVER, lambda: pending.finished)

    def _send(self, url: str, method: str, path: str, timeout: float) -> PendingResult:
        return self._network.send(url, method, path, self._headers, timeout, self._fault_of(method, path))

    def _fault_of(self, _method: str, _path: str) -> MessageFault | None:
        return None


def _some_finished(errands: Sequence[PendingResult]) -> bool:
    for pending in errands:  # noqa: SIM110 - asked after every event, and a generator takes three times as long
        if pending.finished:
            return True
    return False
