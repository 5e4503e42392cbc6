"""A playbook over a fleet: in which order, how far after a surprise, and what each run is told."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runbook.engine.items import SLICE
from runbook.errors import NotStartedError
from runbook.fleet.execute import FleetPolicy, batches_of, execute_fleet, reason_to_stop
from runbook.fleet.record import FleetRecord, find_fleet, read_fleet
from runbook.fleet.requests import ClusterRunRequest, ClusterRunResult
from runbook.journal.store import read
from tests.engine.fake import FakeClock, FakeCluster
from tests.fleet.fakes import FakeFleet, Watched, cluster_of

ONE = FleetPolicy()


def outcomes(results: tuple[ClusterRunResult, ...]) -> list[str]:
    return [result.outcome for result in results]


def send_signal() -> None:
    """To this process, and leave the main thread a moment to hear it, which virtual time does not."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.05)


# -- the order, and when it stops


@pytest.mark.parametrize(
    ("policy", "batches"),
    [
        (FleetPolicy(canary=1, serial=1), "a b c d e"),
        (FleetPolicy(canary=1, serial=3), "a bcd e"),
        (FleetPolicy(canary=2, serial=2), "a b cd e"),
        (FleetPolicy(canary=0, serial=2), "ab cd e"),
        (FleetPolicy(canary=9, serial=2), "a b c d e"),
    ],
)
def test_canaries_are_alone_and_the_others_in_batches(policy: FleetPolicy, batches: str) -> None:
    assert " ".join("".join(batch) for batch in batches_of(list("abcde"), policy)) == batches


def result_of(letter: str) -> ClusterRunResult:
    words = {".": "completed", "F": "failed", "R": "refused", "I": "interrupted", "N": "not started"}
    return ClusterRunResult(f"cluster {letter}", words[letter], "", 0)


@pytest.mark.parametrize(
    ("results", "policy", "why"),
    [
        ("...", ONE, ""),
        (".F", ONE, "the run on cluster F failed"),
        (".R", ONE, "the run on cluster R was refused"),
        (".N", ONE, "the run on cluster N was not started"),
        (".FR", FleetPolicy(max_failures=3), ""),
        (".FRN", FleetPolicy(max_failures=3), "3 runs did not end well, and --max-failures is 3"),
        ("F", FleetPolicy(max_failures=3), "the run on cluster F, a canary, failed"),
        (".F", FleetPolicy(canary=2, max_failures=3), "the run on cluster F, a canary, failed"),
        (".I", FleetPolicy(max_failures=3), "the run on cluster I was interrupted"),
    ],
)
def test_a_surprise_stops_it(results: str, policy: FleetPolicy, why: str) -> None:
    """A canary is begun to be heeded, and an interruption is a person's word: both stop it whatever is allowed."""
    assert reason_to_stop([result_of(letter) for letter in results], policy) == why


# -- with real sessions on clusters in virtual time


def test_every_cluster_has_a_run_of_its_own(tmp_path: Path) -> None:
    """Its journal, its lock and its report, and the person who agreed to all of them."""
    fleet, watched = FakeFleet(tmp_path, ("a", "b")), Watched()
    end = fleet.execute(ONE, watched)
    assert (outcomes(end.results), end.exit_code, end.stopped) == (["completed"] * 2, 0, "")
    assert [cluster.changes for cluster in fleet.clusters.values()] == [["id-5"], ["id-10"]]
    assert watched.told == ["begun a", "record of a", "a completed", "begun b", "record of b", "b completed"]
    for result in end.results:
        events = read(Path(result.folder) / "journal.jsonl").events
        assert (events[0]["cluster"], events[-1]["message"]) == (f"nomad:{result.cluster}", result.sentence)
        assert [event["how"] for event in events if event["kind"] == "change.approved"] == [
            "by --yes, for a whole fleet"
        ]
        assert (Path(result.folder) / "report.html").exists()


