"""Work over real brokers by real worker processes: who does it, and what becomes of it when one of them dies."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runbook.lab.simulated import SimulatedLab
from tests.approvers import Signer, signer
from tests.command_line import ROOT
from tests.conftest import port_free_on
from tests.contract.brokers import RABBITMQ, Broker, RabbitServer, RedisServer, RunningWorker, working

NEEDED = shutil.which("redis-server") and shutil.which("ssh-keygen")
pytestmark = [pytest.mark.redis, pytest.mark.skipif(not NEEDED, reason="needs redis-server and ssh-keygen")]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis") / "data", port_free_on("127.0.0.1")) as server:
        yield server


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    if not RABBITMQ.exists():
        pytest.skip("needs rabbitmq-server")
    ports = [port_free_on("127.0.0.1") for _ in range(3)]
    with RabbitServer(tmp_path_factory.mktemp("rabbit") / "data", *ports) as server:
        yield server


@pytest.fixture(params=["redis", "rabbitmq"])
def brokers(request: pytest.FixtureRequest, redis: RedisServer) -> Iterator[dict[str, str]]:
    """The settings of home and of workers. Each test has a Redis without anything in it."""
    with redis.client as client:
        client.flushall()
    broker: Broker = redis if request.param == "redis" else request.getfixturevalue("rabbit")
    return {"RUNBOOK_BROKER": broker.url, "RUNBOOK_BACKEND": redis.url}


@pytest.fixture
def ann(tmp_path: Path) -> Signer:
    return signer(tmp_path, "ann@example.org")


class Site:
    """An inventory, people who may give orders, and the environment of whoever sits at home."""

    def __init__(self, folder: Path, brokers: dict[str, str], rows: dict[str, dict[str, Any]]) -> None:
        self.folder = folder
        self.inventory = folder / "clusters.yaml"
        self.inventory.write_text(json.dumps({"inventory": 1, "clusters": rows}), encoding="utf-8")
        self.environment = {**os.environ, **brokers, "RUNBOOK_INVENTORY": str(self.inventory)}

    def worker(self, name: str, region: str, *words: str) -> RunningWorker:
        return RunningWorker(self.folder / name, self.environment, region, *words)

    def type(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "runbook", *words]
        environment = {**self.environment, **more}
        return subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False
        )


def rows_of(labs: list[SimulatedLab], region: str = "eu") -> dict[str, dict[str, Any]]:
    return {
        f"lab{number}": {"kind": "nomad", "labels": {"region": region}, "addresses": list(lab.addresses)}
        for number, lab in enumerate(labs)
    }


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Callable[[int], dict[str, dict[str, Any]]]]:
    """So many simulated clusters of five in one process, one address each."""
    processes: list[subprocess.Popen[bytes]] = []

    def serve(clusters: int) -> dict[str, dict[str, Any]]:
        command = [sys.executable, "-m", "benchmarks.fleet_stub", str(clusters), "0"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        processes.append(process)
        assert process.stdout
        port = int(process.stdout.readline())
        return {
            f"c{n:03d}": {
                "kind": "nomad",
                "labels": {"region": "eu" if n % 2 else "us"},
                "addresses": [f"http://127.{80 + n // 250}.{n % 250 + 1}.11:{port}"],
            }
            for n in range(clusters)
        }

    yield serve
    for process in processes:
        with process:
            process.terminate()


@pytest.mark.smoke
def test_two_hundred_clusters_are_checked_and_a_region_without_a_worker_is_unknown(
    tmp_path: Path, brokers: dict[str, str], fleet: Callable[[int], dict[str, dict[str, Any]]]
) -> None:
    """The same rows, numbers and findings as of a check from here; and an end where nobody takes the task."""
    clusters = fleet(200)
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
    assert "202 clusters: 2 unknown, 200 ok" in lines[0]
    assert "nobody took the task within 10 s: no worker of region ap is there" in lines[1]
    assert "runbook worker --region ap" in lines[1]
    assert "the inventory gives nowhere no region" in lines[2]


def without_times(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "seconds"}
