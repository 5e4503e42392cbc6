"""``http.request`` against real servers on loopback: what leaves, what is kept, what is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from runbook.clock import Deadline
from runbook.errors import ErrorKind, StepError
from runbook.journal.store import LINE_LIMIT
from runbook.playbook.expressions.model import UNKNOWN
from runbook.steps.http import parse_json
from runbook.text import is_known
from tests.cluster.stub import CERTIFICATE, stub
from tests.steps.server import Server, serving
from tests.steps.world import World

KEY = "T0CANARY/B0CANARY/aVerySecretKey"


def failure(world: World, **arguments: Any) -> StepError:
    with pytest.raises(StepError) as caught:
        world.run("http.request", **arguments)
    return caught.value


def test_an_answer_is_kept_whole_and_as_data(world: World, server: Server) -> None:
    server.table["/v1/status?dc=a%20b"] = (200, {"X-Index": "7"}, b'{"leader": "s1"}')
    message, output = world.run("http.request", url=f"{server.url}/v1/status?dc=a%20b#part")
    assert message == f"GET {server.url} answered 200"
    assert (output["status"], output["body"], output["json"]) == (200, '{"leader": "s1"}', {"leader": "s1"})
    assert output["headers"]["x-index"] == "7"
    assert [(asked.method, asked.path) for asked in server.asked] == [("GET", "/v1/status?dc=a%20b")]


def test_a_url_without_a_path_asks_for_the_root(world: World, server: Server) -> None:
    world.run("http.request", url=server.url)
    world.run("http.request", url=f"{server.url}?a=1")
    assert [asked.path for asked in server.asked] == ["/", "/?a=1"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_arrives_with_headers_and_body_once(world: World, server: Server, method: str) -> None:
    world.run("http.request", url=f"{server.url}/x", method=method, headers={"X-Token": "t", "X-N": 3}, body="hé")
    (asked,) = server.asked
    assert (asked.method, asked.path, asked.body) == (method, "/x", "hé".encode())
    assert (asked.headers["x-token"], asked.headers["x-n"]) == ("t", "3")


def test_data_goes_as_json_unless_the_playbook_says_another_type(world: World, server: Server) -> None:
    world.run("http.request", url=server.url, method="POST", json={"a": [1, None]})
    world.run("http.request", url=server.url, method="POST", json=[], headers={"content-type": "application/x+json"})
    first, second = server.asked
    assert (json.loads(first.body), first.headers["content-type"]) == ({"a": [1, None]}, "application/json")
    assert second.headers["content-type"] == "application/x+json"


def test_a_reply_may_repeat_a_header_without_being_changed(world: World, server: Server) -> None:
    """What is no secret of the cluster's settings is not looked for: redaction by value comes later."""
    server.table["/"] = (200, {}, b"application/json")
    headers = {"Accept": "application/json"}
    assert world.run("http.request", url=server.url, headers=headers)[1]["body"] == "application/json"


def test_a_cookie_is_not_kept(world: World, server: Server) -> None:
    """I13: it is a secret whose value nobody has named."""
    server.table["/"] = (200, {"Set-Cookie": "session=canary"}, b"")
    assert "canary" not in str(world.run("http.request", url=server.url))


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        (304, ErrorKind.UNEXPECTED),
        (404, ErrorKind.UNEXPECTED),
        (429, ErrorKind.UNAVAILABLE),
        (500, ErrorKind.UNEXPECTED),
        (502, ErrorKind.UNAVAILABLE),
        (503, ErrorKind.UNAVAILABLE),
        (504, ErrorKind.UNAVAILABLE),
    ],
)
def test_a_status_that_is_not_expected_fails_and_its_class_says_whether_to_try_again(
    world: World, server: Server, status: int, trouble: ErrorKind
) -> None:
    server.table["/secret"] = (status, {}, b"")
    error = failure(world, url=f"{server.url}/secret")
    assert (error.kind, str(error)) == (trouble, f"GET {server.url} answered {status}")
    assert world.run("http.request", url=f"{server.url}/secret", expect=[200, status])[1]["status"] == status