@pytest.mark.parametrize("serial", [1, 2])
def test_a_surprise_in_the_second_leaves_the_rest_untouched(tmp_path: Path, serial: int) -> None:
    """What runs beside it is let finish; no request for a change, nor any other, reaches one of a later batch."""
    fleet = FakeFleet(tmp_path)
    fleet.clusters["b"].leader = None
    end = fleet.execute(FleetPolicy(serial=serial))
    begun = 1 + serial
    assert outcomes(end.results)[:begun] == ["completed", "failed", "completed"][:begun]
    assert outcomes(end.results)[begun:] == ["not begun"] * (5 - begun)
    assert [name for name, cluster in fleet.clusters.items() if cluster.looks] == list("abc"[:begun])
    assert fleet.changed == [name for name in "abc"[:begun] if name != "b"]
    assert (end.stopped, end.exit_code) == ("the run on b failed", 4)


def test_nothing_to_do_is_no_surprise(tmp_path: Path) -> None:
    fleet = FakeFleet(tmp_path)
    for cluster in fleet.clusters.values():
        cluster.dead.clear()
    end = fleet.execute(FleetPolicy(serial=2))
    assert [result.sentence for result in end.results] == ["nothing to do"] * 5
    assert (end.exit_code, fleet.changed) == (0, [])


def test_two_names_of_one_cluster_are_not_changed_beside_each_other(tmp_path: Path) -> None:
    """The lock is on the peers, and not on the name: the second run is refused, and says by which one."""
    fleet = FakeFleet(tmp_path, ("a", "b"))
    fleet.clusters["b"] = cluster_of(0, "b")
    a_holds_it, b_ended = threading.Event(), threading.Event()

    def hold(_cluster: FakeCluster) -> None:
        a_holds_it.set()
        assert b_ended.wait(20)

    def wait(_cluster: FakeCluster) -> None:
        assert a_holds_it.wait(20)

    fleet.clusters["a"].at_look[8], fleet.clusters["b"].at_look[1] = hold, wait
    end = fleet.execute(FleetPolicy(canary=0, serial=2), Watched(on_end=b_ended.set))
    assert end.exit_code == 5
    assert "another run holds this cluster" in end.results[1].sentence
    assert fleet.changed == ["a"]


def test_without_anybody_who_agreed_the_first_is_refused(tmp_path: Path) -> None:
    fleet = FakeFleet(tmp_path)
    with fleet.behind():
        requests = [replace(fleet.request(name), agreed="") for name in fleet.clusters]
        end = execute_fleet(requests, ONE, fleet.run, Watched())
    assert (outcomes(end.results)[:2], fleet.changed, end.exit_code) == (["refused", "not begun"], [], 3)


def test_a_run_of_a_fleet_that_nobody_watches_is_bounded_as_any_other(tmp_path: Path) -> None:
    """One removal, and none of two dead servers."""
    fleet = FakeFleet(tmp_path, ("a",))
    fleet.clusters["a"].dead.add(4)
    (result,) = fleet.execute(ONE, unattended=True).results
    assert (result.outcome, result.exit_code, fleet.changed) == ("refused", 3, [])
    assert read(Path(result.folder) / "journal.jsonl").events[0]["unattended"] is True


def test_a_cluster_that_the_inventory_has_not_is_a_result(tmp_path: Path) -> None:
    fleet = FakeFleet(tmp_path)
    with fleet.behind():
        result = fleet.run(fleet.request("zz"))
    assert (result.outcome, result.exit_code, result.run) == ("not started", 2, "")
    assert "names no cluster zz" in result.sentence


@pytest.mark.parametrize("serial", [1, 2])
def test_a_signal_interrupts_what_runs_and_nothing_more_is_begun(tmp_path: Path, serial: int) -> None:
    """As in `execute`: before its next change, with a journal that can be resumed."""

    def interrupted(_cluster: FakeCluster) -> None:
        send_signal()

    fleet = FakeFleet(tmp_path)
    fleet.clusters["b"].at_look[2] = interrupted
    end = fleet.execute(FleetPolicy(serial=serial))
    by_name = {result.cluster: result for result in end.results}
    assert (by_name["a"].outcome, by_name["b"].outcome, by_name["d"].outcome) == (
        "completed",
        "interrupted",
        "not begun",
    )
    assert "b" not in fleet.changed
    assert not {"d", "e"} & set(fleet.changed)
    assert end.exit_code == 130
    assert read(Path(by_name["b"].folder) / "journal.jsonl").events[-1]["kind"] == "run.interrupted"


