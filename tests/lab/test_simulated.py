"""The simulated servers over real sockets: what curl, a probe and an adapter meet."""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.client
import json
import socket
import tarfile
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from runbook.errors import LabError
from runbook.lab.agent_api import get_json
from runbook.lab.simulated import SimulatedLab
from tests.clock import CLOCK
from tests.conftest import port_free_on
from tests.lab.asking import CONFIGURATION, PEER, send

COLUMNS = {"Address", "ID", "Leader", "Node", "RaftProtocol", "Voter"}


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    with SimulatedLab(5, gossip_delay=0.2) as lab:
        yield lab


def address_of(lab: SimulatedLab, name: str) -> str:
    return lab.addresses[lab.names.index(name)]


def follower(lab: SimulatedLab) -> str:
    return next(name for name in lab.names if name != lab.wait_for_leader())


def listed(lab: SimulatedLab, name: str) -> set[str]:
    """Raft addresses in this server's configuration."""
    return {row["Address"] for row in get_json(address_of(lab, name), f"{CONFIGURATION}?stale")["Servers"]}  # type: ignore[index]


@pytest.mark.parametrize("query", ["", "?stale"])
def test_the_documented_read_has_the_documented_keys(query: str, lab: SimulatedLab) -> None:
    """What Nomad's operator page shows, asked of any server."""
    for address in lab.addresses:
        reply = send(address, CONFIGURATION + query)
        assert (reply.status, reply.headers["content-type"], set(reply.json)) == (
            200,
            "application/json",
            {"Index", "Servers"},
        )
        assert [set(row) for row in reply.json["Servers"]] == [COLUMNS] * 5
        assert {row["RaftProtocol"] for row in reply.json["Servers"]} == {"3"}
        assert [row["Node"] for row in reply.json["Servers"] if row["Leader"]] == [f"{lab.leader()}.global"]


def test_the_documented_removal_by_address_works_on_protocol_2() -> None:
    """DELETE /v1/operator/raft/peer?address=IP:PORT, of a killed server, sent to a follower: 200 and nothing else."""
    with SimulatedLab(5, raft_protocol=2, gossip_delay=0.2) as lab:
        victim, asked = (name for name in lab.names if name != lab.leader() and name in ("s4", "s5"))
        lab.kill(victim)
        lab.wait_for_gossip(victim, "failed")
        reply = send(address_of(lab, asked), f"{PEER}?address={lab.raft_addresses[victim]}", "DELETE")
        assert (reply.status, reply.body, reply.headers["content-length"]) == (200, b"", "0")
        assert "content-type" not in reply.headers
        others = {lab.raft_addresses[name] for name in lab.names if name != victim}
        assert {frozenset(listed(lab, name)) for name in lab.names if name != victim} == {frozenset(others)}


def test_on_protocol_3_a_removal_is_by_id(lab: SimulatedLab) -> None:
    """By address is refused by the releases that only know protocol 3."""
    victim = follower(lab)
    lab.kill(victim)
    leader = address_of(lab, lab.wait_for_leader())
    refused = send(leader, f"{PEER}?address={lab.raft_addresses[victim]}", "DELETE")
    text = "Removing a peer by address is not supported in the current raft protocol version"
    assert (refused.status, refused.text) == (400, text)
    assert send(leader, f"{PEER}?id={lab.ids[victim]}", "DELETE").status == 200
    assert send(leader, f"{PEER}?id={lab.ids[victim]}", "DELETE").text == (
        f'id "{lab.ids[victim]}" was not found in the Raft configuration'
    )


def test_without_a_leader_a_read_is_held_five_seconds() -> None:
    """By the clock that the tool has too, since time-outs are set by it; a stale read is answered meanwhile."""
    with SimulatedLab(3) as lab:
        alive, *dead = lab.names
        for name in dead:
            lab.kill(name)
        while lab.leader():
            time.sleep(0.02)
        began = CLOCK.monotonic()
        held = threading.Thread(target=lambda: replies.append(send(address_of(lab, alive), CONFIGURATION)))
        replies: list[object] = []
        held.start()
        assert get_json(address_of(lab, alive), f"{CONFIGURATION}?stale") is not None
        assert replies == []
        while not any(request.path == CONFIGURATION for request in lab.requests):
            time.sleep(0.02)
        while not replies and CLOCK.monotonic() - began < 10:
            CLOCK.sleep(0.1)
            time.sleep(0.03)
        assert 4.9 < CLOCK.monotonic() - began < 8
        held.join(timeout=5)
        [reply] = replies
        assert (reply.status, reply.text) == (500, "No cluster leader")  # type: ignore[attr-defined]


