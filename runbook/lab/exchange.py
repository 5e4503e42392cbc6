"""Where requests meet the model: one lock, the real clock, and faults on the way in and out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from runbook.clock import seconds as now
from runbook.lab.faults import TOO_MANY, Fault, FaultKind
from runbook.lab.request_log import Request, RequestLog
from runbook.simulation.api_call import ApiReply, ApiRequest, PendingReply
from runbook.simulation.cluster import TICK, SimulatedCluster
from runbook.simulation.endpoints import handle_request
from runbook.simulation.state import ProcessState

HANG_LIMIT = 600.0  # seconds; no thread of a lab waits for ever


@dataclass(frozen=True)
class Sending:
    """A reply, and over how many seconds its body is to be spread."""

    answer: ApiReply
    seconds: float = 0.0


class Exchange:
    """The model behind a lock. Whoever waits lets go of the lock, and is woken at every tick."""

    def __init__(self, model: SimulatedCluster, log: RequestLog) -> None:
        self._model = model
        self._began = now()
        self._turn = threading.Condition()
        self._faults: list[Fault] = []
        self._log = log
        self._stopped = False

    @contextmanager
    def model(self) -> Iterator[SimulatedCluster]:
        """The model at this moment, for one thread alone; those who wait look again afterwards."""
        with self._turn:
            self._model.advance(now() - self._began)
            yield self._model
            self._turn.notify_all()

    def tick_until_stopped(self) -> None:
        """What makes the lab's time pass when nobody asks anything; to be run by a thread of its own."""
        while not self._stopped:
            with self.model():
                pass
            time.sleep(TICK)

    def stop(self) -> None:
        """Let go of everybody who waits, without a reply."""
        with self._turn:
            self._stopped = True
            self._log.close()
            self._turn.notify_all()

    def wait_until(self, true: Callable[[SimulatedCluster], bool], timeout: float) -> bool:
        """Whether it became true within so many seconds."""
        deadline = now() + timeout
        with self._turn:
            while not true(self._now()):
                if now() >= deadline or self._stopped:
                    return False
                self._turn.wait(TICK)
            return True

    def inject(self, fault: Fault) -> None:
        with self._turn:
            self._faults.append(fault)

    def clear_faults(self) -> None:
        """For requests to come; one that hangs goes on hanging."""
        with self._turn:
            self._faults.clear()

    def requests(self) -> list[Request]:
        with self._turn:
            return [replace(request) for request in self._log.requests]

    def respond(self, name: str, ask: ApiRequest, target: str) -> Sending | None:
        """What server ``name`` sends back to this request; None closes the connection without a word."""
        with self._turn:
            life = self._now().server(name).life
            request = self._log.came(name, ask.method, target)
            fault = self._take_fault(name, ask)
            sending = self._meet(name, life, ask, request, fault)
            if not self._stopped:
                self._log.ended(request, sending.answer.status if sending else None)
            return sending

    def _meet(self, name: str, life: int, ask: ApiRequest, request: Request, fault: Fault | None) -> Sending | None:
        kind = fault.kind if fault else None
        if kind is FaultKind.TOO_MANY_CONNECTIONS:
            return Sending(TOO_MANY)
        if kind is FaultKind.HANG:
            self._log.ended(request)
            self._keep_waiting(name, life, HANG_LIMIT)
            return None
        if fault and kind is FaultKind.DELAY:
            self._keep_waiting(name, life, fault.seconds)
        reply = self._drive(name, life, request, ask)
        if reply is None or kind is FaultKind.LOSE_REPLY:
            return None
        if kind is FaultKind.TRUNCATE_BODY:
            return Sending(replace(reply, body=reply.body[: len(reply.body) // 2]))
        return Sending(reply, fault.seconds if fault and kind is FaultKind.SLOW_BODY else 0.0)

    def _drive(self, name: str, life: int, request: Request, ask: ApiRequest) -> ApiReply | None:
        """Ask again at every tick until there is an answer; a frozen server does not get on with it."""
        steps: PendingReply | None = None
        deadline = now() + HANG_LIMIT
        while now() < deadline and self._lives(name, life):
            server = self._now().server(name)
            if server.process is ProcessState.FROZEN:
                self._log.ended(request)
            else:
                steps = steps or handle_request(self._model.state, server, ask)
                try:
                    next(steps)
                except StopIteration as end:
                    reply: ApiReply = end.value
                    return reply
            self._turn.wait(TICK)
        return None

    def _keep_waiting(self, name: str, life: int, seconds: float) -> None:
        deadline = now() + seconds
        while (left := deadline - now()) > 0 and self._lives(name, life):
            self._turn.wait(min(left, TICK))

    def _take_fault(self, name: str, ask: ApiRequest) -> Fault | None:
        for number, fault in enumerate(self._faults):
            if fault.fits(name, ask):
                if fault.times is not None:
                    self._faults[number] = replace(fault, times=fault.times - 1)
                return fault
        return None

    def _lives(self, name: str, life: int) -> bool:
        """Whether the process that took the request still is the one that runs, or is frozen."""
        server = self._model.server(name)
        return not self._stopped and server.life == life and server.process is not ProcessState.KILLED

    def _now(self) -> SimulatedCluster:
        self._model.advance(now() - self._began)
        return self._model
