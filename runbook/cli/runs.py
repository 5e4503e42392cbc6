"""``runbook runs`` and ``runbook show``: what was done, told from the journals alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runbook.errors import JournalError, NoRunError, TransitionError
from runbook.journal.store import read
from runbook.report.screen import Screen, summary
from runbook.run_state import RunState, fold
from runbook.session.run_folders import run_folders


def listed(state: Path) -> list[str]:
    """A line for each run, the newest last."""
    rows = [_row(folder) for folder in run_folders(state)]
    return rows or [f"there are no runs in {state / 'runs'}"]


def _row(folder: Path) -> str:
    try:
        progress = fold(read(folder / "journal.jsonl").events)
    except (JournalError, TransitionError, OSError) as error:
        return f"{folder.name}  unreadable: {error}"
    state = "no ending" if progress.state == "running" else progress.state
    cluster = progress.started["cluster"] if progress.started else "?"
    removed = [removal.name for removal in progress.removals if removal.state == "gone"]
    told = f"removed {', '.join(removed)}" if removed else "dry run" if progress.dry_run else ""
    return f"{folder.name}  {state:<11}  {cluster}  {told}".rstrip()


def shown(folder: Path, form: str) -> list[str]:
    """The run as the screen showed it, and what stands now. Raises NoRunError where the record cannot be trusted."""
    try:
        record = read(folder / "journal.jsonl")
        progress = fold(record.events)
    except (JournalError, TransitionError, OSError) as error:
        raise NoRunError(f"{error}. What it says is not to be relied on") from None
    if form == "json":
        return [json.dumps(event, ensure_ascii=False) for event in record.events]
    screen = Screen()
    lines = [*_params(progress), *(line for event in record.events for line in screen.lines(event))]
    torn = ["the last line of the journal is torn, as a crash leaves it"] if record.torn else []
    return [*lines, *torn, "", *summary(progress, str(folder))]


def _params(progress: RunState) -> list[str]:
    """What the run was given and from where, before what it did."""
    started: Mapping[str, Any] = progress.started or {"params": {}}
    sources = started.get("sources", {})
    return [f"param {name} = {value} ({sources.get(name, 'unknown')})" for name, value in started["params"].items()]
