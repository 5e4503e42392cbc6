"""``notify.webhook`` against real servers on loopback: the url is a key, so nothing but its host is ever told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runbook.errors import ErrorKind, StepError
from runbook.playbook.expressions.model import UNKNOWN
from tests.cluster.stub import stub
from tests.steps.server import Server
from tests.steps.world import World

KEY = "T0CANARY/B0CANARY/aVerySecretKey"


def failure(world: World, **arguments: Any) -> StepError:
    with pytest.raises(StepError) as caught:
        world.run("notify.webhook", **arguments)
    return caught.value


def test_a_webhook_gets_the_text_as_chat_services_take_it(world: World, server: Server) -> None:
    assert world.run("notify.webhook", url=f"{server.url}/{KEY}", text="hé\n") == (
        f"told {server.url}",
        {"status": 200},
    )
    (asked,) = server.asked
    assert (asked.method, asked.path, json.loads(asked.body)) == ("POST", f"/{KEY}", {"text": "hé\n"})
    assert asked.headers["content-type"] == "application/json"


def test_a_webhook_gets_other_data_where_it_is_named(world: World, server: Server) -> None:
    world.run("notify.webhook", url=server.url, json={"blocks": []})
    assert json.loads(server.asked[0].body) == {"blocks": []}
    assert "one of text and json" in str(failure(world, url=server.url))


def test_a_webhook_that_does_not_take_it_fails_with_its_host_alone(world: World, server: Server) -> None:
    server.table[f"/{KEY}"] = (503, {}, b"")
    error = failure(world, url=f"{server.url}/{KEY}", text="hello")
    assert (error.kind, str(error)) == (ErrorKind.UNAVAILABLE, f"POST {server.url} answered 503")


def test_a_dry_run_tells_nobody(world: World, server: Server) -> None:
    message, output = world.dry("notify.webhook", url=f"{server.url}/{KEY}", text="hello")
    assert (message, output, server.asked) == ("would tell 127.0.0.1: hello", {}, [])
    assert world.dry("notify.webhook", url=UNKNOWN, text=UNKNOWN)[0].count("(known when it runs)") == 2


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"\0\0\0 garbage\r\n\r\n"]
)
def test_an_answer_that_breaks_off_or_is_none_is_told_without_the_path(world: World, answer: bytes) -> None:
    """I13: the path of a webhook is its key."""

    def table(_method: str, _path: str) -> bytes:
        return answer

    with stub(table) as hostile:
        error = failure(world, url=f"{hostile.url}/{KEY}", text="hello", timeout=0.4)
    assert error.kind is ErrorKind.TIMEOUT
    assert "CANARY" not in str(error)
