"""One request, and one try of a port, on their way; the tool learns of each what the real client would tell it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from runbook.cluster.http import Reply
from runbook.errors import ErrorKind, LabError, NoAnswerError
from runbook.raft.model import Reach
from runbook.simulation.api_call import ApiReply, ApiRequest, PendingReply
from runbook.simulation.state import SimulatedServer


class MessageFault(Enum):
    """What befalls one request on its way, or its reply."""

    LOST_REQUEST = "lost request"
    LOST_REPLY = "lost reply"
    LOST_REPLY_TO_REMOVAL = "lost reply to a removal"
    SLOW_REQUEST = "slow request"
    SLOW_REPLY = "slow reply"
    SLOW_BODY = "slow body"
    TRUNCATED_BODY = "truncated body"
    TRUNCATED_SNAPSHOT = "truncated snapshot"
    TOO_MANY_CONNECTIONS = "429 of the connection limiter"
    LATE = "removal is given up and carried out later"
    STOPS = "asked server stops under a removal"


class PendingResult(Protocol):
    """Something on its way that will be finished, well or badly."""

    finished: bool

    def outcome(self) -> Any:
        """The answer. Raises what went wrong instead."""


@dataclass(eq=False)
class SentRequest:
    """One request, from the first byte to the last; a pending result.

    ``finished`` says that the tool has done with it, ``over`` that the server has. ``entry`` is what it put into a log.
    ``through``: a tunnel or a load balancer took it, so the tool's connection says nothing of the server.
    """

    server: SimulatedServer
    method: str
    path: str
    ask: ApiRequest
    fault: MessageFault | None
    through: bool = False
    sent: bool = False
    life: int = 0
    over: bool = False
    entry: tuple[int, int] | None = None
    steps: PendingReply | None = None
    finished: bool = False
    reply: Reply | None = None
    error: NoAnswerError | None = None

    def outcome(self) -> Reply:
        if self.reply is None:
            raise self.error or LabError(f"{self.method} {self.path} is on its way still")
        return self.reply

    def answered(self, given: ApiReply) -> None:
        headers = {name.lower(): value for name, value in given.headers.items()}
        if not self.finished:
            self.finished, self.reply = True, Reply(given.status, headers, given.body)

    def failed(self, reach: Reach, otherwise: ErrorKind, what: str) -> None:
        """The same words, reaches and kinds as the real client's."""
        if self.finished:
            return
        trouble = ErrorKind.AMBIGUOUS if self.sent and self.method != "GET" else otherwise
        place = f"{self.method} http://{self.server.host}{self.path}"
        self.finished, self.error = True, NoAnswerError(reach, trouble, f"{place}: {what}", "Look again")


@dataclass(eq=False)
class PortTry:
    """One try of a port."""

    finished: bool = False
    reach: Reach = Reach.SILENT

    def outcome(self) -> Reach:
        return self.reach

    def end(self, reach: Reach) -> None:
        if not self.finished:
            self.finished, self.reach = True, reach
