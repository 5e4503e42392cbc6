"""``--confirmed-off``: a person's word in a run, whose servers this host cannot probe."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from pathlib import Path

import pytest

from runbook.cluster_events import ConfirmedOff
from runbook.events import RunCompleted, RunResumed
from runbook.raft.model import ClusterView, Reach
from tests.engine.fake import FakeClock, FakeCluster, Run, peer


@dataclass
class Walled(FakeCluster):
    """A firewall rejects every try of a Raft port from here."""

    def look(self, *, within: float = inf) -> ClusterView:
        view = super().look(within=within)
        view.probes.update(dict.fromkeys(view.probes, Reach.REFUSED))  # type: ignore[attr-defined]
        return view


def run(tmp_path: Path, *names: str) -> Run:
    made = Run(Walled(FakeClock(), dead={5}), tmp_path)
    emit = made.emit

    def and_a_word(event: object) -> None:
        emit(event)  # type: ignore[arg-type]
        if getattr(event, "kind", "") == "run.started":
            for name in names:
                emit(ConfirmedOff(name, "ann", "its power is off"))

    made.emit = and_a_word  # type: ignore[method-assign]
    return made


def test_without_a_word_nobody_is_removed_and_the_word_is_named(tmp_path: Path) -> None:
    silent = run(tmp_path)
    silent.execute()
    assert silent.cluster.changes == []
    assert silent.cluster.clock.seconds < 90, "time proves nothing of a blind probe"


@pytest.mark.parametrize("name", ["s5", "s5.global", "id-5", peer(5).address])
def test_with_the_word_the_server_that_is_meant_goes(tmp_path: Path, name: str) -> None:
    told = run(tmp_path, name)
    assert isinstance(told.execute(), RunCompleted)
    assert told.cluster.changes == ["id-5"]
    assert [(r["name"], r["because"]) for r in told.records if r["kind"] == "server.confirmed_off"] == [
        (name, "its power is off")
    ]


def test_the_word_on_a_living_server_removes_nobody(tmp_path: Path) -> None:
    lied = run(tmp_path, "s4")
    lied.execute()
    assert lied.cluster.changes == []


def test_a_name_that_nobody_has_is_refused(tmp_path: Path) -> None:
    ending = run(tmp_path, "s6").execute()
    assert "no server is called s6" in str(vars(ending))


def test_the_word_does_not_outlive_its_process(tmp_path: Path) -> None:
    """Since then somebody may have started the server."""
    stopped = run(tmp_path)
    stopped.execute()
    stopped.state.state = "interrupted"
    stopped.state.confirmed_off = frozenset({"s5"})
    stopped.emit(RunResumed("ann", "nomad:fake", torn=False))
    assert stopped.state.confirmed_off == frozenset()