def test_a_killed_server_refuses_and_ends_what_was_open(lab: SimulatedLab) -> None:
    """As after kill -9: both ports refuse, and no one keeps talking over an old connection."""
    name = follower(lab)
    kept = http.client.HTTPConnection(urlsplit(address_of(lab, name)).netloc, timeout=5)
    kept.request("GET", CONFIGURATION)
    kept.getresponse().read()
    lab.kill(name)
    assert kept.sock.recv(1) == b""
    kept.close()
    for port in (lab.settings.http_port, lab.settings.rpc_port):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((lab.settings.host(name), port), timeout=2)


def test_a_frozen_server_takes_connections_and_answers_when_it_is_thawed(lab: SimulatedLab) -> None:
    """An open port is no proof of life, and silence no proof of death."""
    name = follower(lab)
    lab.freeze(name)
    host = lab.settings.host(name)
    socket.create_connection((host, lab.settings.rpc_port), timeout=2).close()
    with pytest.raises(TimeoutError):
        send(address_of(lab, name), "/v1/agent/self", timeout=0.3)
    asked = threading.Thread(target=lambda: replies.append(send(address_of(lab, name), "/v1/agent/self")))
    replies: list[object] = []
    asked.start()
    time.sleep(0.2)
    assert replies == []
    lab.thaw(name)
    asked.join(timeout=5)
    assert [reply.status for reply in replies] == [200]  # type: ignore[attr-defined]


def test_a_restarted_server_is_the_same_and_a_wiped_one_is_not(lab: SimulatedLab) -> None:
    """At the same address either way."""
    name = follower(lab)
    before = lab.ids[name]
    lab.kill(name)
    lab.restart(name)
    assert own_id(lab, name) == lab.ids[name] == before
    lab.wait_for_gossip(name, "alive")
    lab.restart(name, wiped=True)
    assert own_id(lab, name) == lab.ids[name] != before


def own_id(lab: SimulatedLab, name: str) -> str:
    answer = get_json(address_of(lab, name), "/v1/agent/self")
    assert answer is not None
    return str(answer["member"]["Tags"]["id"])


def test_a_restart_that_finds_its_port_taken_leaves_the_server_killed() -> None:
    """Half a server would look like a hung one."""
    with SimulatedLab(3, gossip_delay=0.2) as lab:
        lab.kill("s2")
        with socket.create_server((lab.settings.host("s2"), lab.settings.rpc_port)):
            with pytest.raises(LabError, match="cannot listen"):
                lab.restart("s2")
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((lab.settings.host("s2"), lab.settings.http_port), timeout=2)
        lab.restart("s2")
        assert own_id(lab, "s2") == lab.ids["s2"]


def test_a_snapshot_can_be_verified_and_read(lab: SimulatedLab) -> None:
    """Gzip, a digest of the whole, three files, and the committed configuration among them."""
    reply = send(lab.addresses[0], "/v1/operator/snapshot")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/x-gzip")
    assert reply.headers["digest"] == "sha-256=" + base64.b64encode(hashlib.sha256(reply.body).digest()).decode()
    assert reply.body[:2] == b"\x1f\x8b"
    with tarfile.open(fileobj=BytesIO(gzip.decompress(reply.body))) as tar:
        files = {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]
    sums = files.pop("SHA256SUMS").decode().splitlines()
    assert sorted(sums) == sorted(f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in files.items())
    configuration = json.loads(files["meta.json"])["Configuration"]["Servers"]
    assert {row["ID"] for row in configuration} == set(lab.ids.values())


