"""What one request is answered, by release, protocol, token and asked server: docs/servers/nomad.md as tables."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from tests.lab.asking import (
    CONFIGURATION,
    PEER,
    TRANSFER,
    cluster,
    followers,
    leader_of,
    peers,
    remove,
    seconds_until,
    told,
    wait,
)

HEALTH = "/v1/operator/autopilot/health"


@pytest.mark.parametrize(("version", "soonest", "latest"), [("1.0.18", 0.0, 2.1), ("1.11.3", 35.0, 50.0)])
def test_health_notices_a_death_soon_or_late_by_release(version: str, soonest: float, latest: float) -> None:
    """From 1.4 on a silent server keeps its last figures, and stays healthy until gossip calls it failed."""
    model = cluster(version=version)
    wait(model, 3)
    assert told(model, leader_of(model), HEALTH).status == 200
    model.kill(followers(model)[0])
    late = seconds_until(model, lambda: told(model, leader_of(model), HEALTH).status == 429, latest)
    assert late >= soonest


def test_up_to_1_3_a_dead_server_makes_live_ones_flap_in_health() -> None:
    """Up to 1.3 one deadline is shared, so `Healthy: false` alone never proves a death."""
    model = cluster(version="1.0.18")
    dead = followers(model)[0]
    model.kill(dead)
    accused = set()
    for _ in range(60):
        wait(model, 2)
        rows = json.loads(told(model, leader_of(model), HEALTH).body)["Servers"]
        accused |= {row["Name"] for row in rows if not row["Healthy"]}
    assert accused > {f"{dead}.global"}


REMOVALS: list[tuple[str, int, str, int, str]] = [
    ("1.0.18", 2, "address={address}", 200, ""),
    ("1.0.18", 2, "id={address}", 200, ""),
    ("1.0.18", 2, "id={uuid}", 500, 'id "{uuid}" was not found in the Raft configuration'),
    ("1.0.18", 2, "address={host}:4648", 500, 'address "{host}:4648" was not found in the Raft configuration'),
    ("1.0.18", 3, "id={uuid}", 200, ""),
    ("1.0.18", 3, "id={upper}", 500, 'id "{upper}" was not found in the Raft configuration'),
    ("1.0.18", 3, "address={address}", 500, "operation not supported with current protocol version"),
    ("1.0.18", 3, "id=", 500, 'id "" was not found in the Raft configuration'),
    ("1.0.18", 3, "id=nope&id={uuid}", 500, 'id "nope" was not found in the Raft configuration'),
    ("1.0.18", 3, "id={uuid}&address={address}", 400, "Must specify only one of ?id or ?address"),
    ("1.11.3", 3, "id={uuid}", 200, ""),
    ("1.11.3", 3, "id={uuid}&id=nope", 200, ""),
    ("1.11.3", 3, "id={uuid}&stale", 200, ""),
    ("1.11.3", 3, "", 400, "Must specify the peer's ID to remove"),
    (
        "1.11.3",
        3,
        "address={address}",
        400,
        "Removing a peer by address is not supported in the current raft protocol version",
    ),
]


@pytest.mark.parametrize(("version", "protocol", "query", "status", "text"), REMOVALS)
def test_a_removal_answers_by_release_and_protocol(
    version: str, protocol: int, query: str, status: int, text: str
) -> None:
    """Exact ids only, by address on protocol 2 only, and of a repeated parameter the first alone."""
    model = cluster(5, version=version, raft_protocol=protocol)
    target = model.server(followers(model)[0])
    words = {
        "address": target.address,
        "host": target.host,
        "uuid": target.uuid,
        "upper": target.uuid.upper(),
    }
    model.kill(target.name)
    reply = told(model, leader_of(model), f"{PEER}?{query.format(**words)}", "DELETE")
    assert (reply.status, reply.body.decode()) == (status, text.format(**words))
    assert (target.address in peers(model, leader_of(model))) == (status != 200)


def test_each_hop_to_the_leader_adds_its_prefix_to_an_error() -> None:
    """Each hop to the leader adds it, so texts are told apart by what they end with."""
    model = cluster()
    text = b'id "nope" was not found in the Raft configuration'
    assert told(model, leader_of(model), f"{PEER}?id=nope", "DELETE").body == text
    assert told(model, followers(model)[0], f"{PEER}?id=nope", "DELETE").body == b"rpc error: " + text


TRANSFERS: list[tuple[str, str, str, int, str]] = [
    ("1.6.10", "PUT", "?id={uuid}", 404, "Invalid method"),
    ("1.11.3", "GET", "?id={uuid}", 405, "Invalid method"),
    ("1.11.3", "PUT", "", 400, "must specify id or address"),
    ("1.11.3", "POST", "?id=nope", 400, 'id "nope" was not found in the Raft configuration'),
]


@pytest.mark.parametrize(("version", "method", "query", "status", "text"), TRANSFERS)
def test_a_transfer_that_is_not_understood_moves_nothing(
    version: str, method: str, query: str, status: int, text: str
) -> None:
    """By release, and an unknown id is no 500 here as it is of a removal."""
    model = cluster(3, version=version)
    leader = leader_of(model)
    uuid = model.server(followers(model)[0]).uuid
    reply = told(model, leader, TRANSFER + query.format(uuid=uuid), method)
    assert (reply.status, reply.body.decode(), leader_of(model)) == (status, text, leader)


def test_a_transfer_says_from_whom_to_whom_and_whether_there_was_anything_to_do() -> None:
    """Asked of any server, by PUT or POST, as Nomad 2.0.5 was seen to answer."""
    model = cluster(3)
    for method, door in (("PUT", leader_of(model)), ("POST", followers(model)[0])):
        before, to = (model.server(name) for name in (leader_of(model), followers(model)[1]))
        reply = told(model, door, f"{TRANSFER}?id={to.uuid}", method)
        ends = {"From": {"Address": before.address, "ID": before.uuid}, "To": {"Address": to.address, "ID": to.uuid}}
        assert (reply.status, json.loads(reply.body)) == (200, {"Err": None, "Noop": False, **ends})
        assert leader_of(model) == to.name
        again = told(model, door, f"{TRANSFER}?id={to.uuid}", method)
        assert (again.status, json.loads(again.body)["Noop"], leader_of(model)) == (200, True, to.name)


def test_without_a_leader_a_transfer_is_503_after_the_hold() -> None:
    model = cluster(3)
    left, uuid = leader_of(model), model.server(followers(model)[0]).uuid
    for name in followers(model):
        model.kill(name)
    seconds_until(model, lambda: model.leader() is None, 1)
    reply = told(model, left, f"{TRANSFER}?id={uuid}", "PUT")
    assert (reply.status, reply.body) == (503, b"No cluster leader")


def test_the_last_voter_is_the_one_that_the_library_keeps() -> None:
    """The only check there is; the capital N went with 1.4."""
    old, new = cluster(1, version="1.0.18"), cluster(1)
    assert remove(old, "s1") == (500, b"Need at least one voter in configuration: {[]}")
    assert remove(new, "s1") == (500, b"need at least one voter in configuration: {[]}")


def test_a_server_that_never_heard_of_a_dead_one_calls_it_unknown() -> None:
    """`(unknown)` says what this server's gossip lacks, and not that the peer is dead."""
    model = cluster(3)
    dead, restarted = followers(model)
    model.kill(dead)
    model.restart(restarted)
    wait(model, 3)
    row = peers(model, restarted)[model.server(dead).address]
    assert (row["Node"], row["RaftProtocol"], row["Voter"]) == ("(unknown)", "unknown", True)
    assert peers(model, leader_of(model))[model.server(dead).address]["Node"] == f"{dead}.global"


