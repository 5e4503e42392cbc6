"""The process dies everywhere, once (I7, I8, I9): on both sides of every event, of every look and of every change.

Whatever died is resumed, and dies no more. The end must be the configuration of the run that never died, or a refusal
with a reason; and a change is asked for again only if it had surely not been made.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any

import pytest

from runbook.events import Event, RunCompleted, RunRefused, RunResumed
from runbook.raft.model import ClusterView, Peer
from tests.engine.fake import FakeClock, FakeCluster, Run

DEAD = {4, 5}
LEFT = {1, 2, 3}


class Death(BaseException):
    """kill -9: nothing that is caught, and nothing is done on the way out."""


class Fate:
    """Counts what happens, and ends the process at one place of it."""

    def __init__(self, place: int) -> None:
        self.place = place
        self.passed = 0
        self.named: list[str] = []

    def pass_by(self, what: str) -> None:
        self.passed += 1
        self.named.append(what)
        if self.passed == self.place:
            raise Death(what)


class MortalCluster(FakeCluster):
    """Every remote call has a before and an after."""

    fate = Fate(0)

    def look(self, *, within: float = inf) -> ClusterView:
        self.fate.pass_by("before a look")
        view = super().look()
        self.fate.pass_by("after a look")
        return view

    def remove_peer(self, target: Peer, *, within: float = inf) -> None:
        self.fate.pass_by("before a removal")
        super().remove_peer(target)
        self.fate.pass_by("after a removal")

    def save_state(self, path: Path, *, within: float = inf) -> str:
        self.fate.pass_by("before the state")
        digest = super().save_state(path)
        self.fate.pass_by("after the state")
        return digest


class MortalRun(Run):
    def emit(self, event: Event) -> None:
        assert isinstance(self.cluster, MortalCluster)
        self.cluster.fate.pass_by(f"before {event.kind}")
        super().emit(event)
        self.cluster.fate.pass_by(f"after {event.kind}")


def mortal(folder: Path, place: int, **cluster: Any) -> MortalRun:
    quick = {"looks": "2", "watch_for": "20s"}
    run = MortalRun(MortalCluster(FakeClock(), dead=set(DEAD), **cluster), folder, params=quick)
    run.cluster.fate = Fate(place)  # type: ignore[attr-defined]
    return run


def resumed(run: Run) -> Any:
    past = run.progress()
    run.emit(RunResumed("ann", run.cluster.name, False))
    return run.execute(past)


def places(folder: Path) -> Iterator[int]:
    """Every place that a whole run passes."""
    whole = mortal(folder, 0)
    whole.execute()
    yield from range(1, whole.cluster.fate.passed + 1)  # type: ignore[attr-defined]


def asked_blindly(records: list[dict[str, Any]]) -> list[str]:
    """Removals asked for while an earlier request for the same peer had no end on record."""
    open_, blind = set(), []
    for record in records:
        if record["kind"] == "removal.requested":
            blind += [record["peer"]] if record["peer"] in open_ else []
            open_.add(record["peer"])
        elif record["kind"].startswith("removal."):
            open_.discard(record["peer"])
    return blind


@pytest.mark.parametrize("replies", [[], ["lost"], ["dropped"], ["done", "lost"]], ids=str)
def test_a_run_that_dies_anywhere_is_resumed_to_the_same_end(tmp_path: Path, replies: list[str]) -> None:
    """I8, for every place, with answers that come, that get lost, and requests that never arrive."""
    ends: dict[str, int] = {}
    for place in places(tmp_path):
        run = mortal(tmp_path, place, replies=list(replies))
        with contextlib.suppress(Death):
            run.execute()
        if not run.records:
            continue  # nothing was begun
        ending = resumed(run) if run.progress().state == "running" else RunCompleted("before it died")
        assert isinstance(ending, RunCompleted | RunRefused), (place, ending)
        name = type(ending).__name__
        ends[name] = ends.get(name, 0) + 1
        if isinstance(ending, RunCompleted):
            assert run.cluster.held[1] == LEFT
        assert not asked_blindly(run.records)
        assert not [removal for removal in run.progress().removals if removal.unsettled]
    assert ends["RunCompleted"] > 100
    assert "RunRefused" not in ends, "a still world leaves nothing to refuse"


def test_every_prefix_of_a_journal_can_be_gone_on_with(tmp_path: Path) -> None:
    """I8 again, told by the record alone: the world as it is at the end, the record cut after any line."""
    whole = mortal(tmp_path, 0)
    whole.execute()
    for length in range(1, len(whole.records)):
        again = mortal(tmp_path, 0)
        again.cluster.held = {number: set(held) for number, held in whole.cluster.held.items()}
        again.records = [dict(record) for record in whole.records[:length]]
        ending = resumed(again)
        assert isinstance(ending, RunCompleted), (length, ending)
        assert (again.cluster.held[1], again.cluster.changes) == (LEFT, []), length


def test_dying_twice_is_no_worse(tmp_path: Path) -> None:
    """The resumed run dies as well, right after its first intent, and is resumed again."""
    for place in list(places(tmp_path))[::3]:
        run = mortal(tmp_path, place)
        with contextlib.suppress(Death):
            run.execute()
        for next_place in (12, 0):
            run.cluster.fate = Fate(next_place)  # type: ignore[attr-defined]
            with contextlib.suppress(Death):
                if run.records and run.progress().state == "running":
                    resumed(run)
        if not run.records:
            continue
        assert run.cluster.held[1] == LEFT
        assert not asked_blindly(run.records)


def test_every_step_run_twice_changes_nothing_the_second_time(tmp_path: Path) -> None:
    """I9: a finished run, run again from the beginning, asks for nothing; so does a plan that names who is gone."""
    run = mortal(tmp_path, 0)
    run.execute()
    changed = list(run.cluster.changes)
    second = dataclasses.replace(run, records=[])
    assert isinstance(second.execute(), RunCompleted)
    assert run.cluster.changes == changed
    for kept in range(1, len(run.records)):
        record = run.records[kept]
        if record["kind"] != "step.completed":
            continue
        third = dataclasses.replace(run, records=[dict(each) for each in run.records[:kept]])
        resumed(third)
        assert run.cluster.changes == changed, record["step"]
