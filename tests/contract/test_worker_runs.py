"""Runs that change, ordered over real brokers: done once, by whoever holds the cluster, for a signed order alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kombu.connection import Connection

from runbook.fleet.broker import broker_settings
from runbook.fleet.celery_app import make_app
from runbook.fleet.orders import RUN, Order, new_id
from runbook.fleet.post import Post
from runbook.fleet.regions import run_queue
from runbook.fleet.requests import ClusterRunRequest
from runbook.lab.simulated import SimulatedLab
from tests.approvers import Signer
from tests.command_line import ROOT, changes, start
from tests.contract.brokers import wait_until, working
from tests.contract.sites import Site, recover, rows_of, signed

BOTH = pytest.mark.parametrize(
    "brokers",
    [pytest.param("redis", marks=pytest.mark.smoke), pytest.param("rabbitmq", marks=pytest.mark.long)],
    indirect=True,
)  # by day too
pytestmark = [pytest.mark.redis, pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="needs ssh-keygen")]


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


@pytest.mark.long
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


@pytest.mark.long
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


def test_no_message_is_obeyed_but_a_signed_one_once(
    tmp_path: Path, brokers: dict[str, str], lab: SimulatedLab, ann: Signer
) -> None:
    """One that was changed, is not signed, is old, came twice, or is a pickle: nothing is done, and that is told."""
    site = Site(tmp_path, brokers, rows_of([lab]))
    trap = tmp_path / "trap"
    with working(site.worker("one", "eu", *signed(tmp_path, ann))) as (worker,):
        post = Post(broker_settings(brokers), str(ann.key))

        def order(sent: float = 0.0, **more: Any) -> Order:
            at = time.time() + sent
            asked = ClusterRunRequest("f", "lab0", "remove-dead-peers", who="ann", agreed="by --yes", digest="0" * 64)
            return Order(new_id(), RUN, "eu", "lab0", at, at + 15, {**asked.to_dict(), **more})

        def told(one: Order, message: Any) -> str:
            post.send_run(one, message, run_queue("eu"))
            found: dict[str, Any] = {}
            wait_until(lambda: found.update(post.replies([one.id])) or found)
            return str(found[one.id]["result"]["sentence"])

        first = order()
        (message,) = post.sealed([first])
        changed = {**message, "order": message["order"].replace('"dry_run":false', '"dry_run":true ')}
        assert "was changed on its way" in told(first, changed)
        assert "is not signed" in told(first, {"order": first.text})
        assert "no order" in told(first, ["remove", "s1"])
        old = order(-100.0)
        assert "expired" in told(old, post.sealed([old])[0])
        elsewhere = replace(order(), region="us")
        assert "and came here" in told(elsewhere, post.sealed([elsewhere])[0])
        path = order(playbook="../../etc/passwd")
        assert "names a playbook as none is called" in told(path, post.sealed([path])[0])
        good = order()
        assert "is not the text with which the fleet was begun" in told(good, post.sealed([good])[0])
        post.send_run(good, post.sealed([good])[0], run_queue("eu"))
        wait_until(lambda: "begun before came again" in worker.said)
        assert post.replies([good.id]) == {}
        with Connection(brokers["RUNBOOK_BROKER"]) as connection, connection.SimpleQueue(run_queue("eu")) as queue:
            queue.put(Trap(str(trap)), serializer="pickle")
        wait_until(lambda: "deserialize" in worker.said or "ContentDisallowed" in worker.said)
        app = make_app(broker_settings(brokers))
        app.control.broadcast("shutdown")
        app.control.broadcast("revoke", arguments={"task_id": good.id, "terminate": True})
        environment = {**site.environment, "RUNBOOK_BROKER": brokers["RUNBOOK_BROKER"]}
        seen = subprocess.run(
            [sys.executable, "-m", "celery", "-A", "runbook.fleet.celery_app", "inspect", "active", "--json"],
            env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert list(json.loads(seen.stdout).values()) == [[]], seen.stdout + seen.stderr
        assert worker.process.poll() is None
        assert site.type("check", "--all", "--via", "celery", "--signing-key", str(ann.key)).returncode == 1
    assert (changes(lab), trap.exists()) == ([], False)


class Trap:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (self.path,))
