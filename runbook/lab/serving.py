"""A simulated cluster on the real clock: requests go in through faults asked for by name, and every one is logged."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path

from runbook.clock import seconds as now
from runbook.errors import LabError
from runbook.simulation.api_call import TOO_MANY_CONNECTIONS, ApiReply, ApiRequest, PendingReply
from runbook.simulation.cluster import TICK, SimulatedCluster
from runbook.simulation.endpoints import handle_request
from runbook.simulation.state import ProcessState

HANG_LIMIT = 600.0  # seconds; no thread of a lab waits for ever


class FaultKind(Enum):
    DELAY = "delay"  # the request is looked at only after so many seconds
    HANG = "hang"  # it is never looked at
    TOO_MANY_CONNECTIONS = "too_many_connections"  # it is turned away
    LOSE_REPLY = "lose_reply"  # it is carried out, then the connection closes without a word
    SLOW_BODY = "slow_body"  # the body takes so many seconds to come
    TRUNCATE_BODY = "truncate_body"  # half of the body, in a well-formed reply: only the Digest tells


@dataclass(frozen=True)
class RequestFault:
    """What befalls the requests that fit. ``None`` fits all; ``path`` is a prefix; ``times`` None is for good."""

    kind: FaultKind
    server: str | None = None
    method: str | None = None
    path: str | None = None
    times: int | None = 1
    seconds: float = 1.0

    def fits(self, server: str, request: ApiRequest) -> bool:
        return (
            self.server in (None, server)
            and self.method in (None, request.method)
            and request.path.startswith(self.path or "")
            and (self.times is None or self.times > 0)
        )


def fault_kind(text: str) -> FaultKind:
    """Raises LabError, naming those there are."""
    try:
        return FaultKind(text)
    except ValueError:
        raise LabError(f"no fault {text}: there are {', '.join(kind.value for kind in FaultKind)}") from None


@dataclass(eq=False)
class LoggedRequest:
    """``path`` has the query. ``status`` is None until a reply went out, and for ever if none did."""

    server: str
    method: str
    path: str
    status: int | None = None
    time: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="milliseconds"))

    @property
    def changes(self) -> bool:
        """Whether it asked for a change, by its method."""
        return self.method not in ("GET", "HEAD")


class RequestLog:
    """In memory from the moment a request comes; in the file, one JSON line each, once its end is known."""

    def __init__(self, path: Path | None = None) -> None:
        """Raises LabError where the file cannot be written."""
        self.requests: list[LoggedRequest] = []
        self._unwritten: list[LoggedRequest] = []
        self._descriptor = -1
        if path is not None:
            try:
                self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            except OSError as error:
                raise LabError(f"cannot write {path}: {error.strerror}") from None

    def came(self, server: str, method: str, path: str) -> LoggedRequest:
        request = LoggedRequest(server, method, path)
        self.requests.append(request)
        self._unwritten.append(request)
        return request

    def ended(self, request: LoggedRequest, status: int | None = None) -> None:
        """It was answered with this status, or it is known that for now nobody answers it."""
        request.status = status
        if request in self._unwritten:
            self._unwritten.remove(request)
            if self._descriptor >= 0:  # one write, so that a line is whole even for a reader that looks meanwhile
                os.write(self._descriptor, (json.dumps(asdict(request)) + "\n").encode())

    def close(self) -> None:
        """Requests that nobody answered are written too."""
        for request in list(self._unwritten):
            self.ended(request)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@dataclass(frozen=True)
class DelayedReply:
    """A reply, and over how many seconds its body is to be spread."""

    reply: ApiReply
    seconds: float = 0.0


@dataclass(frozen=True)
class _Arrival:
    """A request that came to a server, in which of its lives, and its line in the log."""

    server: str
    life: int
    request: ApiRequest
    logged: LoggedRequest


class RealTimeCluster:
    """A simulated cluster behind a lock. Whoever waits lets go of the lock, and is woken at every tick."""

    def __init__(self, cluster: SimulatedCluster, log: RequestLog) -> None:
        self._cluster = cluster
        self._began = now()
        self._turn = threading.Condition()
        self._faults: list[RequestFault] = []
        self._log = log
        self._stopped = False

    @contextmanager
    def locked(self) -> Iterator[SimulatedCluster]:
        """The cluster at this moment, for one thread alone; those who wait look again afterwards."""
        with self._turn:
            yield self._now()
            self._turn.notify_all()

    def tick_until_stopped(self) -> None:
        """Let the time of the cluster pass when nobody asks anything; to be run by a thread of its own."""
        while not self._stopped:
            with self.locked():
                pass
            time.sleep(TICK)

    def stop(self) -> None:
        """Let go of everybody who waits, without a reply."""
        with self._turn:
            self._stopped = True
            self._log.close()
            self._turn.notify_all()

    def wait_until(self, condition: Callable[[SimulatedCluster], bool], timeout: float) -> bool:
        """Whether it became true within so many seconds."""
        deadline = now() + timeout
        with self._turn:
            while not condition(self._now()):
                if now() >= deadline or self._stopped:
                    return False
                self._turn.wait(TICK)
            return True

    def inject(self, fault: RequestFault) -> None:
        """Let this fault befall requests to come."""
        with self._turn:
            self._faults.append(fault)

    def clear_faults(self) -> None:
        """For requests to come; one that hangs goes on hanging."""
        with self._turn:
            self._faults.clear()

    def requests(self) -> list[LoggedRequest]:
        """Every request that came so far."""
        with self._turn:
            return [replace(request) for request in self._log.requests]

    def respond(self, server: str, request: ApiRequest, target: str) -> DelayedReply | None:
        """What this server sends back to a request; None closes the connection without a word."""
        with self._turn:
            life = self._now().server(server).life
            arrival = _Arrival(server, life, request, self._log.came(server, request.method, target))
            sent = self._reply_or_fault(arrival, self._take_fault(arrival))
            if not self._stopped:
                self._log.ended(arrival.logged, sent.reply.status if sent else None)
            return sent

    def _take_fault(self, arrival: _Arrival) -> RequestFault | None:
        for number, fault in enumerate(self._faults):
            if fault.fits(arrival.server, arrival.request):
                if fault.times is not None:
                    self._faults[number] = replace(fault, times=fault.times - 1)
                return fault
        return None

    def _reply_or_fault(self, arrival: _Arrival, fault: RequestFault | None) -> DelayedReply | None:
        kind = fault.kind if fault else None
        if kind is FaultKind.TOO_MANY_CONNECTIONS:
            return DelayedReply(TOO_MANY_CONNECTIONS)
        if kind is FaultKind.HANG:
            self._log.ended(arrival.logged)
            self._keep_waiting(arrival, HANG_LIMIT)
            return None
        if fault and kind is FaultKind.DELAY:
            self._keep_waiting(arrival, fault.seconds)
        reply = self._wait_for_reply(arrival)
        if reply is None or kind is FaultKind.LOSE_REPLY:
            return None
        if kind is FaultKind.TRUNCATE_BODY:
            return DelayedReply(replace(reply, body=reply.body[: len(reply.body) // 2]))
        return DelayedReply(reply, fault.seconds if fault and kind is FaultKind.SLOW_BODY else 0.0)

    def _wait_for_reply(self, arrival: _Arrival) -> ApiReply | None:
        """Ask again at every tick until there is one; a frozen server does not get on with it."""
        pending: PendingReply | None = None
        deadline = now() + HANG_LIMIT
        while now() < deadline and self._lives(arrival):
            cluster = self._now()
            server = cluster.server(arrival.server)
            if server.process is ProcessState.FROZEN:
                self._log.ended(arrival.logged)
            else:
                pending = pending or handle_request(cluster.state, server, arrival.request)
                try:
                    next(pending)
                except StopIteration as end:
                    reply: ApiReply = end.value
                    return reply
            self._turn.wait(TICK)
        return None

    def _keep_waiting(self, arrival: _Arrival, seconds: float) -> None:
        deadline = now() + seconds
        while (left := deadline - now()) > 0 and self._lives(arrival):
            self._turn.wait(min(left, TICK))

    def _lives(self, arrival: _Arrival) -> bool:
        """Whether the process that took the request still is the one that runs, or is frozen."""
        server = self._cluster.server(arrival.server)
        return not self._stopped and server.life == arrival.life and server.process is not ProcessState.KILLED

    def _now(self) -> SimulatedCluster:
        """The cluster, its time brought up to the clock's."""
        self._cluster.advance(now() - self._began)
        return self._cluster
