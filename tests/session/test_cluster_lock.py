"""Whose the lock is: a run whose record has an ending holds nothing, whatever name is left in the files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from runbook.cluster_events import ClusterClaimed, LockFreed, LockTakenOver
from runbook.errors import RefusedError
from runbook.events import (
    Event,
    RunAcknowledged,
    RunCompleted,
    RunFailed,
    RunInterrupted,
    RunRefused,
    RunResumed,
    RunStarted,
)
from runbook.journal.lock import Lock
from runbook.journal.store import Journal, read
from runbook.run_state import fold
from runbook.session.cluster_lock import ClusterLock, Overrides, remove_leftover_name
from tests.engine.fake import FakeClock

AT = "2026-01-01T00:00:00.000+00:00"
PEERS = ("a", "b", "c")
STARTED = RunStarted("old", "remove-dead-peers", "d", "nomad:x", "ann", dry_run=False, params={})
TAKEN_OVER = LockTakenOver("old", "another", "bob", "its host is gone")
ENDINGS: dict[str, tuple[Event, ...]] = {
    "completed": (RunCompleted("recovered"),),
    "refused": (RunRefused("remove", "Drift", "the leader moved"),),
    "failed": (RunFailed("remove", "ambiguous", "nobody answered"),),
    "interrupted": (RunInterrupted("remove", "by a signal"),),
    "taken over": (TAKEN_OVER,),
}
NO_ENDING: dict[str, tuple[Event, ...]] = {
    "it died": (),
    "it went on after a failure and died": (*ENDINGS["failed"], RunResumed("ann", "nomad:x", torn=False)),
    "it went on after it was taken over": (TAKEN_OVER, RunResumed("ann", "nomad:x", torn=False)),
    "it took over from another": (LockTakenOver("older", "old", "bob", "its host is gone"),),
}


def record(state: Path, run: str, events: Iterable[Event]) -> None:
    journal = Journal.begin(state / "runs" / run / "journal.jsonl")
    for event in events:
        journal.append({"at": AT, **event.record()})
    journal.close()


def name_left(state: Path, run: str, peers: Iterable[str] = PEERS) -> None:
    """As of a process that died with the lock: nobody holds the files, and its name stands in them."""
    dead = Lock(state / "locks", {"run": run, "who": "ann", "since": AT})
    dead.acquire("peer", peers)
    dead._close()


def lock_of(state: Path, *, take_over: bool = False) -> tuple[ClusterLock, list[Event]]:
    told: list[Event] = []
    overrides = Overrides(take_over=take_over, reason="x")
    return ClusterLock("new", state, "bob", told.append, overrides, FakeClock()), told


def names_in(state: Path) -> list[str]:
    return [str(json.loads(text)["run"]) for path in (state / "locks").iterdir() if (text := path.read_text())]


@pytest.mark.parametrize("how", ENDINGS)
def test_a_run_that_has_ended_holds_nothing(tmp_path: Path, how: str) -> None:
    """It died between its ending and its release; the next run passes it, and its record says so."""
    record(tmp_path, "old", [STARTED, ClusterClaimed(PEERS), *ENDINGS[how]])
    name_left(tmp_path, "old")
    new, told = lock_of(tmp_path)
    new.acquire(frozenset({"c", "d"}))
    assert told == [LockFreed("old", how)]
    assert sorted(names_in(tmp_path)) == ["new", "new", "old", "old"]


@pytest.mark.parametrize("how", NO_ENDING)
def test_a_run_without_an_ending_bars_the_next_one(tmp_path: Path, how: str) -> None:
    record(tmp_path, "old", [STARTED, ClusterClaimed(PEERS), *NO_ENDING[how]])
    name_left(tmp_path, "old")
    with pytest.raises(RefusedError, match="a run that holds this cluster died: old") as refused:
        lock_of(tmp_path)[0].acquire(frozenset(PEERS))
    assert (refused.value.reason.code, "runbook resume old" in refused.value.reason.next_action) == ("Locked", True)
    new, told = lock_of(tmp_path, take_over=True)
    new.acquire(frozenset(PEERS))
    assert told == [LockTakenOver("old", "new", "bob", "x")]


def test_a_run_whose_record_is_not_there_is_only_taken_over(tmp_path: Path) -> None:
    """Nobody can tell how it ended, and there is nothing to resume."""
    name_left(tmp_path, "old")
    with pytest.raises(RefusedError) as refused:
        lock_of(tmp_path)[0].acquire(frozenset(PEERS))
    assert "--take-over" in refused.value.reason.next_action
    assert "resume" not in refused.value.reason.next_action


TORN = [b'{"run": "20260101T00', b"\0" * 60, *(json.dumps({"run": name, "since": 5, "who": ["x"]}).encode()
        for name in ("../elsewhere/old", "..", "old\x1b[2J", 7))]  # fmt: skip
OLD = "20260101T000000000Z-old-0000"
BEGUN = replace(STARTED, run=OLD)


def torn_name_left(state: Path, data: bytes) -> None:
    name_left(state, "torn", ["a"])
    for path in (state / "locks").iterdir():
        path.write_bytes(data)


@pytest.mark.parametrize("data", TORN)
def test_a_name_that_cannot_be_read_bars_nobody_where_every_run_is_over(tmp_path: Path, data: bytes) -> None:
    """Whatever a crash or somebody wrote into a lock file; the record of the next run tells of it."""
    record(tmp_path, OLD, [BEGUN, ClusterClaimed(PEERS), *ENDINGS["completed"]])
    record(tmp_path, "20260101T000000000Z-of-another-0000", [BEGUN, ClusterClaimed(("x",))])
    torn_name_left(tmp_path, data)
    new, told = lock_of(tmp_path)
    new.check_free(frozenset(PEERS))
    new.acquire(frozenset(PEERS))
    assert told == [LockFreed("nobody that can be read", "every run here that claimed this cluster is over")]


@pytest.mark.parametrize("data", TORN)
def test_a_name_that_cannot_be_read_may_be_that_of_a_run_that_is_not_over(tmp_path: Path, data: bytes) -> None:
    """That run is named, and goes on itself; no record outside of the runs frees a cluster."""
    record(tmp_path / "elsewhere", "old", [STARTED, *ENDINGS["completed"]])
    (tmp_path / "elsewhere" / "runs" / "old").rename(tmp_path / "elsewhere" / "old")
    record(tmp_path / "state", OLD, [BEGUN, ClusterClaimed(PEERS)])
    torn_name_left(tmp_path / "state", data)
    for ask in ("check_free", "acquire"):
        with pytest.raises(RefusedError, match=f"names nobody that can be read, and {OLD} is not over") as refused:
            getattr(lock_of(tmp_path / "state")[0], ask)(frozenset(PEERS))
        assert f"runbook resume {OLD}" in refused.value.reason.next_action
        assert refused.value.reason.sentence.isprintable()
    own = ClusterLock(OLD, tmp_path / "state", "ann", lambda _event: None, Overrides(), FakeClock())
    own.acquire(frozenset(PEERS))


def test_a_name_that_cannot_be_read_may_be_that_of_a_run_that_cannot(tmp_path: Path) -> None:
    record(tmp_path, OLD, [ClusterClaimed(PEERS)])
    torn_name_left(tmp_path, TORN[0])
    with pytest.raises(RefusedError, match=f"names nobody that can be read, and {OLD} cannot be read either"):
        lock_of(tmp_path)[0].acquire(frozenset(PEERS))
    new, told = lock_of(tmp_path, take_over=True)
    new.acquire(frozenset(PEERS))
    assert told == [LockTakenOver("nobody that can be read", "new", "bob", "x")]


def test_of_two_names_the_one_without_an_ending_bars(tmp_path: Path) -> None:
    """And where it is taken over, each is told as what it was."""
    record(tmp_path, "old", [STARTED, ClusterClaimed(("a",)), *ENDINGS["completed"]])
    record(tmp_path, "other", [STARTED, ClusterClaimed(("b",))])
    name_left(tmp_path, "old", ["a"])
    name_left(tmp_path, "other", ["b"])
    with pytest.raises(RefusedError, match="died: other"):
        lock_of(tmp_path)[0].acquire(frozenset(PEERS))
    assert sorted(names_in(tmp_path)) == ["old", "other"], "who is refused changes nothing"
    new, told = lock_of(tmp_path, take_over=True)
    new.acquire(frozenset(PEERS))
    assert sorted(told, key=str) == sorted(
        [LockFreed("old", "completed"), LockTakenOver("other", "new", "bob", "x")], key=str
    )


def test_a_run_frees_also_what_an_earlier_process_of_it_claimed(tmp_path: Path) -> None:
    """The peer that it removed is in no configuration any more, so the process that went on never took its lock."""
    name_left(tmp_path, "new")
    name_left(tmp_path, "other", ["z"])
    mine, _ = lock_of(tmp_path)
    mine.acquire(frozenset({"a", "b"}))
    mine.release(frozenset({*PEERS, "z", "never claimed"}))
    assert names_in(tmp_path) == ["other"]
    assert len(list((tmp_path / "locks").iterdir())) == 4


def test_what_is_left_of_a_finished_run_is_freed_and_nothing_else(tmp_path: Path) -> None:
    """What another run holds now is its own."""
    name_left(tmp_path, "old")
    held = Lock(tmp_path / "locks", {"run": "at work"})
    held.acquire("peer", ["c"], may_take=lambda _run: True)
    assert remove_leftover_name(tmp_path, "old", frozenset(PEERS)) == 2
    assert names_in(tmp_path) == ["at work"]
    assert remove_leftover_name(tmp_path / "no state", "old", frozenset(PEERS)) == 0


def test_a_record_knows_every_peer_that_its_run_ever_claimed(tmp_path: Path) -> None:
    """The process that went on met a smaller configuration."""
    claims = [ClusterClaimed(PEERS), RunResumed("ann", "nomad:x", torn=False), ClusterClaimed(("a", "b"))]
    record(tmp_path, "old", [STARTED, *claims])
    assert fold(read(tmp_path / "runs" / "old" / "journal.jsonl").events).peers == frozenset(PEERS)


def test_an_acknowledgement_is_of_what_was_done_until_then(tmp_path: Path) -> None:
    """A run that goes on after it may change more, and nobody has looked at that."""
    looked_at = RunAcknowledged("bob", "saw it")
    record(tmp_path, "old", [STARTED, *ENDINGS["failed"], looked_at])
    record(tmp_path, "again", [STARTED, *ENDINGS["failed"], looked_at, RunResumed("ann", "nomad:x", torn=False)])
    runs = tmp_path / "runs"
    assert [fold(read(runs / run / "journal.jsonl").events).acknowledged for run in ("old", "again")] == [True, False]


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/null")])
def test_what_can_be_no_lock_is_named_with_what_to_do(tmp_path: Path, make: Callable[[Path], object]) -> None:
    """Nothing there can be held by a run, yet to take it away is for whoever put it there."""
    name_left(tmp_path, "old", ["a"])
    (path,) = (tmp_path / "locks").iterdir()
    path.unlink()
    make(path)
    asking, _ = lock_of(tmp_path)
    asking.check_free(frozenset(PEERS))
    with pytest.raises(RefusedError, match=f"the lock {path} cannot be written: ") as refused:
        asking.acquire(frozenset(PEERS))
    assert refused.value.reason.next_action.startswith("Move it away")
    path.rename(tmp_path / "away")
    asking.acquire(frozenset(PEERS))


def test_asking_whether_a_cluster_is_free_holds_nothing_and_writes_nothing(tmp_path: Path) -> None:
    """Looking is not locking; who holds it, or died with it, is told all the same."""
    asking, told = lock_of(tmp_path)
    asking.check_free(frozenset(PEERS))
    assert (told, (tmp_path / "locks").exists()) == ([], False)
    held = Lock(tmp_path / "locks", {"run": "at work"})
    held.acquire("peer", ["c"])
    with pytest.raises(RefusedError, match="another run holds this cluster: at work"):
        asking.check_free(frozenset(PEERS))
    held.release()
    asking.check_free(frozenset(PEERS))
    name_left(tmp_path, "old")
    with pytest.raises(RefusedError, match="a run that holds this cluster died: old"):
        asking.check_free(frozenset(PEERS))
    record(tmp_path, "old", [STARTED, ClusterClaimed(PEERS), *ENDINGS["completed"]])
    asking.check_free(frozenset(PEERS))
    assert sorted(names_in(tmp_path)) == ["old"] * 3
