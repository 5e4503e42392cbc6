"""The simulated servers answer as real ones did: every captured reply, header by header and key by key."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from runbook.lab.simulated import SimulatedLab
from tests.lab.asking import CONFIGURATION, PEER, Reply, send

CAPTURES = Path(__file__).parent / "captures"
HOLD = 0.2  # seconds instead of five: the real length has a test of its own
HEALTH, AUTOPILOT = "/v1/operator/autopilot/health", "/v1/operator/autopilot/configuration"
READS = {
    "aghealth": "/v1/agent/health",
    "apcfg": AUTOPILOT,
    "config": CONFIGURATION,
    "config-stale": f"{CONFIGURATION}?stale",
    "health": HEALTH,
    "leader": "/v1/status/leader",
    "members": "/v1/agent/members",
    "peers": "/v1/status/peers",
    "regions": "/v1/regions",
    "self": "/v1/agent/self",
}
REFUSALS = {
    "after-refused-delete-config": ("GET", CONFIGURATION),
    "badregion": ("GET", f"{CONFIGURATION}?region=nowhere"),
    "delete-both": ("DELETE", f"{PEER}?id=nope&address=1.2.3.4:4647"),
    "delete-by-address-on-protocol-3": ("DELETE", f"{PEER}?address={{address}}"),
    "delete-by-address-on-protocol-3-again": ("DELETE", f"{PEER}?address={{address}}"),
    "delete-none": ("DELETE", PEER),
    "delete-two-addr": ("DELETE", f"{PEER}?address=1.2.3.4:4647&address={{address}}"),
    "delete-unknown-addr": ("DELETE", f"{PEER}?address=1.2.3.4:4647"),
    "delete-unknown-id": ("DELETE", f"{PEER}?id=nope"),
    "get-bad": ("PUT", CONFIGURATION),
    "transfer": ("POST", "/v1/operator/raft/transfer-leadership?id={id}"),
}
WITHOUT_LEADER = {
    "del": ("DELETE", f"{PEER}?id={{id}}"),
    "del-stale": ("DELETE", f"{PEER}?id={{id}}&stale"),
    "snapshot": ("GET", "/v1/operator/snapshot"),
} | {name: ("GET", READS[name]) for name in READS if name not in ("apcfg", "regions", "self")}


def release_1_0_18(dead: int) -> Iterator[SimulatedLab]:
    """Three servers as in the captures, of which so many followers were killed and gossip has noticed."""
    with SimulatedLab(3, version="1.0.18", gossip_delay=0.1, hold=HOLD) as lab:
        victims = [name for name in lab.names if name != lab.leader()][:dead]
        for name in victims:
            lab.kill(name)
        for name in victims:
            lab.wait_for_gossip(name, "failed")
        yield lab


@pytest.fixture(scope="module")
def healthy() -> Iterator[SimulatedLab]:
    yield from release_1_0_18(dead=0)


@pytest.fixture(scope="module")
def one_dead() -> Iterator[SimulatedLab]:
    yield from release_1_0_18(dead=1)


@pytest.fixture(scope="module")
def no_leader() -> Iterator[SimulatedLab]:
    for lab in release_1_0_18(dead=2):
        until(partial(is_leaderless, lab))
        yield lab


def is_leaderless(lab: SimulatedLab) -> bool:
    return lab.leader() is None


def until(true: Callable[[], bool]) -> None:
    """Wait up to five seconds."""
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def captured(name: str) -> Reply:
    head, _, body = (CAPTURES / f"{name}.txt").read_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")
    status, *lines = head.decode().split("\n")
    headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines)}
    return Reply(int(status.split()[1]), headers, body.rstrip(b"\n"))


def asked(lab: SimulatedLab, method: str, target: str) -> Reply:
    """Of the one running server that does not lead, or of the last one alive."""
    rows = [row for row in lab.status()["servers"] if row["state"] == "running"]
    asked = next((row for row in rows if row["name"] != lab.leader()), rows[0])
    return send(asked["http"], target.format(address=asked["rpc"], id=asked["id"]), method)


def assert_alike(reply: Reply, real: Reply) -> None:
    """Status, headers but for the moment and the length, text to the letter, and JSON by its keys and types."""
    assert reply.status == real.status
    assert heads(reply) == heads(real)
    if real.body[:1] in (b"{", b"[", b'"'):
        assert shape(reply.json) == shape(real.json)
    else:
        assert reply.text == real.text


def heads(reply: Reply) -> dict[str, str]:
    varying = ("date", "content-length")
    return {name: "" if name in varying else value for name, value in reply.headers.items()}


def shape(value: Any) -> Any:
    """Keys and types; of a list all the kinds of items that are in it. A boolean or null stays what it is."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(shape(item), sort_keys=True) for item in value})
    return value if isinstance(value, bool) or value is None else type(value).__name__


@pytest.mark.parametrize("name", READS)
def test_a_healthy_cluster_answers_as_captured(name: str, healthy: SimulatedLab) -> None:
    """What the adapters read when all is well."""
    assert_alike(asked(healthy, "GET", READS[name]), captured(f"healthy-{name}"))


@pytest.mark.parametrize("name", [name for name in READS if name != "health"])
def test_a_cluster_with_one_dead_answers_as_captured(name: str, one_dead: SimulatedLab) -> None:
    """A dead server is not to be seen in most replies: that is why there is so much to ask."""
    assert_alike(asked(one_dead, "GET", READS[name]), captured(f"onedead-{name}"))


@pytest.mark.parametrize("name", ["onedead-health", "health2"])
def test_health_beside_a_dead_server_is_429_as_text_with_json_in_it(name: str, one_dead: SimulatedLab) -> None:
    """The dead one has no contact and no time, before gossip calls it failed and after."""
    until(lambda: not asked(one_dead, "GET", HEALTH).json["Healthy"])
    reply, real = asked(one_dead, "GET", HEALTH), captured(name)
    assert (reply.status, heads(reply), reply.json["FailureTolerance"]) == (429, heads(real), 0)
    assert unanswering(reply) == unanswering(real)


def unanswering(reply: Reply) -> dict[str, Any]:
    """The row of a server that autopilot got no answer from, without what is its own."""
    row = next(row for row in reply.json["Servers"] if row["LastContact"] == "-1ns")
    return {key: value for key, value in row.items() if key not in ("ID", "Name", "Address", "SerfStatus")}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_is_worded_as_captured(name: str, healthy: SimulatedLab) -> None:
    """The text is all that tells one 500 from another, with a prefix for the hop to the leader."""
    assert_alike(asked(healthy, *REFUSALS[name]), captured(name))


@pytest.mark.parametrize("name", WITHOUT_LEADER)
def test_a_cluster_without_leader_answers_as_captured(name: str, no_leader: SimulatedLab) -> None:
    """After the hold, everything but a stale read is the same 500."""
    assert_alike(asked(no_leader, *WITHOUT_LEADER[name]), captured(f"noleader-{name}"))


def test_every_capture_is_compared() -> None:
    """A capture that nobody looks at is a fact that nobody holds the lab to."""
    used = {f"healthy-{name}" for name in READS} | {f"onedead-{name}" for name in READS}
    used |= {f"noleader-{name}" for name in WITHOUT_LEADER} | set(REFUSALS) | {"health2"}
    assert {path.stem for path in CAPTURES.glob("*.txt")} <= used
