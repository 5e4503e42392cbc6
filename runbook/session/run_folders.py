"""Where runs are kept, which there are, and which of them somebody means."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from runbook.errors import JournalError, NoRunError, SettingsError, TransitionError
from runbook.files import RUNS, is_shared
from runbook.journal.store import Record, read
from runbook.recorded import fold_recorded
from runbook.run_state import RunState

TEAM = Path("/var/lib/runbook")


def state_folder(environ: Mapping[str, str], team: Path = TEAM) -> Path:
    """``$RUNBOOK_STATE_DIR``, else ``/var/lib/runbook`` where it exists and this user's group may write it, else
    ``$XDG_STATE_HOME/runbook``, else ``~/.local/state/runbook``; it need not exist.

    Two people who share it have one lock, and can resume each other's runs. A relative ``XDG_STATE_HOME`` is ignored,
    as the XDG base directory specification asks. Raises SettingsError where there is no home folder either.
    """
    if own := environ.get("RUNBOOK_STATE_DIR"):
        return Path(own).absolute()
    if is_shared(team) and os.access(team, os.W_OK | os.X_OK):
        return team
    shared = environ.get("XDG_STATE_HOME", "")
    base = Path(shared) if shared.startswith("/") else _home(environ) / ".local" / "state"
    return base / "runbook"


def _home(environ: Mapping[str, str]) -> Path:
    """Cron sets HOME, but a bare environment may not: then the password database knows."""
    try:
        return Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    except RuntimeError:
        raise SettingsError("this user has no home folder", "Set RUNBOOK_STATE_DIR to a folder for runs") from None


JOURNAL = "journal.jsonl"
PLAYBOOK = "playbook.yaml"  # its copy in the run's folder: what a resumed run goes on with, whatever became of the file
PLAN = "plan.json"  # its copy of the plan that the run is held to
NEWEST_RUNS = 20
UNREADABLE = (JournalError, TransitionError, OSError)  # all that :func:`read_run` raises
_NAME = re.compile(r"(\d{8}T\d{6})\d{0,3}Z-[\w.-]+", re.ASCII)


def run_folders(state: Path) -> list[Path]:
    """The folders of all runs, the newest last; none where there is no such place.

    Whoever put something else there: it has no name of a run, or no journal, and is no run.
    """
    try:
        names = sorted(name for name in os.listdir(state / RUNS) if began_at(name))
    except OSError:
        return []
    return [state / RUNS / name for name in names if _may_hold_a_journal(state / RUNS / name)]


def began_at(name: str) -> datetime | None:
    """When the run of this name began; nothing where no run has such a name."""
    stamp = _NAME.fullmatch(name)
    try:
        return datetime.strptime(f"{stamp[1]}+0000", "%Y%m%dT%H%M%S%z") if stamp else None
    except ValueError:
        return None


def _may_hold_a_journal(folder: Path) -> bool:
    """Also where this user may not look."""
    try:
        os.lstat(folder / JOURNAL)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def read_run(folder: Path) -> tuple[Record, RunState]:
    """What the journal of a run holds, and where the run stands. Raises JournalError, TransitionError and OSError for
    whatever lies there.
    """
    record = read(folder / JOURNAL)
    try:
        return record, fold_recorded(record.events)
    except TransitionError as error:
        raise TransitionError(f"{folder / JOURNAL}: {error}") from None


def why_unreadable(error: Exception) -> str:
    """One of ``UNREADABLE`` in words."""
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)


def folder_of(state: Path, name: str) -> Path:
    """The run with this name, or the only one that begins with it; ``last`` is the newest. Raises NoRunError."""
    folders = run_folders(state)
    fit = folders[-1:] if name == "last" else [folder for folder in folders if folder.name.startswith(name)]
    exact = [folder for folder in fit if folder.name == name]
    if len(exact or fit) == 1:
        return (exact or fit)[0]
    if fit:
        raise NoRunError(f"{len(fit)} runs begin with {name}: {', '.join(folder.name for folder in fit)}")
    raise NoRunError(f"there is no run {name} in {state / RUNS}; `runbook runs` lists them")


def newest_to_resume(state: Path) -> Path:
    """The newest run that can be gone on with. Raises NoRunError, which says what the newest one is instead."""
    folders = run_folders(state)
    for folder in reversed(folders):
        if not _why_not_resumed(folder):
            return folder
    if not folders:
        raise NoRunError(f"there are no runs in {state / RUNS}, so there is none to resume")
    newest = folders[-1]
    raise NoRunError(
        f"no run can be resumed: the newest, {newest.name}, {_why_not_resumed(newest)}. `runbook runs` lists them"
    )


def _why_not_resumed(folder: Path) -> str:
    try:
        return read_run(folder)[1].not_resumable
    except UNREADABLE:
        return "cannot be read"


def peers_removed_by_newest_runs(state: Path) -> frozenset[str]:
    """The ids of the peers that the newest runs took out, whichever address a run was given: an id is of one server.

    One that comes back is a server that joins. A record that cannot be read says nothing.
    """
    removed: set[str] = set()
    for folder in run_folders(state)[-NEWEST_RUNS:]:
        with contextlib.suppress(*UNREADABLE):
            removals = read_run(folder)[1].removals
            removed |= {removal.peer for removal in removals if removal.state == "gone" and removal.asked_at}
    return frozenset(removed)


def last_change(state: Path) -> str:
    """The newest run that changed something; empty where there is none."""
    for folder in reversed(run_folders(state)):
        with contextlib.suppress(*UNREADABLE):
            if read_run(folder)[1].has_changed:
                return folder.name
    return ""
