"""Removals at the edges of a playbook and of time: continued failures, time-outs, signals, looks that grew old."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runbook.cluster.port import ClusterError, Trouble
from runbook.events import Event, RunFailed, RunInterrupted, RunResumed
from runbook.raft.model import Peer
from tests.engine.fake import PLAYBOOK, FakeClock, FakeCluster, Run

ONE_BY_ONE = b"""
runbook: 1
name: one-by-one
guards: { max_changes: 3, min_voters: 1 }
steps:
  - id: dead
    uses: raft.find_dead
  - id: quorum
    uses: raft.check_quorum
    with: { remove: "${{ dead.peers }}" }
  - id: each
    for_each: quorum.removals
    steps:
      - id: remove
        uses: raft.remove_peer
        with: { peer: "${{ item.id }}" }
        continue_on_failure: true
"""


def answers_nothing(cluster: FakeCluster, *, splits: bool) -> None:
    """No removal has an answer; ``splits``: one follower shows it done and the others do not, so nobody can tell."""

    def remove_peer(target: Peer) -> None:
        cluster.changes.append(target.id)
        if splits:
            cluster.held[2].discard(int(target.id.removeprefix("id-")))
        raise ClusterError(Trouble.AMBIGUOUS, "the connection broke")

    cluster.remove_peer = remove_peer  # type: ignore[method-assign]


def ends(run: Run) -> list[str]:
    return [kind.removeprefix("removal.") for kind in run.kinds("removal.")]


def test_no_second_removal_is_asked_for_while_the_first_is_unsettled(tmp_path: Path) -> None:
    """I6 holds though the playbook says to go on after a failure: the first is settled before the second."""
    played = Run(FakeCluster(FakeClock(), dead={4, 5}), tmp_path, text=ONE_BY_ONE)
    answers_nothing(played.cluster, splits=True)
    ending = played.execute()
    assert (played.cluster.changes, getattr(ending, "code", "")) == (["id-4"], "CannotTell")