def test_a_run_beside_another_is_woken_from_its_wait_by_a_signal(tmp_path: Path) -> None:
    """Where nothing is raised in the middle: it never sleeps longer than until it looks whether it is to stop."""
    slept: list[float] = []

    class Signalling(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            slept.append(seconds)
            if len(slept) == 3:
                send_signal()

    fleet = FakeFleet(tmp_path, ("a", "b"))
    fleet.clusters["b"] = cluster_of(1, "b", Signalling())
    end = fleet.execute(FleetPolicy(canary=0, serial=2))
    assert (end.results[1].outcome, end.exit_code) == ("interrupted", 130)
    assert max(slept) <= SLICE
    assert len(slept) < 10


def test_a_fault_of_the_program_leaves_what_was_begun_on_record(tmp_path: Path) -> None:
    """Before the run had a record of its own too: nobody knows what became of it."""
    fleet = FakeFleet(tmp_path)
    requests = [fleet.request(name) for name in fleet.clusters]
    record = FleetRecord.begin(fleet.state / "fleets", requests, ONE, "clusters.yaml", FakeClock())

    def run(request: ClusterRunRequest, *_more: object) -> ClusterRunResult:
        if request.cluster == "b":
            raise ZeroDivisionError
        return ClusterRunResult(request.cluster, "completed", "done", 0)

    with pytest.raises(ZeroDivisionError):
        execute_fleet(requests, FleetPolicy(canary=1, serial=2), run, record)
    told = read_fleet(find_fleet(fleet.state, "last"))
    assert [row.outcome for row in told.rows] == ["completed", "begun", "completed", "not begun", "not begun"]


def test_a_signal_between_two_runs_begins_no_more(tmp_path: Path) -> None:
    """As the report of a run is written, where nothing is raised."""

    class Signalled(Watched):
        def ended(self, result: ClusterRunResult) -> None:
            send_signal()

    fleet = FakeFleet(tmp_path)
    end = fleet.execute(ONE, Signalled())
    assert (outcomes(end.results)[:2], end.stopped) == (["completed", "not begun"], "it was interrupted")
    assert end.exit_code == 130


def test_where_no_record_can_be_kept_no_run_is_begun(tmp_path: Path) -> None:
    class Full(Watched):
        def ended(self, result: ClusterRunResult) -> None:
            raise OSError(28, "No space left on device", "x.json")

    fleet = FakeFleet(tmp_path)
    end = fleet.execute(FleetPolicy(canary=0, serial=2), Full())
    assert outcomes(end.results) == ["completed"] * 2 + ["not begun"] * 3
    assert "x.json: No space left on device" in end.stopped
    assert end.exit_code == 1


# -- what travels


def test_a_request_and_a_result_are_the_same_after_a_journey(tmp_path: Path) -> None:
    fleet = FakeFleet(tmp_path)
    request = fleet.request("a", params={"looks": "2"}, dry_run=True)
    assert ClusterRunRequest.from_dict(json.loads(json.dumps(request.to_dict()))) == request
    with fleet.behind():
        result = fleet.run(request)
    assert ClusterRunResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result
    assert not fleet.changed


@pytest.mark.parametrize(
    "odd",
    [
        None,
        [],
        {},
        {"fleet": "f", "cluster": "c"},
        {"fleet": "f", "cluster": "c", "playbook": "p", "more": 1},
        {"fleet": "f", "cluster": ["c"], "playbook": "p"},
        {"fleet": "f", "cluster": "c", "playbook": "p", "params": {"x": 1}},
        {"fleet": "f", "cluster": "c", "playbook": "p", "dry_run": "no"},
        {"fleet": "f", "cluster": "c" * 70_000, "playbook": "p"},
    ],
)
def test_what_is_no_request_is_refused_and_not_repeated(odd: Any) -> None:
    with pytest.raises(NotStartedError, match=r"^this is no ClusterRunRequest of this version"):
        ClusterRunRequest.from_dict(odd)
