"""One request to a simulated server, and what every endpoint needs: region, token, staleness, the way to the leader.

An endpoint that has to wait is a generator: each ``yield`` means *not yet, ask again a moment later*.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from uuid import UUID

from runbook.lab.settings import REGION
from runbook.lab.world import Process, Server, World

NO_LEADER = "No cluster leader"
FORWARDED = "rpc error: "  # once for a hop from the asked server to its leader
FORWARD_LIMIT = 30.0  # seconds a forwarded call waits for a leader that fell silent: the connection's keep-alive
TEXT = "text/plain; charset=utf-8"
TRUTHS = {"": True} | dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True)
FALSEHOODS = dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False)


@dataclass(frozen=True)
class Ask:
    """A request as it came. ``query`` keeps every value of a repeated parameter; ``headers`` has lower-case names."""

    method: str
    path: str
    query: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = b""

    def first(self, name: str) -> str:
        return (self.query.get(name) or [""])[0]


@dataclass(frozen=True)
class Answer:
    """A reply; ``content_type`` is None where the real server sends none."""

    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


Waiting = Generator[None, None, Answer]


class ReplyError(Exception):
    """An error reply: plain text, whatever the endpoint."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.answer = Answer(status, text.encode(), TEXT)


@dataclass(frozen=True)
class Call:
    """One request at one server."""

    world: World
    server: Server
    ask: Ask

    def json(self, value: Any, status: int = HTTPStatus.OK) -> Answer:
        """An error status is written before the type is set, so JSON then travels as text."""
        pretty = "pretty" in self.ask.query
        text = json.dumps(value, indent=4) + "\n" if pretty else json.dumps(value, separators=(",", ":"))
        return Answer(status, text.encode(), "application/json" if status == HTTPStatus.OK else TEXT)

    def stale(self) -> bool:
        """Up to 1.3.9 any value means yes, even ``false``."""
        if "stale" not in self.ask.query:
            return False
        value = self.ask.first("stale")
        if not self.world.settings.at_least(1, 3, 10):
            return True
        if value not in TRUTHS | FALSEHOODS:
            text = f"Expect `true` or `false` for `stale` query string parameter, got {value}"
            raise ReplyError(HTTPStatus.BAD_REQUEST, text)
        return value in TRUTHS

    def in_region(self) -> None:
        if self.ask.first("region") not in ("", REGION):
            raise ReplyError(HTTPStatus.INTERNAL_SERVER_ERROR, "No path to region")

    def authorize(self, unknown: int = HTTPStatus.FORBIDDEN) -> None:
        """The lab has one token, a management token. ``unknown`` is an old release's status for one it never saw."""
        wanted, given = self.world.settings.token, self._token()
        if wanted is None or given == wanted:
            return
        if given and not self.world.settings.at_least(1, 6, 10):
            if not _is_uuid(given):
                text = "acl token lookup failed: index error: UUID must be 36 characters"
                raise ReplyError(HTTPStatus.INTERNAL_SERVER_ERROR, text)
            raise ReplyError(unknown, "ACL token not found")
        raise ReplyError(HTTPStatus.FORBIDDEN, "Permission denied")

    def leader(self) -> Generator[None, None, tuple[Server, str]]:
        """The server that leads and the prefix of its errors; without one, an error after the hold."""
        self.in_region()
        deadline = self.world.now + self.world.settings.hold
        while not self.server.leads:
            believed = self.world.at(self.server.leader or "")
            if believed is not None:
                yield from self._reach(believed)
                if believed.leads:
                    return believed, FORWARDED
            if self.world.now >= deadline:
                prefix = FORWARDED if believed else ""
                raise ReplyError(HTTPStatus.INTERNAL_SERVER_ERROR, prefix + NO_LEADER)
            yield
        return self.server, ""

    def whose_view(self) -> Generator[None, None, Server]:
        """Who answers a read: this server if stale is good enough, else the leader."""
        if self.stale():
            self.in_region()
            return self.server
        leader, _ = yield from self.leader()
        return leader

    def wait_with(self, leader: Server, life: int) -> Generator[None, None, None]:
        """One moment of waiting for a leader's answer; if it dies meanwhile, nobody knows what it did."""
        yield
        if leader.life != life:
            raise ReplyError(HTTPStatus.INTERNAL_SERVER_ERROR, FORWARDED + "EOF")
        yield from self._hear(leader)

    def _reach(self, leader: Server) -> Generator[None, None, None]:
        if leader.process is Process.KILLED:
            text = f"failed to get conn: dial tcp {leader.address}: connect: connection refused"
            raise ReplyError(HTTPStatus.INTERNAL_SERVER_ERROR, FORWARDED + text)
        yield from self._hear(leader)

    def _hear(self, leader: Server) -> Generator[None, None, None]:
        """Wait while the leader is silent; the call stays with it even when the others have elected another."""
        deadline, life = self.world.now + FORWARD_LIMIT, leader.life
        while leader is not self.server and not self.world.hear(self.server, leader):
            if leader.life != life or self.world.now >= deadline:
                raise ReplyError(HTTPStatus.INTERNAL_SERVER_ERROR, FORWARDED + "EOF")
            yield

    def _token(self) -> str:
        given = self.ask.headers.get("x-nomad-token", "")
        scheme, _, value = self.ask.headers.get("authorization", "").partition(" ")
        bearer = value if scheme.lower() == "bearer" and self.world.settings.at_least(1, 3, 2) else ""
        return given or bearer


def _is_uuid(text: str) -> bool:
    try:
        return len(text) == 36 and bool(UUID(text))
    except ValueError:
        return False
