"""Behind one door a moment without a leader looks like a partition: whoever led a moment ago may have a successor."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from runbook.events import RunCompleted, RunFailed
from runbook.raft.model import ClusterView, Reach
from tests.engine.fake import FakeClock, FakeCluster, Run, peer


class OneDoorCluster(FakeCluster):
    """While nobody leads, this host sees the first server and nothing of the others."""

    def look(self, *, within: float = inf) -> ClusterView:
        view = super().look(within=within)
        if view.configuration is not None:
            return view
        door = tuple(replace(vantage, state="Follower") for vantage in view.vantages[:1])
        probes = {each: Reach.ACCEPTED if each == peer(1).address else Reach.SILENT for each in view.probes}
        return replace(view, vantages=door, probes=probes)


def without_a_leader(since: int, until: int) -> OneDoorCluster:
    """By the numbers of looks."""
    cluster = OneDoorCluster(FakeClock(), dead={5})
    cluster.at_look = {since: lambda of: of.elect(0, 2), until: lambda of: of.elect(1, 3)}
    return cluster


def test_a_run_outlives_an_election_that_it_sees_through_one_door(tmp_path: Path) -> None:
    run = Run(without_a_leader(3, 4), tmp_path)
    assert isinstance(run.execute(), RunCompleted)
    assert run.cluster.changes == ["id-5"]


@pytest.mark.parametrize(("since", "until"), [(1, 2), (3, 1000)], ids=["at the first look", "for good"])
def test_where_nobody_led_a_moment_ago_or_leads_again_it_is_a_partition(tmp_path: Path, since: int, until: int) -> None:
    run = Run(without_a_leader(since, until), tmp_path)
    ending = run.execute()
    assert isinstance(ending, RunFailed)
    assert "MinorityPartition" in ending.message
    assert run.cluster.changes == []
