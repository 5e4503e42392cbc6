"""``runbook export`` and ``prune``: whole records are handed to others, or removed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from runbook.cli.output import Output
from runbook.cli.terminal import Person, Terminal
from runbook.clock import SystemClock
from runbook.engine.services import AGREE_WITHIN
from runbook.exit_codes import FAILED, RECOVERED, REFUSED
from runbook.files import RUNS
from runbook.fleet.prune import old_fleets, remove_fleets
from runbook.fleet.record import FLEETS
from runbook.raft.diagnosis.findings import format_count
from runbook.report.stream import is_terminal
from runbook.session.export import export_run
from runbook.session.history import RunFilter, past_runs
from runbook.session.open_run import user_name
from runbook.session.prune import plan_pruning, remove_runs
from runbook.session.run_folders import state_folder


def export_record(folder: Path, target: Path) -> None:
    """Write the file, and say what is in it and what is not. Raises as :func:`export_run` does."""
    done, output = export_run(folder, target), Output()
    output.lines([f"{done.path}", f"SHA-256 {done.sha256}", f"in it: {', '.join(done.files)}"])
    if done.left_out:
        why = "they may hold secrets of the cluster, so copy them yourself"
        output.note(f"runbook: left in {folder}: {', '.join(done.left_out)}; {why}")


def prune_runs(older_than: float, keep: int, yes: bool, environment: Mapping[str, str]) -> int:
    """List the runs to remove, ask, and remove them. Returns the exit code."""
    state, output, clock = state_folder(environment), Output(), SystemClock()
    runs, now = list(past_runs(state, RunFilter())), datetime.fromisoformat(clock.now())
    pruning = plan_pruning(runs, now, timedelta(seconds=older_than), keep)
    output.lines([f"{run.name} stays: {why}" for run, why in pruning.stay])
    staying = {run.name for run in runs} - {run.name for run in pruning.remove}
    fleets = old_fleets(state, staying, now, timedelta(seconds=older_than), keep)
    if not (pruning.remove or fleets):
        output.lines([f"there is nothing to remove in {state / RUNS}"])
        return RECOVERED
    names = [run.name for run in pruning.remove] + [f"{FLEETS}/{path.name}" for path in fleets]
    output.lines([f"{'to be removed' if not yes else 'removing'}: {name}" for name in names])
    attended = is_terminal(sys.stdin) and is_terminal(sys.stderr)
    person = Person(user_name(environment), Terminal(attended, yes), output)
    count = format_count(len(pruning.remove), "run")
    if fleets:
        count += f" and {format_count(len(fleets), 'fleet')}"
    if person.approve(f"Remove the records of {count} from {state}?", AGREE_WITHIN) is None:
        output.note("runbook: nobody agreed, so nothing was removed; without a terminal add --yes")
        return REFUSED
    troubles = remove_runs(state, pruning.remove) + remove_fleets(fleets)
    output.lines(troubles or [f"{count} removed"])
    return FAILED if troubles else RECOVERED
