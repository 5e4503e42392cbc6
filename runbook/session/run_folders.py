"""Which runs there are, and which of them somebody means."""

from __future__ import annotations

import contextlib
from pathlib import Path

from runbook.errors import JournalError, NoRunError, TransitionError
from runbook.journal.store import read
from runbook.run_state import fold

JOURNAL = "journal.jsonl"
NEWEST_RUNS = 20


def run_folders(state: Path) -> list[Path]:
    """The folders of all runs, the newest last; none where there is no such place."""
    try:
        return sorted(folder for folder in (state / "runs").iterdir() if (folder / JOURNAL).exists())
    except OSError:
        return []


def folder_of(state: Path, name: str) -> Path:
    """The run with this name, or the only one that begins with it; ``last`` is the newest. Raises NoRunError."""
    folders = run_folders(state)
    fit = folders[-1:] if name == "last" else [folder for folder in folders if folder.name.startswith(name)]
    exact = [folder for folder in fit if folder.name == name]
    if len(exact or fit) == 1:
        return (exact or fit)[0]
    if fit:
        raise NoRunError(f"{len(fit)} runs begin with {name}: {', '.join(folder.name for folder in fit)}")
    raise NoRunError(f"there is no run {name} in {state / 'runs'}; `runbook runs` lists them")


def newest_to_resume(state: Path) -> Path:
    """The newest run that can be gone on with. Raises NoRunError, which says what the newest one is instead."""
    folders = run_folders(state)
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
        return fold(read(folder / JOURNAL).events).not_resumable
    except (JournalError, TransitionError, OSError):
        return "cannot be read"


def peers_removed_by_newest_runs(state: Path) -> frozenset[str]:
    """The ids of the peers that the newest runs took out, whichever address a run was given: an id is of one server.

    One that comes back is a server that joins. A record that cannot be read says nothing.
    """
    removed: set[str] = set()
    for folder in run_folders(state)[-NEWEST_RUNS:]:
        with contextlib.suppress(JournalError, TransitionError, OSError):
            removals = fold(read(folder / JOURNAL).events).removals
            removed |= {removal.peer for removal in removals if removal.state == "gone" and removal.asked_at}
    return frozenset(removed)


def last_change(state: Path) -> str:
    """The newest run that changed something; empty where there is none."""
    for folder in reversed(run_folders(state)):
        with contextlib.suppress(JournalError, TransitionError, OSError):
            if fold(read(folder / JOURNAL).events).has_changed:
                return folder.name
    return ""
