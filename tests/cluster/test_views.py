"""What a look adds to the servers' own words: autopilot's opinion, who really answered, and who only says it leads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runbook.raft.model import Configuration, Peer, Reach, Vantage
from runbook.raft.quorum import reason_not_leading
from tests.cluster.stub import RAFT, SELF, Answer, Server, Stub, reply, silence, stub
from tests.cluster.test_look import HOSTS, cluster, servers
from tests.conftest import port_free_on

HEALTH, SETTINGS = "/v1/operator/autopilot/health", "/v1/operator/autopilot/configuration"
CAPTURE = Path(__file__).parents[1] / "lab" / "captures" / "onedead-health.txt"
SICK = {"Healthy": False, "Servers": [{"ID": "s1-id", "Healthy": True}, {"ID": "s3-id", "Healthy": False}]}


def asked_of_the_leader(answer: Answer) -> dict[str, dict[str, Answer]]:
    return {"s1": {HEALTH: answer}}


OPINIONS: list[tuple[str, Answer, frozenset[str] | None]] = [
    ("200", reply(SICK), frozenset({"s3-id"})),
    ("429 as plain text", reply(SICK, 429, "Content-Type: text/plain"), frozenset({"s3-id"})),
    ("nobody is ill", reply({"Healthy": True, "Servers": [{"ID": "s1-id", "Healthy": True}]}), frozenset()),
    ("too many connections", reply("Your IP is issuing too many concurrent connections", 429), None),
    ("right after an election", reply({"Healthy": False, "Servers": None}, 429), None),
    ("protocol 2", reply("all servers must have raft_protocol set to 3 or higher", 500), None),
    ("no word", silence, None),
    ("nonsense", reply({"Servers": [7]}), None),
]


@pytest.mark.parametrize(("answer", "ill"), [row[1:] for row in OPINIONS], ids=[row[0] for row in OPINIONS])
def test_autopilots_opinion_is_read_by_content(answer: Answer, ill: frozenset[str] | None, impatient: float) -> None:
    """A 429 with a list is an answer, a 429 without one is none, and silence costs the look nothing but time."""
    with servers("s1", "s2", "s3", odd=asked_of_the_leader(answer)) as running:
        view = cluster(running["s2"].url).look()
        assert view.unhealthy == ill
        assert view.leader_id == "s1-id"
        assert view.autopilot is not None


def test_a_captured_opinion_of_a_real_server(impatient: float) -> None:
    """Nomad 1.0.18 beside one dead server: a living one is called unhealthy too, so this alone is no evidence."""
    head, _, body = CAPTURE.read_text(encoding="utf-8").replace("\r\n", "\n").partition("\n\n")
    assert "429" in head.splitlines()[0]
    ill = frozenset(row["ID"] for row in json.loads(body)["Servers"] if not row["Healthy"])
    with servers("s1", "s2", odd=asked_of_the_leader(reply(body.strip(), 429))) as running:
        assert cluster(running["s1"].url).look().unhealthy == ill


def test_settings_that_a_partial_write_zeroed_are_noticed(impatient: float) -> None:
    """With thresholds of 0 s no server is ever healthy, and a newcomer never a voter."""
    zeroed = reply({"CleanupDeadServers": True, "MinQuorum": 3, "LastContactThreshold": "0s"})
    with servers("s1", odd={"s1": {SETTINGS: zeroed}}) as running:
        autopilot = cluster(running["s1"].url).look().autopilot
        assert autopilot is not None
        assert (autopilot.cleanup_dead_servers, autopilot.min_quorum, autopilot.zeroed) == (True, 3, True)


def test_a_look_asks_each_server_three_things_the_leader_three_more_and_the_door_for_the_configuration(
    impatient: float,
) -> None:
    """The number of requests is part of the price of a look; a new one is a decision and not an accident."""
    with servers("s1", "s2", "s3") as running:
        cluster(running["s2"].url).look()
        assert [len(server.asked("GET")) for server in running.values()] == [6, 4, 3]


def test_two_servers_behind_one_address_are_noticed_and_neither_is_quoted(impatient: float) -> None:
    """Who was asked and who answers differ, so gossip and configuration from there are nobody's."""
    port, raft = port_free_on(*HOSTS.values(), "127.0.0.99"), port_free_on(*HOSTS.values())
    where = {name: f"{HOSTS[name]}:{raft}" for name in ("s1", "s2", "s3")}
    tables = [Server(name, where) for name in where]
    asked = {"selves": 0}

    def balanced(method: str, path: str) -> Answer:
        if path == SELF:
            asked["selves"] += 1
        return tables[asked["selves"] % 2](method, path)

    def running(name: str, table: Server) -> Any:
        return stub(table, host=HOSTS[name], port=port)

    with stub(balanced, host="127.0.0.99", port=port) as balancer, running("s1", tables[0]), running("s3", tables[2]):
        view = cluster(balancer.url).look()
        shared = next(v for v in view.vantages if v.url == balancer.url)
        assert {shared.server_id, shared.other_id} == {"s1-id", "s2-id"}
        assert (shared.members, shared.configuration) == (None, None)
        assert {v.server_id for v in view.answering if v.members is not None} == {"s1-id", "s3-id"}


