"""The numbers over HTTP: the same as in the textfile, asked for once in a while, whoever asks and however slowly."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from runbook.inspection.exporter import MOST_REQUESTS, CachedSeries, SeriesServer
from runbook.lab.simulated import SimulatedLab
from tests.command_line import runbook


@contextmanager
def serving(look: Callable[[], str], seconds: float = 60.0, whole_request: float = 30.0) -> Iterator[str]:
    with SeriesServer("127.0.0.1", 0, CachedSeries(look, seconds), whole_request) as server:
        thread = threading.Thread(target=lambda: server.serve_forever(0.05), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(5)


def get(url: str) -> tuple[int, str, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:  # noqa: S310 -- a server of this test
            return reply.status, reply.headers["Content-Type"], reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


def test_many_that_ask_at_once_cost_one_look() -> None:
    looks: list[float] = []

    def look() -> str:
        looks.append(time.monotonic())
        time.sleep(0.2)
        return f"a {len(looks)}\n"

    told: list[tuple[int, str, str]] = []
    with serving(look) as url:
        asking = [threading.Thread(target=lambda: told.append(get(f"{url}/metrics"))) for _ in range(8)]
        for each in asking:
            each.start()
        for each in asking:
            each.join(5)
        told.append(get(f"{url}/metrics?x=1"))
    assert told == [(200, "text/plain; version=0.0.4; charset=utf-8", "a 1\n")] * 9
    assert len(looks) == 1


def test_what_is_too_old_is_asked_for_again_and_nothing_is_no_success() -> None:
    answers = iter(["a 1\n", ""])
    with serving(lambda: next(answers), seconds=0.0) as url:
        assert get(f"{url}/metrics")[2] == "a 1\n"
        status, _, text = get(f"{url}/metrics")
        assert (status, "runbook check" in text) == (503, True)
        assert get(f"{url}/")[0] == 404


def test_whoever_is_slow_holds_up_nobody_and_not_for_ever() -> None:
    """All places but one are taken by connections that say nothing; one more is turned away; then all are closed."""
    with serving(lambda: "a 1\n", whole_request=0.6) as url:
        place = ("127.0.0.1", int(url.rpartition(":")[2]))
        idle = [socket.create_connection(place) for _ in range(MOST_REQUESTS - 1)]
        time.sleep(0.2)
        assert get(f"{url}/metrics")[0] == 200
        time.sleep(0.05)
        idle.append(socket.create_connection(place))
        time.sleep(0.1)
        with socket.create_connection(place) as late:
            late.settimeout(2)
            assert late.recv(10) == b""
        for each in idle:
            each.settimeout(3)
            assert each.recv(10) == b""
            each.close()
        assert get(f"{url}/metrics")[0] == 200


def test_the_process_listens_on_loopback_and_gives_what_the_textfile_has() -> None:
    """With one address that is dead before one that answers; a signal ends it."""
    with SimulatedLab(3, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        environment = {**os.environ, "NOMAD_ADDR": f"http://127.0.0.1:9,{lab.addresses[0]}"}
        command = [sys.executable, "-m", "runbook", "exporter", "--listen", "127.0.0.1:0", "--every", "1m"]
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            found = re.search(r"http://127\.0\.0\.1:\d+/metrics", process.stderr.readline())
            assert found
            first, second = get(found[0]), get(found[0])
            process.send_signal(signal.SIGTERM)
            process.wait(10)
        printed = runbook(environment, "check", "--format", "prometheus").stdout
    assert first == second
    values = [
        {s.name: (s.labels, s.value) for f in text_string_to_metric_families(text) for s in f.samples}
        for text in (first[2], printed)
    ]
    for each in values:
        each.pop("runbook_raft_check_seconds")
    assert values[0] == values[1]
    assert values[0]["runbook_raft_live_voters"][1] == 3


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--listen", "9732"), "write HOST:PORT"),
        (("--listen", "192.0.2.1:9732"), "cannot be listened at"),
        (("--all", "--critical", "dead=0"), "leave --critical out"),
        (("--every", "soon"), "soon"),
    ],
)
def test_what_cannot_be_served_is_told(words: tuple[str, ...], sentence: str) -> None:
    done = runbook(os.environ, "exporter", *words)
    assert done.returncode == 2
    assert sentence in " ".join(done.stderr.split())
