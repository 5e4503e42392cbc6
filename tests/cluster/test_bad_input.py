"""Whatever is at the other end, a look and a removal end in time, in a known class of trouble, and tell no secret."""

from __future__ import annotations

import base64
import socket
import threading
import time
import tracemalloc
from dataclasses import dataclass

import pytest

from runbook.cluster.hashicorp.adapter import HashiCorpCluster
from runbook.cluster.hashicorp.dialects import NOMAD
from runbook.cluster.http import BODY_LIMIT, HttpSettings
from runbook.errors import ClusterError
from runbook.raft.model import ClusterView, Peer
from tests.cluster import stub as stubs
from tests.cluster.stub import MEMBERS, RAFT, SELF, Answer, Server, reply, stub

TOKEN = "5ec2e700-feed-4bad-cafe-000000000001"
USER, PASSWORD = "monitor", "hunter2hunter2"
SECRETS = HttpSettings(headers={"X-Nomad-Token": TOKEN}, basic_auth=(USER, PASSWORD))
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
PEER = Peer("s3-id", "127.0.0.3:4647", voter=True, protocol=3)
DONE = "done"

PAGE = "<html><h1>Welcome to the portal</h1></html>"
ECHO = f"<html>You sent X-Nomad-Token: {TOKEN} Authorization: Basic {BASIC} {PASSWORD}</html>"
LIST = {"Index": 0, "Servers": [{"ID": "s1-id", "Address": "127.0.0.1:1", "Leader": True, "Voter": True}]}
BROKEN_JSON = '{"Index":0,"Servers":[{"Address":"127.0.0.1:4647","ID":"s1-'


@dataclass(frozen=True)
class Case:
    """One odd answer: the trouble of a look when everything is answered so, and of a removal."""

    name: str
    answer: Answer
    look: str
    words: str
    removal: str


CASES = [
    Case("a proxy's page", reply(PAGE, 200, "Content-Type: text/html"), "bad_reply", "Is a proxy between", "ambiguous"),
    Case("a page that echoes us", reply(ECHO), "bad_reply", "(secret)", "ambiguous"),
    Case("truncated JSON", reply(BROKEN_JSON), "bad_reply", "did not answer JSON", DONE),
    Case("not UTF-8", reply(b"\xff\xfe{}"), "bad_reply", "did not answer JSON", DONE),
    Case("deep JSON", reply("[" * 100_000), "bad_reply", "did not answer JSON", DONE),
    Case("a list", reply("[]"), "bad_reply", "not readable", DONE),
    Case("null", reply("null"), "bad_reply", "not readable", DONE),
    Case("nothing", reply(), "bad_reply", "did not answer JSON", DONE),
    Case("a redirect", reply(b"", 302, "Location: http://127.0.0.1:1/login"), "bad_reply", "302", "rejected"),
    Case("wrong method", reply("Invalid method", 404), "rejected", "404: Invalid method", "rejected"),
    Case("no login", reply("go away", 401), "forbidden", "management token", "forbidden"),
    Case("forbidden", reply("Permission denied", 403), "forbidden", "management token", "forbidden"),
    Case("forbidden, echoed", reply(f"bad token {TOKEN}", 403), "forbidden", "bad token (secret)", "forbidden"),
    Case("old token error", reply("acl token lookup failed: index error", 500), "forbidden", "management", "forbidden"),
    Case("too many", reply("Your IP is issuing too many", 429), "unavailable", "limits connections", "unavailable"),
    Case("too many, JSON", reply({"Healthy": False}, 429), "unavailable", "limits connections", "unavailable"),
    Case("a gateway", reply("Bad Gateway", 502), "bad_reply", "Name a server itself in NOMAD_ADDR", "ambiguous"),
    Case("an unknown error", reply("kaboom", 500), "unavailable", "500: kaboom", "ambiguous"),
    Case("a TLS port", reply("sent an HTTP request to an HTTPS server", 400), "unreachable", "https://", "rejected"),
    Case("200 MB", stubs.flood, "bad_reply", "more than 16 MiB", "ambiguous"),
    Case("a body in drips", stubs.slow_body, "timeout", "no whole answer within", "ambiguous"),
    Case("a head in drips", stubs.slow_head, "timeout", "no whole answer within", "ambiguous"),
    Case("no answer", stubs.silence, "timeout", "may be frozen", "ambiguous"),
    Case("a reset", stubs.reset, "timeout", "the connection broke", "ambiguous"),
    Case("a close", stubs.no_reply, "timeout", "Look again, or write https:// if it speaks TLS", "ambiguous"),
    Case("not HTTP", b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "timeout", "the connection broke", "ambiguous"),
    Case("a length too short", reply('{"config":{}}', length=9), "bad_reply", "did not answer JSON", DONE),
    Case("a length that is none", reply("{}", length=-7), "timeout", "no whole answer within", "ambiguous"),
]  # fmt: skip


