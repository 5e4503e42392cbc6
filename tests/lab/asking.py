"""How the lab's tests ask a simulated server: over a socket, or the model itself with no time passing but its own."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from runbook.simulation.api_call import ApiReply, ApiRequest
from runbook.simulation.cluster import TICK, SimulatedCluster
from runbook.simulation.endpoints import handle_request
from runbook.simulation.settings import SimulationSettings

CONFIGURATION = "/v1/operator/raft/configuration"
PEER = "/v1/operator/raft/peer"
TRANSFER = "/v1/operator/raft/transfer-leadership"
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


def told(
    model: SimulatedCluster, server: str, target: str, method: str = "GET", token: str = "", body: bytes = b""
) -> ApiReply:
    """What the model's server answers; the model's time passes until it does."""
    url = urlsplit(target)
    headers = {"x-nomad-token": token} if token else {}
    query = parse_qs(url.query, keep_blank_values=True)
    steps = handle_request(model.state, model.server(server), ApiRequest(method, url.path, query, headers, body))
    give_up = model.state.now + LONGEST
    while model.state.now < give_up:
        try:
            next(steps)
        except StopIteration as end:
            reply: ApiReply = end.value
            return reply
        wait(model, TICK)
    raise AssertionError(f"{method} {target} was not answered in {LONGEST:g} s of the model's time")


def wait(model: SimulatedCluster, seconds: float) -> None:
    """Let the model's time pass."""
    model.advance(model.state.now + seconds + TICK / 2)


def peers(model: SimulatedCluster, server: str) -> dict[str, dict[str, Any]]:
    """The configuration as this server tells it of itself, by address."""
    rows = json.loads(told(model, server, f"{CONFIGURATION}?stale").body)["Servers"] or []
    return {row["Address"]: row for row in rows}


def followers(model: SimulatedCluster) -> list[str]:
    """Who runs and does not lead."""
    return [name for name, server in model.state.servers.items() if server.running and name != model.leader()]


def cluster(servers: int = 3, **settings: Any) -> SimulatedCluster:
    return SimulatedCluster(SimulationSettings(servers=servers, **settings))


def leader_of(model: SimulatedCluster) -> str:
    name = model.leader()
    assert name is not None
    return name


def statuses(model: SimulatedCluster, of: str) -> set[str]:
    """What the gossip of the other running servers says of one."""
    others = [server for server in model.state.servers.values() if server.running and server.name != of]
    return {server.gossip[of].status.value for server in others}


def seconds_until(model: SimulatedCluster, true: Callable[[], Any], limit: float) -> float:
    began = model.state.now
    while not true():
        assert model.state.now - began < limit, f"not within {limit:g} s"
        wait(model, 0.05)
    return model.state.now - began


def terms(model: SimulatedCluster) -> int:
    return max(server.term for server in model.state.servers.values() if server.running)


def remove(model: SimulatedCluster, name: str, at: str | None = None) -> tuple[int, bytes]:
    """DELETE the peer that this server is, by id, asking the leader unless said otherwise."""
    target = f"{PEER}?id={model.server(name).raft_id}"
    reply = told(model, at or leader_of(model), target, "DELETE")
    return reply.status, reply.body
