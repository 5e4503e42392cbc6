"""What this machine is, as far as a recovery needs it. Nothing is changed, and nothing leaves it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from runbook.dataclass import dataclass
from runbook.doors import Purpose
from runbook.errors import SettingsError, StepError
from runbook.files import read_limited
from runbook.hosts.process import Command, run_command, small_environment
from runbook.session.history import RunFilter, past_runs
from runbook.session.run_folders import state_folder

LIBRARIES = ("PyYAML", "tenacity", "requests", "structlog", "click", "rich")
RESOLVERS = Path("/etc/resolv.conf")
CLOCK_WITHIN = 5.0  # seconds
RESOLVERS_LIMIT = 64 * 1024
CLOCK = ("timedatectl", "show", "--property=NTPSynchronized", "--value")
CLOCK_SAYS = {"yes": True, "no": False}


@dataclass(frozen=True)
class StateFolder:
    """Where runs would be kept: ``trouble`` where they could not be; ``free`` bytes; and who has not ended there."""

    path: str
    trouble: str = ""
    free: int = 0
    unfinished: tuple[str, ...] = ()


@dataclass(frozen=True)
class MachineFacts:
    """``clock`` says whether it is kept in step with others, and None where that cannot be told here."""

    python: str
    libraries: Mapping[str, str]
    state: StateFolder
    clock: bool | None
    resolvers: tuple[str, ...]


def look_at_machine(environment: Mapping[str, str], resolvers: Path = RESOLVERS) -> MachineFacts:
    """Never raises: what cannot be seen is said."""
    return MachineFacts(python_version(), library_versions(), _state(environment), _clock(), _resolvers(resolvers))


def python_version() -> str:
    return ".".join(map(str, sys.version_info[:3]))


def library_versions() -> dict[str, str]:
    """By name; empty where it cannot be told."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # not each of them is needed
            found[name] = ""
    return found


def _state(environment: Mapping[str, str]) -> StateFolder:
    try:
        folder = state_folder(environment)
    except SettingsError as error:
        return StateFolder("", str(error))
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not there.is_dir():
        return StateFolder(str(folder), f"{there} is no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        return StateFolder(str(folder), f"this user may not write {there}")
    runs = past_runs(folder, RunFilter()) if folder.exists() else ()
    open_runs = tuple(run.name for run in runs if run.outcome == "unfinished" and not run.at_work)
    try:
        return StateFolder(str(folder), "", shutil.disk_usage(there).free, open_runs)
    except OSError as error:
        return StateFolder(str(folder), f"{there}: {error.strerror}")


def _clock() -> bool | None:
    try:
        ended = run_command(Command(CLOCK, small_environment({}), purpose=Purpose.LOOK), CLOCK_WITHIN)
    except StepError:
        return None
    return CLOCK_SAYS.get(ended.stdout.strip())


def _resolvers(path: Path) -> tuple[str, ...]:
    try:
        text = read_limited(path, RESOLVERS_LIMIT).decode("utf-8", "replace")
    except OSError:
        return ()
    words = [line.split() for line in text.splitlines()]
    return tuple(line[1] for line in words if len(line) > 1 and line[0] == "nameserver")