def test_a_server_at_its_own_address_is_asked_once_who_it_is(impatient: float) -> None:
    with servers("s1") as running:
        cluster(running["s1"].url).look()
        assert running["s1"].asked("GET").count(SELF) == 1


def test_a_refused_token_is_told_apart_from_silence(impatient: float) -> None:
    """What a person can mend at once has a field of its own."""
    with servers("s1", "s2", odd={"s2": {RAFT: reply("Permission denied", 403)}}) as running:
        view = cluster(running["s1"].url).look()
        assert {v.server_id: v.forbidden for v in view.vantages} == {"s1-id": False, "s2-id": True}


def believed(**terms: tuple[int, str]) -> str | None:
    """``s1`` is named leader; each server's term and state."""
    peers = Configuration(tuple(Peer(name, f"{name}:1", voter=not name.startswith("n")) for name in terms))
    seen = [
        Vantage(f"http://{name}", Reach.ANSWERED, server_id=name, name=name, term=term, state=state)
        for name, (term, state) in terms.items()
    ]
    return reason_not_leading(peers, "s1", [*seen, Vantage("http://zombie", Reach.ANSWERED, "zombie", term=99)])


LEADERS = [
    ("all in one term", {"s1": (4, "Leader"), "s2": (4, "Follower"), "s3": (4, "Follower")}, ""),
    ("one was cut off and counts up", {"s1": (4, "Leader"), "s2": (4, "Follower"), "s3": (25, "Candidate")}, ""),
    ("it was frozen and a quorum went on", {"s1": (4, "Leader"), "s2": (5, "Leader"), "s3": (5, "Follower")}, "2 of 3"),
    ("non-voters in newer terms", {"s1": (4, "Leader"), "s2": (4, "Follower"), "n3": (9, "Follower"),
                                   "n4": (9, "Follower"), "n5": (9, "Follower")}, ""),
    ("another leads too, in a newer term", {"s1": (4, "Leader"), "s2": (4, "Follower"), "s3": (5, "Leader")}, "both"),
    ("another leads too, in this term", {"s1": (4, "Leader"), "s2": (4, "Leader"), "s3": (4, "Follower")}, "both"),
    ("an older leader woke up", {"s1": (4, "Leader"), "s2": (4, "Follower"), "s3": (3, "Leader")}, ""),
    ("it denies it", {"s1": (5, "Follower"), "s2": (5, "Leader"), "s3": (5, "Follower")}, "calls itself Follower"),
]  # fmt: skip


@pytest.mark.parametrize(("terms", "words"), [row[1:] for row in LEADERS], ids=[row[0] for row in LEADERS])
def test_who_is_believed_to_lead(terms: dict[str, tuple[int, str]], words: str) -> None:
    """A removed or parted server inflates its term alone; only a quorum in newer terms deposes a leader."""
    why = believed(**terms)
    assert (words in why if why else None) == (True if words else None)


def test_an_ex_leader_that_woke_up_gives_no_configuration(impatient: float) -> None:
    """It answers a default read with itself as leader although a quorum has elected another."""
    port, raft = port_free_on(*HOSTS.values()), port_free_on(*HOSTS.values())
    where = {name: f"{HOSTS[name]}:{raft}" for name in ("s1", "s2", "s3")}

    def at(name: str, leader: str, term: str) -> Stub:
        told = Server(name, where, leader=leader)
        own = json.loads(bytes(told.answers[SELF]).partition(b"\r\n\r\n")[2])  # type: ignore[arg-type]
        own["stats"]["raft"]["term"] = term
        told.answers[SELF] = reply(own)
        return stub(told, host=HOSTS[name], port=port)  # type: ignore[return-value]

    with at("s1", "s1", "4") as woken, at("s2", "s1", "5"), at("s3", "s1", "5"):  # type: ignore[attr-defined]
        view = cluster(woken.url).look()
        assert (view.configuration, view.error_kind) == (None, "no_leader")
        assert "in newer terms, up to 5" in str(view.error_text)
