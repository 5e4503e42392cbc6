"""``wait.for_port`` on real ports of this host."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from runbook.errors import ErrorKind, StepError
from runbook.playbook.expressions.model import UNKNOWN
from tests.steps.world import World


def listen() -> tuple[socket.socket, int]:
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    return server, int(server.getsockname()[1])


def closed_port() -> int:
    server, port = listen()
    server.close()
    return port


def test_a_port_that_listens_is_not_waited_for(world: World) -> None:
    server, port = listen()
    with server:
        message, output = world.run("wait.for_port", host="127.0.0.1", port=port)
    assert message == f"127.0.0.1:{port} takes connections"
    assert output == {"seconds": 0.0}
    assert world.clock.slept == []


def test_it_tries_again_and_again_until_its_time_is_over(world: World) -> None:
    """Each pause is told, and the failure says what the last try met."""
    port = closed_port()
    with pytest.raises(StepError) as caught:
        world.run("wait.for_port", host="127.0.0.1", port=port, within=5.0, every=2.0)
    assert str(caught.value).startswith(f"127.0.0.1:{port} took no connection within 5s: Connection refused")
    assert caught.value.kind is ErrorKind.TIMEOUT
    assert world.clock.slept == [2.0, 2.0, 1.0]
    assert len(world.events) == 3


def test_a_dry_run_tries_once(world: World) -> None:
    port = closed_port()
    message, _ = world.dry("wait.for_port", reads=True, host="127.0.0.1", port=port, within=5.0)
    assert message == f"would wait for 127.0.0.1:{port}, for 5s at most: Connection refused"
    assert world.dry("wait.for_port", reads=True, host=UNKNOWN, port=1)[0] == "would wait for (known when it runs):1"
    assert world.clock.slept == []


def test_a_name_that_is_none_is_no_bug(world: World) -> None:
    with pytest.raises(StepError, match="took no connection within"):
        world.run("wait.for_port", host="a..b", port=1, within=0.01)


def test_a_port_that_opens_meanwhile_is_met(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the machine's own clock."""
    port = closed_port()
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    threading.Timer(0.2, server.listen).start()
    monkeypatch.setattr(world.clock, "monotonic", time.monotonic)
    monkeypatch.setattr(world.clock, "sleep", time.sleep)
    with server:
        assert world.run("wait.for_port", host="127.0.0.1", port=port, within=10.0, every=0.05)[1]["seconds"] > 0
