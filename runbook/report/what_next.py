"""What a person types next about a run that did not come to its end."""

from __future__ import annotations

from runbook.run_state import RunState


def what_next(progress: RunState, run: str) -> list[tuple[str, str]]:
    """The row of the summary, or none. A refusal says it itself."""
    if progress.started is None or progress.state not in ("running", "interrupted", "failed"):
        return []
    if progress.dry_run:
        again = [("next", "it was a dry run and changed nothing: run the playbook again")]
        return [] if progress.state == "failed" else again
    if progress.state != "failed":
        return [("next", f"`runbook resume {run}` goes on with it")]
    mend = f"`runbook show {run}` tells all. Mend the cause, then `runbook resume {run}` goes on with it"
    by_hand = f"; or `runbook print --run {run}`, and do the rest by hand" if progress.has_changed else ""
    return [("next", f"{mend}{by_hand}")]
