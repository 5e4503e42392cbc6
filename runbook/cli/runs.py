"""``runbook runs`` and ``runbook show``: what was done, told from the journals alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePath

from runbook.errors import NoRunError
from runbook.files import RUNS, sha256_of
from runbook.printable import printable_json
from runbook.report.screen import Screen, format_header
from runbook.report.summary import format_summary, state_snapshots
from runbook.run_state import RunState
from runbook.session.run_folders import UNREADABLE, read_run, run_folders


def format_runs(state_folder: Path) -> list[str]:
    """A line for each run, the newest last."""
    lines = [_format_run(folder) for folder in run_folders(state_folder)]
    return lines or [f"there are no runs in {state_folder / RUNS}"]


def _format_run(folder: Path) -> str:
    try:
        _, run = read_run(folder)
    except UNREADABLE as error:
        return f"{folder.name}  unreadable: {error}"
    state = "no ending" if run.state == "running" else run.state
    cluster = run.started["cluster"] if run.started else "?"
    removed = [removal.name for removal in run.removals if removal.state == "gone"]
    result = f"removed {', '.join(removed)}" if removed else "dry run" if run.dry_run else ""
    return f"{folder.name}  {state:<11}  {cluster}  {result}".rstrip()


def format_run_history(folder: Path, form: str) -> list[str]:
    """What the run was given, its events as the screen showed them, and what stands now; as JSON, its events.

    Raises:
        NoRunError: The record cannot be trusted.
    """
    try:
        record, run = read_run(folder)
    except UNREADABLE as error:
        raise NoRunError(f"{error}. Do not rely on what it says") from None
    if form == "json":
        return [printable_json(json.dumps(event, ensure_ascii=False)) for event in record.events]
    screen = Screen()
    started = run.started or {"params": {}}
    sources = started.get("sources", {})
    return [
        *format_header(record.events),
        *(f"param {name} = {value} ({sources.get(name, 'unknown')})" for name, value in started["params"].items()),
        *(line for event in record.events for line in screen.format_event(event)),
        *(["the last line of the journal is torn, as a crash leaves it"] if record.torn else []),
        "",
        *format_summary(run, str(folder)),
        *_format_checks(folder, run),
    ]


def _format_checks(folder: Path, run: RunState) -> Iterator[str]:
    """Whether each state snapshot is still what was kept. The run's folder may have been moved since."""
    for kept in state_snapshots(run):
        if not kept.sha256:
            continue
        path = folder / PurePath(kept.path).name
        try:
            digest = sha256_of(path)
        except OSError as error:
            yield f"{path.name} cannot be verified: {error.strerror}"
            continue
        same = digest == kept.sha256
        yield f"{path.name} is unchanged" if same else f"{path.name} HAS CHANGED since it was kept: SHA-256 {digest}"