def test_what_is_expected_is_all_that_is_good(world: World, server: Server) -> None:
    assert "answered 200" in str(failure(world, url=server.url, expect=[204]))
    assert 'expect holds the string "200"' in str(failure(world, url=server.url, expect=["200"]))
    assert len(server.asked) == 1


def test_a_redirect_is_not_followed_unless_asked_for(world: World, server: Server) -> None:
    server.table["/a"] = (302, {"Location": "/b"}, b"")
    assert failure(world, url=f"{server.url}/a").kind is ErrorKind.UNEXPECTED
    assert world.run("http.request", url=f"{server.url}/a", follow=True)[1]["status"] == 200
    assert [asked.path for asked in server.asked] == ["/a", "/a", "/b"]


def test_a_changing_request_is_never_sent_on(world: World, server: Server) -> None:
    server.table["/a"] = (307, {"Location": "/b"}, b"")
    assert "answered 307" in str(failure(world, url=f"{server.url}/a", method="POST", follow=True))
    assert len(server.asked) == 1


def test_no_header_goes_to_another_origin(world: World, server: Server) -> None:
    with serving() as other:
        server.table["/a"] = (301, {"Location": f"{other.url}/b"}, b"")
        world.run("http.request", url=f"{server.url}/a", follow=True, headers={"X-Token": "canary"})
    assert server.asked[0].headers["x-token"] == "canary"
    assert "x-token" not in other.asked[0].headers


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/", "http://[", "http://a@127.0.0.1/"])
def test_an_odd_redirect_is_not_followed(world: World, server: Server, location: str) -> None:
    server.table["/"] = (302, {"Location": location}, b"root:")
    assert failure(world, url=server.url, follow=True).kind is ErrorKind.UNEXPECTED


def test_redirects_in_a_circle_end(world: World, server: Server) -> None:
    server.table["/"] = (302, {"Location": "/"}, b"")
    assert "answered 302" in str(failure(world, url=server.url, follow=True))
    assert len(server.asked) == 6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"url": "http://[::1"}, "the url is not one that can be asked"),
        ({"url": "http://127.0.0.1:99999/"}, "the url is not one"),
        ({"url": "http://:80/"}, "the url is not one"),
        ({"url": "http://127.0.0.1/a\nb"}, "the url is not one"),
        ({"headers": {"X-Token": f"{KEY}\n"}}, "the header 'X-Token' cannot be sent"),
        ({"headers": {"X-Token": "a\r\nX-Evil: b"}}, "the header 'X-Token' cannot be sent"),
        ({"headers": {"X-Token": "\u20ac"}}, "the header 'X-Token' cannot be sent"),
        ({"headers": {"X Token": "a"}}, "the header 'X Token' cannot be sent"),
        ({"ca": "/no/such/ca.pem"}, "the ca file /no/such/ca.pem is not there"),
        ({"body": "a", "json": "b"}, "body and json cannot both be sent"),
    ],
)
def test_what_cannot_be_sent_is_said_without_the_secret_in_it_and_nothing_leaves(
    world: World, server: Server, arguments: dict[str, Any], words: str
) -> None:
    error = failure(world, **{"url": server.url, **arguments})
    assert (words in str(error), error.kind, server.asked) == (True, ErrorKind.UNEXPECTED, []), str(error)
    assert "CANARY" not in str(error)


def test_nobody_listening_may_pass(world: World, free_port: Callable[..., int]) -> None:
    error = failure(world, url=f"http://127.0.0.1:{free_port('127.0.0.1')}/{KEY}")
    assert error.kind is ErrorKind.UNAVAILABLE
    assert "nothing listens there" in str(error)
    assert "CANARY" not in str(error)


@pytest.mark.parametrize(("method", "fate"), [("GET", False), ("HEAD", False), ("POST", True)])
def test_a_server_that_hangs_costs_the_time_out_and_a_change_may_have_been_received(
    world: World, method: str, fate: bool
) -> None:
    hang = threading.Event()
    with serving() as server:

        def slow() -> Any:
            hang.wait(10)
            return 200, {}, b""

        server.table["/"] = slow
        error = failure(world, url=server.url, method=method, timeout=0.4)
        hang.set()
    assert error.kind is ErrorKind.TIMEOUT
    assert "within 0.4 s" in str(error)
    assert ("it may have been received" in str(error)) is fate


