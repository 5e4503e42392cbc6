"""Which tests on real servers are played: by `make test` one a product, in CI all but the long ones, at night all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runbook.lab import agent_layout
from runbook.lab.simulated import SimulatedLab
from tests.approvers import Signer, signer
from tests.command_line import ROOT, followers
from tests.conftest import port_free_on
from tests.contract.brokers import RABBITMQ, Broker, RabbitServer, RedisServer

HERE = Path(__file__).parent


@pytest.fixture
def short_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Consul's servers say at once that they have no leader, and not after 7 s, for tests of many such looks."""
    settings = agent_layout._consul

    def hasty(layout: agent_layout.AgentLayout, name: str) -> dict[str, Any]:
        return {**settings(layout, name), "performance": {"raft_multiplier": 1, "rpc_hold_timeout": "500ms"}}

    monkeypatch.setattr(agent_layout, "_consul", hasty)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The others are skipped, with the words that play them."""
    if os.environ.get("CONTRACT") == "all" or any("contract" in str(argument) for argument in config.args):
        return
    in_ci = os.environ.get("CI") == "true"
    for item in items:
        if HERE not in item.path.parents:
            continue
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="played by night, or by CONTRACT=all make test"))
        elif not in_ci and not item.get_closest_marker("smoke"):
            item.add_marker(pytest.mark.skip(reason="played in CI, or by CONTRACT=all make test"))


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis") / "data", port_free_on("127.0.0.1")) as server:
        yield server


@pytest.fixture(scope="session")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    if not RABBITMQ.exists():
        pytest.skip("needs rabbitmq-server")
    ports = [port_free_on("127.0.0.1") for _ in range(3)]
    with RabbitServer(tmp_path_factory.mktemp("rabbit") / "data", *ports) as server:
        yield server


@pytest.fixture(params=["redis", pytest.param("rabbitmq", marks=pytest.mark.long)])
def brokers(request: pytest.FixtureRequest, redis: RedisServer) -> dict[str, str]:
    """The settings of home and of workers. Each test has a Redis without anything in it."""
    with redis.client as client:
        client.flushall()
    broker: Broker = redis if request.param == "redis" else request.getfixturevalue("rabbit")
    return {"RUNBOOK_BROKER": broker.url, "RUNBOOK_BACKEND": redis.url}


@pytest.fixture
def ann(tmp_path: Path) -> Signer:
    return signer(tmp_path, "ann@example.org")


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


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    """Five servers, one of them dead."""
    with SimulatedLab(5) as lab:
        lab.wait_for_leader()
        lab.kill(followers(lab)[0])
        yield lab
