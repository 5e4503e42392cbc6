"""``raft.snapshot`` keeps the cluster's own state where the playbook wants it, and names every peer."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.events import RunCompleted, RunFailed
from tests.engine.fake import FakeClock, FakeCluster, Run

TEXT = """
runbook: 1
name: keeps
steps:
  - id: kept
    uses: raft.snapshot
    with: {{ state: required, to: {to} }}
  - uses: log.message
    with: {{ text: "${{{{ kept.state_path }}}} ${{{{ [p.verdict for p in kept.peers] }}}}" }}
"""


@pytest.mark.parametrize("dry_run", [False, True])
def test_it_is_kept_where_it_is_wanted_but_in_a_dry_run(tmp_path: Path, dry_run: bool) -> None:
    """A dry run writes into its own folder alone; and no run into that of another one."""
    folder, outside = tmp_path / "state" / "runs" / "r", tmp_path / "outside"
    folder.mkdir(parents=True)
    outside.mkdir()
    played = Run(FakeCluster(FakeClock()), folder, text=TEXT.format(to=outside / "x.snap").encode())
    assert isinstance(played.execute(dry_run=dry_run), RunCompleted)
    assert (outside / "x.snap").exists() is not dry_run
    path = outside / "x.snap"  # a dry run says where it would be
    assert (folder / "state.snap").exists() is dry_run
    told = [record["message"] for record in played.records if record["kind"] == "step.completed"][-1]
    assert told == f'{path} ["alive", "alive", "alive", "alive", "alive"]'
    among_runs = Run(FakeCluster(FakeClock()), folder, text=TEXT.format(to=folder.parent / "x.snap").encode())
    assert isinstance(among_runs.execute(), RunFailed)
