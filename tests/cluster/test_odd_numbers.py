"""The cluster's own minimum, and every other number that a server or a proxy may write: read, or said not to be."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.cluster.hashicorp import replies
from runbook.errors import ClusterError
from runbook.raft.model import ClusterView
from tests.cluster.stub import MEMBERS, RAFT, SELF, Answer, Server, reply, silence, stub
from tests.cluster.test_look import HOSTS, cluster, servers

SETTINGS = "/v1/operator/autopilot/configuration"
DIGITS = "9" * 5000


def with_minimum(text: str) -> bytes:
    return reply(f'{{"CleanupDeadServers": false, "MinQuorum": {text}}}')


UNREADABLE: list[tuple[str, Answer, str]] = [
    ("403", reply("Permission denied", 403), "403: Permission denied"),
    ("404", reply("Invalid method", 404), "404: Invalid method"),
    ("500", reply("autopilot config not initialized yet", 500), "500: autopilot config not initialized yet"),
    ("null", reply("null"), "it sent None"),
    ("a list", reply("[]"), "it sent a list"),
    ("a page", reply("<html>login</html>"), "did not answer JSON but: <html>login</html>"),
    ("1e999", with_minimum("1e999"), "MinQuorum is inf"),
    ("NaN", with_minimum("NaN"), "MinQuorum is nan"),
    ("5,000 digits", with_minimum(DIGITS), "did not answer JSON"),
    ("4,000 digits", with_minimum(DIGITS[:4000]), "MinQuorum is 9999999"),
    ("negative", with_minimum("-1"), "MinQuorum is -1"),
    ("a fraction", with_minimum("2.5"), "MinQuorum is 2.5"),
    ("a truth", with_minimum("true"), "MinQuorum is True"),
    ("a text", with_minimum('"3"'), "MinQuorum is '3'"),
    ("nothing in its place", with_minimum("null"), "MinQuorum is None"),
    ("another document", reply({"MinQuorum": 3}), "it sent a dict"),
    ("late", silence, "within"),
]


@pytest.mark.parametrize(("answer", "words"), [row[1:] for row in UNREADABLE], ids=[row[0] for row in UNREADABLE])
def test_a_minimum_that_cannot_be_read_is_said_to_be_unread(answer: Answer, words: str, impatient: float) -> None:
    """Neither zero nor a traceback: what was asked and what came back, as data, and the look goes on."""
    with servers("s1", "s2", "s3", odd={"s1": {SETTINGS: answer}}) as running:
        view = cluster(running["s2"].url).look()
    assert view.autopilot is None
    assert f"{running['s1'].url}{SETTINGS}" in str(view.autopilot_error)
    assert words in str(view.autopilot_error)
    assert (view.leader_id, len(view.answering)) == ("s1-id", 3)


@pytest.mark.parametrize(("told", "least"), [({}, 0), ({"MinQuorum": 0}, 0), ({"MinQuorum": 3}, 3)])
def test_a_minimum_that_is_readable_is_read(told: dict[str, int], least: int, impatient: float) -> None:
    """Nomad before 0.11 has no MinQuorum and says the rest: that is a reading."""
    with servers("s1", odd={"s1": {SETTINGS: reply({"CleanupDeadServers": True, **told})}}) as running:
        view = cluster(running["s1"].url).look()
    assert view.autopilot is not None
    assert (view.autopilot.min_quorum, view.autopilot_error) == (least, None)


def test_the_leader_is_asked_for_it_and_not_a_follower_that_may_lag(impatient: float) -> None:
    """``?stale`` would be answered from what the asked server has heard so far."""
    with servers("s1", "s2", "s3") as running:
        cluster(running["s2"].url).look()
        asked = [path for server in running.values() for path in server.asked("GET") if path.startswith(SETTINGS)]
    assert asked == [SETTINGS]


ODD_NUMBERS = ["\u00b2", DIGITS, "-1", "1e3", "", " 7", True, 1.5, None, [], {}, 10**400]


def look_at(**change: Callable[[Any], None]) -> ClusterView:
    """At one server of two, after each ``change`` of what it says of itself, of the peers and of gossip."""
    table = Server("s1", {name: f"{HOSTS[name]}:4647" for name in ("s1", "s2")})
    for path, what in ((SELF, "own"), (RAFT, "peers"), (MEMBERS, "gossip")):
        told = json.loads(bytes(table.answers[path]).partition(b"\r\n\r\n")[2])  # type: ignore[arg-type]
        change.get(what, lambda _: None)(told)
        table.answers[path] = reply(told)
    with stub(table) as server:
        return cluster(server.url).look()


@pytest.mark.parametrize("odd", ODD_NUMBERS, ids=lambda odd: repr(odd)[:12])
def test_an_odd_number_costs_no_more_than_itself(odd: Any, impatient: float) -> None:
    """Term, index and protocol are unknown then; who answers, who is listed and gossip are read all the same."""
    numbers = {"term": odd, "last_log_index": odd, "last_log_term": odd}
    view = look_at(
        own=lambda told: told["stats"]["raft"].update(numbers),
        peers=lambda told: [entry.update(RaftProtocol=odd) for entry in told["Servers"]],  # type: ignore[arg-type]
    )
    (own,) = view.answering
    assert (own.term, own.last_log_index, own.last_log_term) == (None, None, None)
    assert own.members is not None
    assert view.configuration is not None
    assert {peer.protocol for peer in view.configuration.peers} == {None}


@pytest.mark.parametrize("status", [True, 10**30, 7, -1, "unheard of"], ids=str)
def test_a_status_that_no_release_has_makes_gossip_unreadable_and_no_more(status: Any, impatient: float) -> None:
    """Consul's status is a number: ``true`` is not taken for 1, *alive*."""
    view = look_at(gossip=lambda told: told["Members"][1].update(Status=status))
    (own,) = view.answering
    assert (own.members, "no readable members" in str(own.trouble)) == (None, True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**30) | st.just("\u00b2"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
KEYS = ("Servers", "Members", "ID", "Address", "Voter", "RaftProtocol", "Node", "Tags", "role", "region", "id", "port",
        "Name", "Addr", "Status", "member", "stats", "config", "raft", "term", "state", "nomad", "leader_addr",
        "CleanupDeadServers", "MinQuorum", "Healthy")  # fmt: skip
LIKELY = st.recursive(
    JSON | st.sampled_from(["nomad", "127.0.0.1:4647", "s1", 1, True]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=8),
    max_leaves=20,
)
READERS: list[Callable[[Any], Any]] = [
    lambda reply: replies.configuration(reply, "url"),
    lambda reply: replies.members(reply, "nomad", None, "url"),
    lambda reply: replies.own_words(reply, "nomad", "url"),
    lambda reply: replies.autopilot_settings(reply, "url"),
    replies.unhealthy,
]


@pytest.mark.parametrize("read", READERS, ids=["configuration", "members", "own words", "settings", "health"])
@given(told=LIKELY)
def test_no_json_whatever_raises_anything_but_a_known_trouble(read: Callable[[Any], Any], told: Any) -> None:
    """A look must not end in a traceback, whatever a server or a proxy between makes up."""
    with suppress(ClusterError):
        read(told)
