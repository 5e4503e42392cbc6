"""Behind a load balancer nobody knows whose own list of peers it was: what there is, is the leader's words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

from runbook.events import RunCompleted
from runbook.raft.model import ClusterView
from tests.engine.fake import FakeClock, FakeCluster, Run


@dataclass
class Balanced(FakeCluster):
    """One address, at which another server answers each time; the leader's opinions come through it too."""

    def look(self, *, within: float = inf) -> ClusterView:
        view = super().look(within=within)
        shared = replace(view.answering[0], other_id=view.answering[-1].server_id, configuration=None, members=None)
        proof = "GET ?consistent was answered"
        return replace(view, vantages=(shared,), quorum_proof=proof)


def run(tmp_path: Path, **more: object) -> Run:
    return Run(Balanced(FakeClock(), **more), tmp_path)  # type: ignore[arg-type]


def test_there_is_nothing_to_do_in_a_healthy_cluster(tmp_path: Path) -> None:
    ending = run(tmp_path).execute()
    assert isinstance(ending, RunCompleted)
    assert ending.message == "nothing to do"


def test_a_dead_server_is_removed_and_that_is_seen(tmp_path: Path) -> None:
    told = run(tmp_path, dead={5})
    assert isinstance(told.execute(), RunCompleted)
    assert told.cluster.changes == ["id-5"]
    assert told.kinds("removal") == ["removal.requested", "removal.confirmed"]


def test_a_lost_request_is_not_taken_for_done(tmp_path: Path) -> None:
    """It is believed that nothing came of it once no server holds it any more; then it is asked for again."""
    told = run(tmp_path, dead={5}, replies=["dropped"])
    assert isinstance(told.execute(), RunCompleted)
    assert told.kinds("removal")[:2] == ["removal.requested", "removal.still_listed"]
    assert told.cluster.changes == ["id-5", "id-5"]
