"""``runbook runs``, ``show``, ``export`` and ``prune``: what was done, told from the journals alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runbook.cli.output import Output
from runbook.clock import Clock
from runbook.errors import NoRunError
from runbook.files import RUNS
from runbook.journal.store import Record
from runbook.printable import printable_json, printable_line
from runbook.report.screen import Screen, format_header
from runbook.report.summary import LABEL_WIDTH, format_summary
from runbook.report.times import format_moment, format_seconds
from runbook.run_state import RunState
from runbook.session.audit import check_files
from runbook.session.history import PastRun, RunFilter, past_runs
from runbook.session.interrupts import is_at_work
from runbook.session.run_folders import JOURNAL, PLAYBOOK, UNREADABLE, read_run, why_unreadable

HEADER = ("RUN", "OUTCOME", "BEGAN (UTC)", "TOOK", "CLUSTER", "RESULT")
LOOK_EVERY = 0.5  # seconds between two looks at a record that grows
FOLLOW_FOR = 86_400.0  # seconds at most


def format_runs(state_folder: Path, wanted: RunFilter, form: str) -> list[str]:
    """A line for each run that is wanted, the newest last; as JSON, an object each."""
    found = list(past_runs(state_folder, wanted))
    if form == "json":
        return [printable_json(json.dumps(_as_data(run), ensure_ascii=False)) for run in found]
    if not found:
        such = "such runs" if wanted != RunFilter() else "runs"
        return [f"there are no {such} in {state_folder / RUNS}"]
    return _table(found)


def _as_data(run: PastRun) -> dict[str, Any]:
    """With stable keys."""
    told = asdict(run)
    return {"run": run.name, **told, "folder": str(run.folder), "removed": list(run.removed)}


def _table(runs: Sequence[PastRun]) -> list[str]:
    rows = [HEADER, *(_row(run) for run in runs)]
    whole = [row for row in rows if len(row) == len(HEADER)]
    widths = [max(len(row[column]) for row in whole) for column in range(len(HEADER))]
    widths[0] = max(len(row[0]) for row in rows)
    return [
        printable_line("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)).rstrip())
        for row in rows
    ]


def _row(run: PastRun) -> tuple[str, ...]:
    if run.trouble:
        return run.name, f"unreadable: {run.trouble}"
    outcome = "at work" if run.at_work and run.outcome == "unfinished" else run.outcome
    began = format_moment(run.began) if run.began else ""
    took = "" if run.seconds is None else format_seconds(run.seconds)
    return run.name, outcome, began, took, run.cluster, _result(run)


def _result(run: PastRun) -> str:
    if run.removed:
        return f"{'would remove' if run.dry_run else 'removed'} {', '.join(run.removed)}"
    return f"dry run: {run.result}".removesuffix(": ") if run.dry_run else run.result


# -- one run


def format_run_history(folder: Path, form: str) -> list[str]:
    """What the run was given, its events as the screen showed them, and what stands now; as JSON, its events.

    Raises:
        NoRunError: The record cannot be trusted.
    """
    record, run = _read(folder)
    if form == "json":
        return _as_json(record.events)
    screen = Screen(afterwards=True)
    told = [*_format_beginning(record, run), "", *_format_events(screen, record.events, run)]
    return [*told, *_format_end(folder, record, run)]


def follow_run(folder: Path, form: str, clock: Clock, output: Output) -> None:
    """Print the same while it goes on, until the run has an ending or nobody works on it any more; for a day at most.

    Raises NoRunError as :func:`format_run_history` does.
    """
    until, told, size = clock.monotonic() + FOLLOW_FOR, 0, -1
    screen = Screen(afterwards=True)
    while True:
        at_work = is_at_work(folder)  # asked first, so that what the process wrote last is in the record that is read
        if (now := _size(folder)) != size:
            size, (record, run) = now, _read(folder)
            fresh = record.events[told:]
            lines = _as_json(fresh) if form == "json" else _format_events(screen, fresh, run)
            if form == "text" and not told:
                lines = [*_format_beginning(record, run), "", *lines]
            told = len(record.events)
            if lines and not output.lines(lines, is_json=form == "json", indent=LABEL_WIDTH):
                return  # nobody reads on
        if run.ended is not None or not at_work or clock.monotonic() >= until:
            break
        clock.sleep(LOOK_EVERY)
    if form == "text":
        output.lines(_format_end(folder, record, run), indent=LABEL_WIDTH)


def _size(folder: Path) -> int:
    try:
        return (folder / JOURNAL).stat().st_size
    except OSError as error:
        raise NoRunError(f"{folder / JOURNAL}: {error.strerror}") from None


def _read(folder: Path) -> tuple[Record, RunState]:
    try:
        return read_run(folder)
    except UNREADABLE as error:
        raise NoRunError(f"{why_unreadable(error)}. Do not rely on what it says") from None


def _as_json(events: Iterable[Mapping[str, Any]]) -> list[str]:
    return [printable_json(json.dumps(event, ensure_ascii=False)) for event in events]


def _format_beginning(record: Record, run: RunState) -> list[str]:
    started = run.started or {"params": {}}
    sources = started.get("sources", {})
    params = [f"param {name} = {value} ({sources.get(name, 'unknown')})" for name, value in started["params"].items()]
    return [*format_header(record.events), *params]


def _format_events(screen: Screen, events: Iterable[Mapping[str, Any]], run: RunState) -> list[str]:
    """What is read at the end is not read twice."""
    screen.told_below = str(run.ended["message"]) if run.ended is not None else ""
    return [line for event in events for line in screen.format_event(event)]


def _format_end(folder: Path, record: Record, run: RunState) -> list[str]:
    torn = ["the last line of the journal is torn, as a crash leaves it"] if record.torn else []
    summary = format_summary(run, str(folder), at_work=run.ended is None and is_at_work(folder))
    return [*torn, "", *summary, *_format_checks(folder, run)]


def _format_checks(folder: Path, run: RunState) -> Iterator[str]:
    """Whether the evidence is still what was kept; of the playbook only where it is not."""
    for check in check_files(folder, run):
        if check.trouble or check.name != PLAYBOOK:
            yield f"{check.name} {check.trouble or 'is unchanged'}"