def cluster(*urls: str, settings: HttpSettings = SECRETS) -> HashiCorpCluster:
    return HashiCorpCluster(NOMAD, urls, settings, None)


def removal(target: HashiCorpCluster) -> tuple[str, str]:
    """The class of trouble, and the words."""
    try:
        target.remove_peer(PEER)
    except ClusterError as error:
        return error.kind.value, str(error)
    return DONE, ""


def tells_no_secret(*texts: str | None) -> bool:
    return not any(secret in str(texts) for secret in (TOKEN, PASSWORD, BASIC))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.filterwarnings("ignore::urllib3.exceptions.HTTPWarning")
def test_an_odd_answer_has_its_class_of_trouble(case: Case, impatient: float) -> None:
    """A look never raises, a removal raises ClusterError or nothing, and both are over in time."""
    with stub(lambda *_: case.answer) as server:
        began = time.monotonic()
        looking: list[ClusterView] = []
        look = threading.Thread(target=lambda: looking.append(cluster(server.url).look()))
        look.start()
        sure, words = removal(cluster(server.url))
        look.join()
        assert time.monotonic() - began < 5 * impatient
        view = looking[0]
        assert (view.error_kind, sure) == (case.look, case.removal)
        assert case.words in str(view.error_text)
        assert server.url in str(view.error_text)
        assert sure == DONE or server.url in words or "answered with a page" in words
        assert view.configuration is None
        assert view.answering == ()
        assert tells_no_secret(repr(view), words)
        assert len(server.asked("DELETE")) == 1


def test_a_body_that_ends_early_is_no_answer(impatient: float) -> None:
    """Content-Length promised more: for a removal that is a reply lost on its way."""

    def half(server: stubs.Stub, line: socket.socket) -> None:
        line.sendall(reply(LIST, length=4000))
        line.shutdown(socket.SHUT_RDWR)

    with stub(lambda *_: half) as server:
        assert cluster(server.url).look().error_kind == "timeout"
        assert removal(cluster(server.url))[0] == "ambiguous"


UNREACHABLE = {
    "http://no-such-host.invalid:4646": "name",  # resolvers differ in how, and how soon, they say so
    "http://[::1]:9": "",
    "http://127.0.0.1:1": "nothing listens there",
    f"http://{'a' * 70}.example:4646": "name",
}


@pytest.mark.parametrize(("url", "words"), UNREACHABLE.items(), ids=["no name", "IPv6", "refused", "long name"])
def test_where_nobody_is_the_address_and_what_to_check_are_told(url: str, words: str, impatient: float) -> None:
    """Exit code 4 uses these words; a removal that reached nobody is known to have reached nobody."""
    began = time.monotonic()
    view = cluster(url).look()
    sure, told = removal(cluster(url))
    assert time.monotonic() - began < 5 * impatient
    assert view.error_kind in ("unreachable", "timeout")
    assert sure == "unreachable"
    for text in (str(view.error_text), told):
        assert url in text
        assert "Check" in text
        assert words in text or "DNS" in text


def test_a_certificate_that_is_not_trusted_is_told_and_nothing_is_sent(impatient: float) -> None:
    """TLS failed before the request: surely not arrived."""
    with stub(lambda *_: reply(LIST), tls_delay=0) as server:
        view = cluster(server.url).look()
        sure, _ = removal(cluster(server.url))
        assert (view.error_kind, sure) == ("unreachable", "unreachable")
        assert "TLS failed" in str(view.error_text)
        assert "the CA" in str(view.error_text)
        assert server.heads == []


def test_https_to_a_server_without_tls_is_told(impatient: float) -> None:
    """The other common mistake in an address."""
    with stub(lambda *_: reply(LIST)) as server:
        view = cluster(server.url.replace("http", "https")).look()
        assert view.error_kind == "unreachable"
        assert "TLS failed" in str(view.error_text)


def test_a_flood_is_cut_off_and_not_kept(impatient: float) -> None:
    """Two hundred megabytes are offered; memory stays near the limit of one body."""
    with stub(lambda *_: stubs.flood) as server:
        target = cluster(server.url)
        target.look()
        taken = server.sent
        tracemalloc.start()
        try:
            removal(target)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert taken < 4 * BODY_LIMIT
        assert peak < 4 * BODY_LIMIT


