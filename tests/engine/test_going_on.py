"""Going on with a run that stopped: what was refused is judged anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.events import RunRefused
from tests.engine.fake import FakeClock, FakeCluster, Run
from tests.engine.test_resume import resumed

REFUSED = b"""
runbook: 1
name: lenient
guards: { min_voters: 4 }
steps:
  - id: dead
    uses: raft.find_dead
  - id: quorum
    uses: raft.check_quorum
    with: { remove: "${{ dead.peers }}" }
    continue_on_failure: true
  - id: told
    uses: log.message
    with: { text: "quorum: ${{ outcome(quorum) }}" }
"""
IN_A_BLOCK = b"""
runbook: 1
name: lenient
guards: { min_voters: 4 }
steps:
  - id: dead
    uses: raft.find_dead
  - id: around
    continue_on_failure: true
    steps:
      - id: quorum
        uses: raft.check_quorum
        with: { remove: "${{ dead.peers }}" }
  - id: told
    uses: log.message
    with: { text: "around: ${{ outcome(around) }}" }
"""


@pytest.mark.parametrize("text", [REFUSED, IN_A_BLOCK], ids=["a step", "a block"])
def test_a_refusal_is_never_gone_on_from(tmp_path: Path, text: bytes) -> None:
    """Refused is not failed: not by the run that met it, nor by one that goes on, which judges anew."""
    first = Run(FakeCluster(FakeClock(), dead={4, 5}), tmp_path, text=text)
    assert isinstance(first.execute(), RunRefused)
    assert first.progress().steps["quorum"] == "refused"
    ending = resumed(first)
    assert isinstance(ending, RunRefused), ending
    assert [record["step"] for record in first.records if record["kind"] == "step.completed"] == ["dead"]