def test_too_much_is_not_read(world: World, server: Server) -> None:
    server.table["/" + KEY] = (200, {}, b"x" * (256 * 1024 + 1))
    error = failure(world, url=f"{server.url}/{KEY}")
    assert "answered with more than 256 KiB" in str(error)
    assert "CANARY" not in str(error)


def test_the_worst_answer_still_fits_into_a_line_of_the_journal(world: World, server: Server) -> None:
    """A line over the journal's limit could be written and never read again."""
    server.table["/"] = (200, {f"X-{n}": "\xff" * 9000 for n in range(90)}, b"\xff" * 256 * 1024)
    output = world.run("http.request", url=server.url)[1]
    assert len(json.dumps(output)) < LINE_LIMIT / 4


def test_bytes_that_are_no_text_are_kept_as_text_that_can_be_recorded(world: World, server: Server) -> None:
    server.table["/"] = (200, {}, b"\xff\x00\x1b[2J")
    output = world.run("http.request", url=server.url)[1]
    assert (output["body"], output["json"]) == ("\ufffd\x00\x1b[2J", None)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ('{"a": 1}', {"a": 1}),
        ("null", None),
        ("NaN", None),
        ("[1e999]", None),
        ("[" * 59 + "]" * 59, json.loads("[" * 59 + "]" * 59)),
        ("[" * 61 + "]" * 61, None),
        ("[" * 100_000, None),
        ('{"a":' * 50_000, None),
        ("1" * 50_000, None),
        ("", None),
    ],
)
def test_only_json_that_a_journal_can_hold_is_data(text: str, data: Any) -> None:
    assert parse_json(text) == data


def test_tls_is_verified_with_the_file_that_is_named(world: World) -> None:
    """Without it the certificate is a stranger's, and its words are told without the path."""
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

    def table(_method: str, _path: str) -> bytes:
        return body

    with stub(table, tls_delay=0.0) as secure:
        error = failure(world, url=f"{secure.url}/{'CANARY' * 30}")
        assert error.kind is ErrorKind.UNAVAILABLE
        assert "signed by an authority that is not known here" in str(error)
        assert "CANARY" not in str(error)
        named = failure(world, url=f"{secure.url}/{KEY}", ca=str(CERTIFICATE))
        assert "self" not in str(named)  # the certificate is trusted now, only the name is another


def test_no_exchange_outlives_the_end_of_its_step(world: World, server: Server) -> None:
    with pytest.raises(StepError, match="the time of step it is over"):
        world.run("http.request", world.context(deadline=Deadline(world.clock.monotonic(), "step it")), url=server.url)
    assert server.asked == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"method": "POST", "body": "hello"},
        {"method": "GET"},
        {"method": "GET", "reads": True, "headers": {"X-Job": UNKNOWN}},
        {"url": UNKNOWN, "reads": True},
        {"headers": UNKNOWN},
        {"json": {"peer": UNKNOWN}, "method": "PUT"},
    ],
)
def test_a_dry_run_sends_nothing_and_says_what_it_would_send(
    world: World, server: Server, arguments: dict[str, Any]
) -> None:
    message, output = world.dry("http.request", **{"url": f"{server.url}/x", **arguments})
    assert message.startswith("would send ")
    assert (output, server.asked) == ({}, [])
    assert ("(known when it runs)" in message) is (not is_known(arguments))


def test_the_words_of_a_dry_run_hold_values_as_they_are(world: World) -> None:
    """I13: a secret that was escaped would not be found by its value."""
    secret = "pa\"ss'wo\\rd/é"
    message, _ = world.dry(
        "http.request", url="http://127.0.0.1/x", method="POST", headers={"X-Token": secret}, json={"key": [secret]}
    )
    assert message == f"would send POST http://127.0.0.1/x\nX-Token: {secret}\n{{key: [{secret}]}}"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_dry_run_sends_a_read(world: World, server: Server, method: str) -> None:
    assert world.dry("http.request", url=server.url, method=method, reads=True)[1]["status"] == 200
    assert [asked.method for asked in server.asked] == [method]