# -- one odd answer beside good ones


ALONE = {"s1": "127.0.0.1:1"}  # nobody listens at its Raft port, and nobody needs to


def look_at(path: str, answer: Answer) -> ClusterView:
    with stub(Server("s1", ALONE, odd={path: answer})) as server:
        return cluster(server.url).look()


@pytest.mark.parametrize(
    ("servers", "trouble"),
    [
        (None, "no_leader"),
        ([], "no_leader"),
        ({}, "no_leader"),
        ("s1", "bad_reply"),
        ([None], "bad_reply"),
        ([{"ID": "s1-id", "Address": "127.0.0.1:1", "Voter": "yes"}], "bad_reply"),
        ([{"ID": "", "Address": "127.0.0.1:1", "Voter": True}], "bad_reply"),
        ([{"ID": "s1-id", "Address": "127.0.0.1", "Voter": True}], "bad_reply"),
        ([{"ID": ["s1-id"], "Address": "127.0.0.1:1", "Voter": True}], "bad_reply"),
        ([{"ID": f"s{n}", "Address": f"127.0.0.1:{n}", "Voter": True} for n in range(1000)], "bad_reply"),
        ([{"ID": f"s{n}", "Address": f"127.0.0.1:{n}", "Voter": True, "Leader": True} for n in (1, 2)], "no_leader"),
    ],
    ids=[
        "null",
        "empty",
        "object",
        "text",
        "null inside",
        "voter",
        "id",
        "port",
        "id's type",
        "thousand",
        "two leaders",
    ],
)
def test_a_configuration_that_cannot_be_is_none(servers: object, trouble: str, impatient: float) -> None:
    """Nothing may be decided on it, so the view has no configuration of the leader."""
    view = look_at(RAFT, reply({"Index": 0, "Servers": servers}))
    assert view.configuration is None
    assert view.error_kind == trouble


def test_unknown_fields_are_tolerated(impatient: float) -> None:
    """A newer server says more; that is no reason to be helpless in an outage."""
    entry = {**LIST["Servers"][0], "LastIndex": 5, "Zone": {"a": [1]}}  # type: ignore[index]
    view = look_at(RAFT, reply({"Servers": [entry], "Index": 7, "New": None}))
    assert view.error_kind is None
    assert view.leader_id == "s1-id"


@pytest.mark.parametrize(
    "answer",
    [
        reply("Permission denied", 403),
        reply({"Members": []}),
        reply({"Members": None}),
        reply({"Members": [{"Name": "s1.global"}]}),
        reply([{"Name": "s1", "Addr": "127.0.0.1", "Status": -1, "Tags": {"role": "nomad", "port": "1"}}]),
        reply([{"Name": "s1", "Addr": "127.0.0.1", "Status": 9, "Tags": {"role": "nomad", "port": "1"}}]),
        stubs.silence,
    ],
    ids=["forbidden", "empty", "null", "no tags", "status -1", "status 9", "silence"],
)
def test_gossip_that_cannot_be_read_is_not_taken_for_an_empty_one(answer: Answer, impatient: float) -> None:
    """Absence from gossip counts against a peer, so gossip cut short by an ACL must count as no gossip at all.

    The server itself named itself before, and so it lives.
    """
    view = look_at(MEMBERS, answer)
    assert [vantage.server_id for vantage in view.answering] == ["s1-id"]
    assert view.vantages[0].members is None
    assert view.vantages[0].trouble


@pytest.mark.parametrize("path", [SELF, RAFT], ids=["agent/self", "raft/configuration"])
def test_a_refused_token_is_told_as_such(path: str, impatient: float) -> None:
    """Whichever endpoint refuses it, the view says forbidden and names the permission."""
    view = look_at(path, reply("Permission denied", 403))
    assert view.error_kind == "forbidden"
    assert view.configuration is None
    assert "a management token in NOMAD_TOKEN" in str(view.error_text)


def test_consul_says_when_a_token_saw_only_a_part(impatient: float) -> None:
    """Newer Consul filters lists in silence but for a header; what was left out must not look absent."""
    whole = Server("s1", ALONE).answers[MEMBERS]
    assert isinstance(whole, bytes)
    cut = whole.replace(b"\r\n", b"\r\nX-Consul-Results-Filtered-By-ACLs: true\r\n", 1)
    assert look_at(MEMBERS, whole).vantages[0].members
    assert look_at(MEMBERS, cut).vantages[0].members is None
