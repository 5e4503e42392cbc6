"""Removals that are proven one by one, each in a round of a block: what a dry run foretells is what happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.raft.model import AutopilotSettings
from tests.engine.fake import FakeClock, FakeCluster, Run

PROVEN_ONE_BY_ONE = b"""
runbook: 1
name: proven-one-by-one
guards: { max_changes: 3, min_voters: 3 }
steps:
  - id: dead
    uses: raft.find_dead
  - id: each
    for_each: dead.peers
    steps:
      - uses: raft.check_quorum
        with: { remove: ["${{ item }}"] }
      - uses: raft.remove_peer
        with: { peer: "${{ item.id }}" }
"""


@pytest.mark.parametrize(("least", "code", "removed"), [(0, "", 2), (4, "BelowMinimumVoters", 1)])
def test_a_dry_run_proves_each_removal_as_if_the_ones_before_were_made(
    tmp_path: Path, least: int, code: str, removed: int
) -> None:
    """I14: it foretells both, or the first and why the second is refused."""
    ends = []
    for dry_run in (True, False):
        own = AutopilotSettings(cleanup_dead_servers=False, min_quorum=least)
        played = Run(FakeCluster(FakeClock(), dead={4, 5}, autopilot=own), tmp_path, text=PROVEN_ONE_BY_ONE)
        ending = played.execute(dry_run=dry_run)
        asked = [r["peer"] for r in played.records if r["kind"].endswith("requested")]
        ends.append((type(ending), getattr(ending, "code", ""), getattr(ending, "step", ""), asked))
    assert ends[0] == ends[1]
    assert (ends[0][1], len(ends[0][3])) == (code, removed)
