"""One request to a simulated server, and what every endpoint needs: region, token, staleness, the way to the leader.

An endpoint that has to wait is a generator: each ``yield`` means *not yet, ask again a moment later*.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import field
from http import HTTPStatus
from typing import Any
from uuid import UUID

from runbook.dataclass import dataclass
from runbook.simulation.agent_config import compact
from runbook.simulation.settings import REGION
from runbook.simulation.state import ClusterState, ProcessState, SimulatedServer

NO_LEADER = "No cluster leader"
FORWARDED = "rpc error: "  # once for a hop from the asked server to its leader
FORWARD_LIMIT = 30.0  # seconds a forwarded call waits for a leader that fell silent: the connection's keep-alive
TEXT = "text/plain; charset=utf-8"
TRUTHS = {"": True} | dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True)
FALSEHOODS = dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False)


@dataclass(frozen=True)
class ApiRequest:
    """A request as it came. ``query`` keeps every value of a repeated parameter; ``headers`` has lower-case names."""

    method: str
    path: str
    query: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = b""

    def first(self, name: str) -> str:
        return (self.query.get(name) or [""])[0]


@dataclass(frozen=True)
class ApiReply:
    """A reply; ``content_type`` is None where the real server sends none."""

    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


# The other 429: not autopilot's, but the limiter of connections.
TOO_MANY_CONNECTIONS = ApiReply(
    429,
    b"Your IP is issuing too many concurrent connections, please rate limit your calls",
    TEXT,
    {"Connection": "close"},
)

PendingReply = Generator[None, None, ApiReply]


class ReplyError(Exception):
    """An error reply: plain text, whatever the endpoint."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.reply = ApiReply(status, text.encode(), TEXT)


@dataclass(frozen=True)
class ApiCall:
    """One request at one server."""

    state: ClusterState
    server: SimulatedServer
    request: ApiRequest

    def json(self, value: Any, status: int = HTTPStatus.OK) -> ApiReply:
        """An error status is written before the type is set, so JSON then travels as text."""
        return self.json_text(compact(value), status)

    def json_text(self, text: str, status: int = HTTPStatus.OK) -> ApiReply:
        """The same, of what is JSON already."""
        if "pretty" in self.request.query:
            text = json.dumps(json.loads(text), indent=4) + "\n"
        return ApiReply(status, text.encode(), "application/json" if status == HTTPStatus.OK else TEXT)

    def stale(self) -> bool:
        """Up to 1.3.9 any value means yes, even ``false``."""
        if "stale" not in self.request.query:
            return False
        value = self.request.first("stale")
        if not self.state.settings.at_least(1, 3, 10):
            return True
        if value not in TRUTHS | FALSEHOODS:
            text = f"Expect `true` or `false` for `stale` query string parameter, got {value}"
            raise ReplyError(HTTPStatus.BAD_REQUEST, text)
        return value in TRUTHS

    def require_region(self) -> None:
        if self.request.first("region") not in ("", REGION):
            raise ReplyError(HTTPStatus.INTERNAL_SERVER_ERROR, "No path to region")

    def authorize(self, unknown: int = HTTPStatus.FORBIDDEN) -> None:
        """The lab has one token, a management token. ``unknown`` is an old release's status for one it never saw."""
        wanted, given = self.state.settings.token, self.request.headers.get("x-nomad-token", "")
        scheme, _, value = self.request.headers.get("authorization", "").partition(" ")
        if not given and scheme.lower() == "bearer" and self.state.settings.at_least(1, 3, 2):
            given = value
        if wanted is None or given == wanted:
            return
        if given and not self.state.settings.at_least(1, 6, 10):
            if not _is_uuid(given):
                text = "acl token lookup failed: index error: UUID must be 36 characters"
                raise ReplyError(HTTPStatus.INTERNAL_SERVER_ERROR, text)
            raise ReplyError(unknown, "ACL token not found")
        raise ReplyError(HTTPStatus.FORBIDDEN, "Permission denied")

    def leader(self) -> Generator[None, None, tuple[SimulatedServer, str]]:
        """The server that leads and the prefix of its errors; without one, an error after the hold."""
        self.require_region()
        deadline = self.state.now + self.state.settings.hold
        while not self.server.leads:
            believed = self.state.server_at(self.server.leader or "")
            if believed is not None:
                if believed.process is ProcessState.KILLED:
                    text = f"failed to get conn: dial tcp {believed.address}: connect: connection refused"
                    raise ReplyError(HTTPStatus.INTERNAL_SERVER_ERROR, FORWARDED + text)
                yield from self._hear(believed)
                if believed.leads:
                    return believed, FORWARDED
            if self.state.now >= deadline:
                prefix = FORWARDED if believed else ""
                raise ReplyError(HTTPStatus.INTERNAL_SERVER_ERROR, prefix + NO_LEADER)
            yield
        return self.server, ""

    def answering_server(self) -> Generator[None, None, SimulatedServer]:
        """Who answers a read: this server if stale is good enough, else the leader."""
        if self.stale():
            self.require_region()
            return self.server
        leader, _ = yield from self.leader()
        return leader

    def wait_with(self, leader: SimulatedServer, life: int) -> Generator[None, None, None]:
        """One moment of waiting for a leader's answer; if it dies meanwhile, nobody knows what it did."""
        yield
        if leader.life != life:
            raise ReplyError(HTTPStatus.INTERNAL_SERVER_ERROR, FORWARDED + "EOF")
        yield from self._hear(leader)

    def _hear(self, leader: SimulatedServer) -> Generator[None, None, None]:
        """Wait while the leader is silent; the call stays with it even when the others have elected another."""
        deadline, life = self.state.now + FORWARD_LIMIT, leader.life
        while leader is not self.server and not self.state.connected(self.server, leader):
            if leader.life != life or self.state.now >= deadline:
                raise ReplyError(HTTPStatus.INTERNAL_SERVER_ERROR, FORWARDED + "EOF")
            yield


def _is_uuid(text: str) -> bool:
    try:
        return len(text) == 36 and bool(UUID(text))
    except ValueError:
        return False
