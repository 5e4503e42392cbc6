"""What a removal may follow from: looks of this run, all of them, none older than ten seconds."""

from __future__ import annotations

from pathlib import Path

from runbook.events import RunCompleted, RunRefused
from tests.engine.fake import FakeClock, FakeCluster, Run

LOOK_BETWEEN = b"""
runbook: 1
name: look-between
guards: { min_voters: 3 }
steps:
  - id: dead
    uses: raft.find_dead
  - id: quorum
    uses: raft.check_quorum
    with: { remove: "${{ dead.peers }}" }
  - id: cluster
    uses: wait.until
  - id: remove
    for_each: quorum.removals
    uses: raft.remove_peer
    with: { peer: "${{ item.id }}" }
"""


def test_a_removal_follows_from_no_look_that_began_more_than_ten_seconds_ago(tmp_path: Path) -> None:
    """I15: a look that takes 12 s shows what was so 12 s ago; the next attempt looks again."""
    slow = Run(FakeCluster(FakeClock(), dead={5}, slow_looks={6: 12.0}), tmp_path)
    sent: list[float] = []
    act = slow.cluster.act
    slow.cluster.act = lambda target: (sent.append(slow.cluster.looks), act(target))[1]  # type: ignore[method-assign,func-returns-value]
    assert isinstance(slow.execute(), RunCompleted)
    assert sent == [7]
    (failed,) = [record for record in slow.records if record["kind"] == "removal.failed"]
    assert "began more than 10 s ago" in failed["message"]


def test_life_that_another_step_saw_is_not_forgotten(tmp_path: Path) -> None:
    """I1: dead for raft.find_dead, alive for wait.until, dead again for the step that would remove it."""
    cluster = FakeCluster(FakeClock(), dead={5})
    cluster.at_look = {5: lambda seen: seen.dead.discard(5), 6: lambda seen: seen.dead.add(5)}
    run = Run(cluster, tmp_path, text=LOOK_BETWEEN)
    ending = run.execute()
    steps = [record["step"] for record in run.records if record["kind"] == "cluster.looked"]
    assert steps.index("cluster") == 4
    assert isinstance(ending, RunRefused)
    assert (ending.code, cluster.changes) == ("TargetUnknown", [])
    assert "0 s ago: its own HTTP API answers" in ending.message
