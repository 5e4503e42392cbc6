"""How the lab's tests ask a simulated server: over a socket, or the model itself with no time passing but its own."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from runbook.lab.call import Answer, Ask
from runbook.lab.endpoints import answer
from runbook.lab.model import TICK, Model

CONFIGURATION = "/v1/operator/raft/configuration"
PEER = "/v1/operator/raft/peer"
LONGEST = 200.0  # seconds of the model's time that one answer may take


@dataclass(frozen=True)
class Reply:
    """``headers`` has lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


def send(address: str, target: str, method: str = "GET", *, body: bytes | None = None, timeout: float = 10.0) -> Reply:
    """One request on a connection of its own. Raises OSError and HTTPException as the standard library does."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=timeout)
    try:
        connection.request(method, target, body)
        reply = connection.getresponse()
        headers = {name.lower(): value for name, value in reply.getheaders()}
        return Reply(reply.status, headers, reply.read())
    finally:
        connection.close()


def told(model: Model, server: str, target: str, method: str = "GET", token: str = "", body: bytes = b"") -> Answer:
    """What the model's server answers; the model's time passes until it does."""
    url = urlsplit(target)
    headers = {"x-nomad-token": token} if token else {}
    query = parse_qs(url.query, keep_blank_values=True)
    steps = answer(model.world, model.server(server), Ask(method, url.path, query, headers, body))
    give_up = model.world.now + LONGEST
    while model.world.now < give_up:
        try:
            next(steps)
        except StopIteration as end:
            reply: Answer = end.value
            return reply
        wait(model, TICK)
    raise AssertionError(f"{method} {target} was not answered in {LONGEST:g} s of the model's time")


def wait(model: Model, seconds: float) -> None:
    """Let the model's time pass."""
    model.advance(model.world.now + seconds + TICK / 2)


def peers(model: Model, server: str) -> dict[str, dict[str, Any]]:
    """The configuration as this server tells it of itself, by address."""
    rows = json.loads(told(model, server, f"{CONFIGURATION}?stale").body)["Servers"] or []
    return {row["Address"]: row for row in rows}


def followers(model: Model) -> list[str]:
    """Who runs and does not lead."""
    return [name for name, server in model.world.servers.items() if server.running and name != model.leader()]