def test_every_request_is_recorded_also_one_that_is_never_answered(tmp_path: Path) -> None:
    """The proof of what was sent and what was not: who, how, where, and with which answer."""
    path = tmp_path / "requests.jsonl"
    with SimulatedLab(3, request_log=path) as lab:
        frozen = follower(lab)
        send(address_of(lab, frozen), f"{CONFIGURATION}?stale")
        send(address_of(lab, frozen), f"{PEER}?id=nope", "DELETE")
        lab.freeze(frozen)
        with pytest.raises(TimeoutError):
            send(address_of(lab, frozen), "/v1/regions", timeout=0.3)
        recorded = [(each.server, each.method, each.path, each.status, each.changes) for each in lab.requests]
    assert recorded == [
        (frozen, "GET", f"{CONFIGURATION}?stale", 200, False),
        (frozen, "DELETE", f"{PEER}?id=nope", 500, True),
        (frozen, "GET", "/v1/regions", None, False),
    ]
    written = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["server"], line["method"], line["path"], line["status"]) for line in written] == [
        each[:4] for each in recorded
    ]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_partitioned_server_still_answers_http(lab: SimulatedLab) -> None:
    """The cut lies between the servers, and the operator stands on both sides of it."""
    name = follower(lab)
    lab.partition([[name]])
    lab.wait_for_gossip(name, "failed")
    assert get_json(address_of(lab, name), f"{CONFIGURATION}?stale") is not None
    lab.heal()
    lab.wait_for_gossip(name, "alive")


def test_the_faults_that_can_be_injected(lab: SimulatedLab) -> None:
    """A lost reply was carried out, a short body does not match its digest, a slow one takes its time."""
    victim = follower(lab)
    leader = address_of(lab, lab.wait_for_leader())
    lab.kill(victim)
    lab.inject("lose_reply", method="DELETE")
    with pytest.raises((http.client.HTTPException, OSError)):
        send(leader, f"{PEER}?id={lab.ids[victim]}", "DELETE")
    assert "was not found" in send(leader, f"{PEER}?id={lab.ids[victim]}", "DELETE").text
    lab.inject("too_many_connections")
    limited = send(leader, "/v1/operator/autopilot/health")
    assert (limited.status, limited.text[:19]) == (429, "Your IP is issuing ")
    lab.inject("truncate_body", path="/v1/operator/snapshot")
    short = send(leader, "/v1/operator/snapshot")
    assert base64.b64encode(hashlib.sha256(short.body).digest()).decode() not in short.headers["digest"]
    lab.inject("slow_body", path="/v1/regions", seconds=0.3)
    began = time.monotonic()
    assert send(leader, "/v1/regions").json == ["global"]
    assert time.monotonic() - began > 0.25
    with pytest.raises(LabError, match="no fault x: there are delay, hang"):
        lab.inject("x")


def test_a_lab_that_was_stopped_leaves_no_thread_and_no_listener() -> None:
    """A rehearsal must not leave a cluster behind that a later command could take for the real one."""
    before = set(threading.enumerate())
    lab = SimulatedLab(3)
    lab.start()
    lab.freeze("s2")
    with pytest.raises(TimeoutError):
        send(address_of(lab, "s2"), "/v1/regions", timeout=0.1)
    lab.stop()
    lab.stop()
    deadline = time.monotonic() + 5
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert set(threading.enumerate()) <= before
    for host in map(lab.settings.host, lab.names):
        socket.create_server((host, lab.settings.http_port)).close()


def test_a_port_in_use_is_told_and_nothing_stays_open() -> None:
    """The third server cannot start, so the first two must not be left."""
    port = port_free_on("127.0.0.11", "127.0.0.12", "127.0.0.13")
    lab = SimulatedLab(3, octet=0, http_port=port)
    with socket.create_server(("127.0.0.13", port)), pytest.raises(LabError, match=rf"127\.0\.0\.13:{port}.*in use"):
        lab.start()
    socket.create_server(("127.0.0.11", port)).close()


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /v1/regions\r\n\r\n",
        b"\x16\x03\x01 not http\r\n\r\n",
        b"GET //[ HTTP/1.1\r\n\r\n",
        b"BREW / HTTP/1.1\r\n\r\n",
    ],
)
def test_no_odd_request_hurts_a_server(
    request_line: bytes, lab: SimulatedLab, capsys: pytest.CaptureFixture[str]
) -> None:
    """A scanner or a TLS client at the wrong port: the next caller is served, and nothing is printed."""
    host = lab.settings.host("s1")
    with socket.create_connection((host, lab.settings.http_port), timeout=2) as connection:
        connection.sendall(request_line)
        connection.settimeout(2)
        connection.recv(1000)
    assert get_json(lab.addresses[0], "/v1/regions") == ["global"]
    assert capsys.readouterr().err == ""
