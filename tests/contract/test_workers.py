"""Work over real brokers by real worker processes: who does it, and what becomes of it when one of them dies."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runbook.lab.simulated import SimulatedLab
from tests.approvers import Signer, allowed_signers, signer
from tests.command_line import ROOT, SHORT, changes, followers, start
from tests.conftest import port_free_on
from tests.contract.brokers import RABBITMQ, Broker, RabbitServer, RedisServer, RunningWorker, wait_until, working

CLUSTERS = int(os.environ.get("WORKER_CLUSTERS", "40"))
BOTH = pytest.mark.parametrize(
    "brokers", [pytest.param("redis", marks=pytest.mark.smoke), "rabbitmq"], indirect=True
)  # by day too
pytestmark = [pytest.mark.redis, pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="needs ssh-keygen")]


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


# -- changes


def signed(folder: Path, ann: Signer) -> tuple[str, str]:
    """For a worker."""
    return "--signers", str(allowed_signers(folder, ann))


def recover(ann: Signer, *words: str) -> tuple[str, ...]:
    """For home."""
    by = ("--via", "celery", "--signing-key", str(ann.key))
    return ("fleet", "execute", "remove-dead-peers", "--all", *SHORT, "--yes", *by, *words)


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    """Five servers, one of them dead."""
    with SimulatedLab(5) as lab:
        lab.wait_for_leader()
        lab.kill(followers(lab)[0])
        yield lab


@BOTH
def test_a_recovery_is_ordered_done_and_brought_home(
    tmp_path: Path, brokers: dict[str, str], lab: SimulatedLab, ann: Signer
) -> None:
    """As if it were done here: the row, the exit code, the report with the run of the worker behind it."""
    site = Site(tmp_path, brokers, rows_of([lab]))
    with working(site.worker("one", "eu", *signed(tmp_path, ann))) as (worker,):
        done = site.type(*recover(ann))
    assert (done.returncode, "1 cluster: 1 completed" in done.stdout) == (0, True), done.stdout + done.stderr
    assert len(changes(lab)) == 1
    (journal,) = (worker.folder / "state" / "runs").glob("*/journal.jsonl")
    assert "in an order signed by ann@example.org" in journal.read_text(encoding="utf-8")
    state = Path(site.environment["RUNBOOK_STATE_DIR"])
    (brought,) = (state / "fleets").glob("*/*/journal.jsonl")
    assert brought.read_bytes() == journal.read_bytes()
    assert not list((state / "runs").glob("*"))
    page = Path(site.type("fleet", "report").stdout.strip())
    assert f"{brought.parent.parent.name}/{brought.parent.name}/report.html" in page.read_text(encoding="utf-8")
    assert (brought.parent / "report.html").exists()


def test_of_two_workers_that_are_told_to_recover_one_cluster_one_does(
    tmp_path: Path, brokers: dict[str, str], lab: SimulatedLab, ann: Signer
) -> None:
    """They have no folder in common. The other one is refused, and says who holds it."""
    site = Site(tmp_path, brokers, rows_of([lab]))
    with working(*(site.worker(name, "eu", *signed(tmp_path, ann), "--concurrency", "1") for name in "ab")) as both:
        words = recover(ann, "--param", "watch_for=4s")
        homes = [
            start(
                {**site.environment, "RUNBOOK_STATE_DIR": str(tmp_path / f"home{number}")},
                *words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )
            for number in range(2)
        ]  # fmt: skip
        told = [home.communicate(timeout=100)[0] for home in homes]
    assert [len(list((worker.folder / "state" / "runs").glob("*"))) for worker in both] == [1, 1], told
    assert sorted(home.returncode for home in homes) == [0, 5], told
    assert len(changes(lab)) == 1
    refused = next(text for home, text in zip(homes, told, strict=True) if home.returncode == 5)
    assert "another run holds this cluster: " in refused
    assert "on worker eu-" in refused


@pytest.mark.long
def test_a_worker_that_is_killed_in_a_change_is_told_and_its_run_resumed(
    tmp_path: Path, brokers: dict[str, str], lab: SimulatedLab, ann: Signer
) -> None:
    """By no other worker, which is refused the cluster, until the run has its end."""
    site = Site(tmp_path, brokers, rows_of([lab]))
    with working(site.worker("one", "eu", *signed(tmp_path, ann))) as (first,):
        home = start(site.environment, *recover(ann, "--param", "watch_for=40s"), stdout=subprocess.PIPE)
        wait_until(lambda: changes(lab))
        first.kill()
        with working(site.worker("two", "eu", *signed(tmp_path, ann))) as (second,):
            out, _ = home.communicate(timeout=100)
            (run,) = (first.folder / "state" / "runs").glob("*")
            assert home.returncode == 1, out
            assert f"was not ended; take it over with `runbook resume {run.name}` there" in out
            assert not list((second.folder / "state").glob("runs/*"))
            again = site.type(*recover(ann))
            assert again.returncode == 5, again.stdout
            assert "a run that holds this cluster died" in again.stdout
            assert f"There: runbook resume {run.name}" in again.stdout
            resumed = site.type("resume", run.name, "--yes", RUNBOOK_STATE_DIR=str(first.folder / "state"))
            assert resumed.returncode == 0, resumed.stdout + resumed.stderr
        with working(site.worker("one", "eu", *signed(tmp_path, ann))):
            wait_until(lambda: site.type(*recover(ann)).returncode == 0)  # it sees that its host's run has ended
    assert len(changes(lab)) == 1


def test_an_interruption_at_home_interrupts_the_run_there(
    tmp_path: Path, brokers: dict[str, str], lab: SimulatedLab, ann: Signer
) -> None:
    """Its record comes home, and it is resumed where it was."""
    site = Site(tmp_path, brokers, rows_of([lab]))
    with working(site.worker("one", "eu", *signed(tmp_path, ann))) as (worker,):
        home = start(site.environment, *recover(ann, "--param", "watch_for=120s"), stdout=subprocess.PIPE)
        wait_until(lambda: changes(lab))
        home.send_signal(signal.SIGINT)
        out, _ = home.communicate(timeout=60)
        assert (home.returncode, "1 cluster: 1 interrupted" in out) == (130, True), out
        (run,) = (worker.folder / "state" / "runs").glob("*")
        assert "run.interrupted" in (run / "journal.jsonl").read_text(encoding="utf-8")
        assert worker.process.poll() is None
