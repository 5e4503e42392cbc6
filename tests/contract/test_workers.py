"""Work over real brokers by real worker processes: who does it, and what becomes of it when one of them dies."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from runbook.lab.simulated import SimulatedLab
from tests.command_line import start
from tests.contract.brokers import Broker, RedisServer, wait_until, working
from tests.contract.sites import Door, Site, rows_of

CLUSTERS = int(os.environ.get("WORKER_CLUSTERS", "40"))
pytestmark = [pytest.mark.redis, pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="needs ssh-keygen")]


def test_many_clusters_are_checked_and_a_region_without_a_worker_is_unknown(
    tmp_path: Path, brokers: dict[str, str], fleet: Callable[[int], dict[str, dict[str, Any]]]
) -> None:
    """The same rows, numbers and findings as of a check from here; and an end where nobody takes the task."""
    clusters = fleet(CLUSTERS)
    site = Site(tmp_path, brokers, clusters)
    with working(site.worker("one", "eu"), site.worker("two", "us")):
        near, far = (site.type("check", "--all", "--format", "json", *via) for via in ((), ("--via", "celery")))
        assert (near.returncode, far.returncode) == (0, 0), far.stdout[:2000] + far.stderr
        whole, *rows = ([json.loads(line) for line in each.stdout.splitlines()] for each in (near, far))
        assert [without_times(row) for row in rows[0]] == [without_times(row) for row in whole]
        clusters["alone"] = {**clusters["c000"], "labels": {"region": "ap"}, "addresses": ["http://127.0.0.1:9"]}
        clusters["nowhere"] = {"kind": "nomad", "addresses": ["http://127.0.0.2:9"]}
        site = Site(tmp_path, brokers, clusters)
        done = site.type("check", "--all", "--via", "celery")
    assert done.returncode == 3, done.stdout[:2000] + done.stderr
    lines = done.stdout.splitlines()
    assert f"{CLUSTERS + 2} clusters: 2 unknown, {CLUSTERS} ok" in lines[0]
    assert "nobody took the task within 10 s: no worker of region ap is there" in lines[1]
    assert "runbook worker --region ap" in lines[1]
    assert "the inventory gives nowhere no region" in lines[2]


def without_times(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "seconds"}


@pytest.mark.parametrize(
    "brokers", [pytest.param("redis", marks=pytest.mark.long), pytest.param("rabbitmq")], indirect=True
)
def test_a_check_in_which_a_worker_is_killed_is_done_again(tmp_path: Path, brokers: dict[str, str]) -> None:
    """By another one, and told as if nothing had been."""
    with SimulatedLab(3) as lab:
        lab.wait_for_leader()
        door = Door(lab.addresses[0])
        site = Site(tmp_path, brokers, {"lab": {"kind": "nomad", "labels": {"region": "eu"}, "addresses": [door.url]}})
        with working(site.worker("one", "eu")) as (first,):
            home = start(site.environment, "check", "--all", "--via", "celery", stdout=subprocess.PIPE)
            assert door.came.wait(30)
            first.kill()
            door.open.set()
            with working(site.worker("two", "eu")):
                out, _ = home.communicate(timeout=90)
        door.close()
    assert (home.returncode, "RAFT OK - 1 cluster: 1 ok" in out) == (0, True), out


@pytest.mark.long
def test_a_broker_that_is_started_anew_in_the_middle_loses_no_check(
    tmp_path: Path,
    brokers: dict[str, str],
    request: pytest.FixtureRequest,
    redis: RedisServer,
    fleet: Callable[[int], dict[str, dict[str, Any]]],
) -> None:
    """Home and the workers wait for it, and go on."""
    broker: Broker = redis if brokers["RUNBOOK_BROKER"] == redis.url else request.getfixturevalue("rabbit")
    site = Site(tmp_path, brokers, fleet(200))
    with working(site.worker("one", "eu"), site.worker("two", "us")):
        home = start(site.environment, "check", "--all", "--via", "celery", stdout=subprocess.PIPE)
        wait_until(lambda: len(redis.client.keys("runbook:done:*")) > 20)
        broker.stop()
        broker.start()
        out, _ = home.communicate(timeout=150)
    assert (home.returncode, out.splitlines()[0].split(" |")[0]) == (0, "RAFT OK - 200 clusters: 200 ok"), out[:3000]


@pytest.mark.long
def test_a_region_is_checked_by_the_clock(tmp_path: Path, brokers: dict[str, str], lab: SimulatedLab) -> None:
    """By one of its workers, which tells whoever that tells."""
    heard: list[bytes] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802 -- http.server calls it so
            heard.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        site = Site(tmp_path, brokers, rows_of([lab]))
        site.environment["RUNBOOK_NOTIFY"] = f"http://127.0.0.1:{server.server_port}/"
        with working(site.worker("one", "eu", "--beat", "10s")):
            wait_until(lambda: heard)
        server.shutdown()
    assert json.loads(heard[0])["cluster"] == "lab0"
