"""``runbook execute``: from a file and an environment to a run with its record, its lines and its exit code."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from runbook.cli import exit_codes
from runbook.cli.person import person
from runbook.cli.running import Manner, conduct, told
from runbook.cli.state import state_folder
from runbook.clock import SystemClock
from runbook.cluster.environment import cluster_from
from runbook.engine.plan import Plan, bound
from runbook.errors import (
    ExpressionError,
    JournalError,
    NoPlaybookError,
    NotStartedError,
    ParamError,
    PlaybookError,
    SettingsError,
)
from runbook.events import RunStarted
from runbook.files import read_limited, replace_file
from runbook.journal.store import Journal
from runbook.playbook.params import NO_FILE, gather_params, read_params_file
from runbook.playbook.parser import parse_playbook
from runbook.playbook.reader import MAX_BYTES
from runbook.run_state import RunState
from runbook.shipped_playbooks import located
from runbook.steps.registry import CATALOG

ROOM = 16 * 1024 * 1024  # bytes that must be free: a journal of thousands of looks, and never a change without one
_PLAIN = str.maketrans("", "", "-:.")
PLAYBOOK = "playbook.yaml"  # its copy in the run's folder: what a resumed run goes on with, whatever became of the file


@dataclass(frozen=True)
class Wish:
    """What was typed; ``path`` may be the name of a shipped playbook."""

    path: str
    given: Mapping[str, str]
    params_file: str | None = None
    manner: Manner = field(default_factory=Manner)


def execute_playbook(wish: Wish, environment: Mapping[str, str]) -> int:
    """The exit code of the run; every way in which it may not even start is told on stderr."""
    try:
        wish = replace(wish, path=located(wish.path))
        text = _read(wish.path)
        plan, sources = _plan(wish, text, environment)
        cluster = cluster_from(environment, read_only=wish.manner.dry_run or not plan.changes)
        state = state_folder(environment)
        first = RunStarted(
            run=plan.run,
            playbook=plan.playbook.name,
            digest=plan.playbook.digest,
            cluster=cluster.name,
            who=person(),
            dry_run=wish.manner.dry_run,
            params=plan.params,
            sources=sources,
            path=str(Path(wish.path).absolute()),
        )
        with _record(state / "runs" / plan.run, text) as journal:
            return conduct(plan, cluster, wish.manner, state, journal, first, RunState())
    except PlaybookError as error:
        return told("\n".join(fault.render() for fault in error.diagnostics), exit_codes.NOT_STARTED)
    except (ParamError, ExpressionError, SettingsError, NotStartedError, NoPlaybookError) as error:
        return told(f"runbook: {error}", exit_codes.NOT_STARTED)
    except JournalError as error:
        return told(f"runbook: {error}", exit_codes.FAILED)
    except KeyboardInterrupt:  # before the run began, or again while its ending was written
        return exit_codes.INTERRUPTED


def _read(path: str) -> bytes:
    try:
        return read_limited(Path(path), MAX_BYTES)
    except OSError as error:
        raise NotStartedError(f"{path}: {error.strerror}") from None


def _plan(wish: Wish, text: bytes, environment: Mapping[str, str]) -> tuple[Plan, Mapping[str, str]]:
    """And where the value of each param came from."""
    playbook = parse_playbook(text, wish.path, CATALOG)
    file = read_params_file(_read(wish.params_file), wish.params_file) if wish.params_file else NO_FILE
    params = gather_params(playbook, wish.given, file, environment)
    stamp = SystemClock().now()[:23].translate(_PLAIN)  # to the millisecond, so that the newest sorts last
    plan = bound(
        playbook,
        f"{stamp}Z-{playbook.name}-{secrets.token_hex(2)}",
        {name: param.value for name, param in params.items()},
    )
    return plan, {name: param.origin for name, param in params.items()}


@contextlib.contextmanager
def _record(folder: Path, playbook: bytes) -> Iterator[Journal]:
    try:
        folder.mkdir(mode=0o700, parents=True)
        _refuse_full_disk(folder)
        replace_file(folder / PLAYBOOK, playbook)
        journal = Journal.begin(folder / "journal.jsonl")
    except OSError as error:
        what = f"{folder}: {error.strerror}. Nothing was started; name a folder that can be written"
        raise NotStartedError(f"{what} in RUNBOOK_STATE_DIR") from None
    except JournalError as error:
        raise NotStartedError(str(error)) from None
    with contextlib.closing(journal):
        yield journal


def _refuse_full_disk(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        raise NotStartedError(
            f"{folder}: only {free // 1024} KiB are free and {ROOM // 1024**2} MiB are needed for the record. "
            "Make room, or name another folder in RUNBOOK_STATE_DIR"
        )