def test_a_server_wiped_and_cut_off_lists_no_servers_at_all() -> None:
    """`Servers` may be null."""
    model = cluster(3)
    name = followers(model)[0]
    model.partition([[name]])
    model.restart(name, wiped=True)
    wait(model, 1)
    assert told(model, name, f"{CONFIGURATION}?stale").body == b'{"Index":0,"Servers":null}'
    assert told(model, name, "/v1/status/peers?stale").body == b"[]"


def test_autopilots_settings_are_replaced_whole_and_guarded_by_cas() -> None:
    """A wrong index is a 200 that says false; what a body leaves out becomes zero."""
    model = cluster()
    path = "/v1/operator/autopilot/configuration"
    body = b'{"CleanupDeadServers": true}'
    assert told(model, "s1", f"{path}?cas=1", "PUT", body=body).body == b"false"
    assert told(model, "s1", f"{path}?cas=x", "PUT", body=body).status == 400
    assert told(model, "s1", f"{path}?cas=4", "PUT", body=body).body == b"true"
    now = json.loads(told(model, "s1", path).body)
    assert (now["CleanupDeadServers"], now["MaxTrailingLogs"], now["LastContactThreshold"]) == (True, 0, "0s")


TOKEN = "11111111-2222-3333-4444-555555555555"
TOKENS: list[tuple[str, str, str, int, str]] = [
    ("1.11.3", CONFIGURATION, TOKEN, 200, ""),
    ("1.11.3", CONFIGURATION, "", 403, "Permission denied"),
    ("1.11.3", CONFIGURATION, TOKEN.replace("1", "9"), 403, "Permission denied"),
    ("1.0.18", CONFIGURATION, TOKEN.replace("1", "9"), 403, "ACL token not found"),
    ("1.0.18", "/v1/operator/snapshot", TOKEN.replace("1", "9"), 400, "ACL token not found"),
    ("1.0.18", CONFIGURATION, "short", 500, "acl token lookup failed: index error: UUID must be 36 characters"),
    ("1.11.3", "/v1/status/leader", "", 200, ""),
    ("1.11.3", "/v1/agent/members", "", 403, "Permission denied"),
]


@pytest.mark.parametrize(("version", "path", "token", "status", "text"), TOKENS)
def test_a_token_is_asked_for_as_the_release_does(version: str, path: str, token: str, status: int, text: str) -> None:
    """And what the status endpoints tell needs none."""
    reply = told(cluster(version=version, token=TOKEN), "s1", path, token=token)
    assert reply.status == status
    assert status == 200 or reply.body.decode() == text


STALE: list[tuple[str, str, int]] = [
    ("1.0.18", "stale=false", 200),
    ("1.0.18", "stale=banana", 200),
    ("1.11.3", "stale", 200),
    ("1.11.3", "stale=true", 200),
    ("1.11.3", "stale=false", 500),
    ("1.11.3", "stale=banana", 400),
]


@pytest.mark.parametrize(("version", "query", "status"), STALE)
def test_stale_is_read_as_the_release_reads_it(version: str, query: str, status: int) -> None:
    """Only a bare `stale` means the same everywhere. Asked without a leader, where it makes a difference."""
    model = cluster(2, version=version)
    alive = leader_of(model)
    model.kill(followers(model)[0])
    wait(model, 1)
    assert told(model, alive, f"{CONFIGURATION}?{query}").status == status


def test_order_means_nothing_so_it_varies() -> None:
    """Who compares lists without sorting them shall find out here."""
    model = cluster(5)
    orders = [told(model, "s1", CONFIGURATION).body for _ in range(10)]
    assert any(one != other for one, other in pairwise(orders))
