"""A plan as ``runbook plan`` makes it, of a dry run on a fake cluster, and a run that is held to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runbook.saved_plan import SavedPlan
from runbook.session.saved_plans import PlanTerms, plan_of_run
from tests.engine.fake import FakeClock, FakeCluster, Run

HEAD = "runbook: 1\nname: planned\nguards: { max_changes: 9, min_voters: 2 }\nsteps:\n"
TERMS = PlanTerms("/plays/planned.yaml", "", (), 3600.0, "2026-01-01T00:00:00+00:00")


def planned(text: str, folder: Path, *, run_reads: bool = False, **cluster: Any) -> SavedPlan:
    run = Run(FakeCluster(FakeClock(), **cluster), folder, text=(HEAD + text).encode(), run_reads=run_reads)
    run.execute(dry_run=True)
    assert run.state.state == "completed", run.records[-1]
    return plan_of_run(run.state, run.records, TERMS)


def held(text: str, folder: Path, plan: SavedPlan, **cluster: Any) -> Run:
    """Not executed yet."""
    return Run(FakeCluster(FakeClock(), **cluster), folder, text=(HEAD + text).encode(), plan=plan)
