"""Records of old runs are removed: never the newest, nor one that somebody may still need."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from runbook.dataclass import dataclass
from runbook.files import RUNS
from runbook.session.history import PastRun
from runbook.session.run_folders import began_at

GOING = ".pruned-"  # before the name of a folder that is being removed: it is no run any more
UNACKNOWLEDGED_FOR = timedelta(days=30)  # a cool-down, of any playbook, has long passed by then


@dataclass(frozen=True)
class Pruning:
    """The runs to remove, oldest first, and those that are old enough and stay, with the reason."""

    remove: tuple[PastRun, ...]
    stay: tuple[tuple[PastRun, str], ...]


def plan_pruning(runs: Sequence[PastRun], now: datetime, older_than: timedelta, keep: int) -> Pruning:
    """Of these runs, the newest last: those that began before that, but for the newest ``keep``, and one at least."""
    beyond = runs[: max(0, len(runs) - max(keep, 1))]
    old = [(run, age) for run in beyond if (age := _age(run, now)) > older_than]
    stay = tuple((run, why) for run, age in old if (why := _why_it_stays(run, age)))
    staying = {run.name for run, _ in stay}
    return Pruning(tuple(run for run, _ in old if run.name not in staying), stay)


def _age(run: PastRun, now: datetime) -> timedelta:
    """By its name. A run of the future, as a clock has made it, is a new one."""
    began = began_at(run.name)
    return now - began if began is not None else timedelta(0)


def _why_it_stays(run: PastRun, age: timedelta) -> str:
    if run.outcome == "unreadable":
        return "its record cannot be read; look into its folder, and remove it by hand"
    if run.pending:
        return run.pending
    if run.unacknowledged and age < UNACKNOWLEDGED_FOR:
        return "it changed its cluster, and nobody has acknowledged it (runbook ack)"
    return ""


def remove_runs(state_folder: Path, runs: Sequence[PastRun]) -> list[str]:
    """Remove their folders. What kept one from it, in words; what an earlier call has left half removed goes too."""
    troubles = []
    for run in runs:
        try:
            run.folder.rename(run.folder.with_name(f"{GOING}{run.name}"))
        except OSError as error:
            troubles.append(f"{run.name} cannot be removed: {error.strerror}")
    for name in sorted(os.listdir(state_folder / RUNS)):
        if name.startswith(GOING):
            try:
                shutil.rmtree(state_folder / RUNS / name)
            except OSError as error:
                troubles.append(f"{state_folder / RUNS / name} cannot be removed whole: {error.strerror}")
    return troubles
