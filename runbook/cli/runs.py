"""``runbook runs`` and ``runbook show``: what was done, told from the journals alone."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runbook.errors import JournalError, NoRunError, TransitionError
from runbook.journal.store import read
from runbook.report.screen import Screen, summary
from runbook.run_state import RunState, fold


def listed(state: Path) -> list[str]:
    """A line for each run, the newest last."""
    rows = [_row(folder) for folder in _folders(state)]
    return rows or [f"there are no runs in {state / 'runs'}"]


def _folders(state: Path) -> list[Path]:
    try:
        return sorted(folder for folder in (state / "runs").iterdir() if (folder / "journal.jsonl").exists())
    except OSError:
        return []


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


def folder_of(state: Path, name: str) -> Path:
    """The run with this name, or the only one that begins with it; ``last`` is the newest. Raises NoRunError."""
    folders = _folders(state)
    fit = folders[-1:] if name == "last" else [folder for folder in folders if folder.name.startswith(name)]
    exact = [folder for folder in fit if folder.name == name]
    if len(exact or fit) == 1:
        return (exact or fit)[0]
    if fit:
        raise NoRunError(f"{len(fit)} runs begin with {name}: {', '.join(folder.name for folder in fit)}")
    raise NoRunError(f"there is no run {name} in {state / 'runs'}; `runbook runs` lists them")


def newest_to_resume(state: Path) -> Path:
    """The newest run that can be gone on with. Raises NoRunError, which says what the newest one is instead."""
    folders = _folders(state)
    for folder in reversed(folders):
        if not _why_not_resumed(folder):
            return folder
    if not folders:
        raise NoRunError(f"there are no runs in {state / 'runs'}, so there is none to resume")
    newest = folders[-1]
    raise NoRunError(
        f"no run can be resumed: the newest, {newest.name}, {_why_not_resumed(newest)}. `runbook runs` lists them"
    )


def _why_not_resumed(folder: Path) -> str:
    try:
        return fold(read(folder / "journal.jsonl").events).not_resumable
    except (JournalError, TransitionError, OSError):
        return "cannot be read"


def last_change(state: Path) -> str:
    """The newest run that changed something; empty where there is none."""
    for folder in reversed(_folders(state)):
        with contextlib.suppress(JournalError, TransitionError, OSError):
            if fold(read(folder / "journal.jsonl").events).has_changed:
                return folder.name
    return ""


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
