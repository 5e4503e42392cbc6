"""``runbook execute``: from a file and an environment to a run with its record, its lines and its exit code."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runbook.cli import exit_codes
from runbook.cli.interrupts import Interrupts
from runbook.cli.state import state_folder
from runbook.cli.validate import read_playbook
from runbook.clock import Clock, SystemClock
from runbook.cluster.environment import SettingsError, cluster_from
from runbook.cluster.port import Cluster
from runbook.engine.execute import Ending, World, execute
from runbook.engine.plan import Plan, bind
from runbook.events import Event, RunStarted
from runbook.journal.lock import LockedError, hold
from runbook.journal.store import Journal, JournalError, read
from runbook.playbook.model import PlaybookError
from runbook.playbook.params import ParamError
from runbook.progress import fold
from runbook.report.screen import Screen, summary

ROOM = 16 * 1024 * 1024  # bytes that must be free: a journal of thousands of looks, and never a change without one
ANSWER_WITHIN = 600.0  # seconds a person may take to agree
Write = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Wish:
    """What was typed. ``form`` is how events are told while the run goes on: text, json or none."""

    path: str
    given: Mapping[str, str]
    dry_run: bool = False
    ask: bool = False
    form: str = "text"
    verbose: bool = False


class NotStartedError(Exception):
    """Something outside the cluster forbids the run: nothing was asked of anybody."""


def execute_playbook(wish: Wish, environment: Mapping[str, str]) -> int:
    """The exit code of the run; every way in which it may not even start is told on stderr."""
    try:
        plan = _plan(wish)
        cluster = cluster_from(environment, read_only=wish.dry_run or not plan.changes)
        return _run(plan, cluster, wish, state_folder(environment))
    except PlaybookError as error:
        return _told("\n".join(fault.render() for fault in error.faults), exit_codes.NOT_STARTED)
    except (ParamError, SettingsError, NotStartedError) as error:
        return _told(f"runbook: {error}", exit_codes.NOT_STARTED)
    except LockedError as error:
        return _told(f"runbook: {error}", exit_codes.LOCKED)
    except JournalError as error:
        return _told(f"runbook: {error}", exit_codes.FAILED)
    except KeyboardInterrupt:  # before the run began, or again while its ending was written
        return exit_codes.INTERRUPTED


def _told(text: str, code: int) -> int:
    print(text, file=sys.stderr)
    return code


def _plan(wish: Wish) -> Plan:
    try:
        playbook = read_playbook(wish.path)
    except OSError as error:
        raise NotStartedError(f"{wish.path}: {error.strerror}") from None
    clock = SystemClock()
    stamp = clock.now()[:19].replace("-", "").replace(":", "")
    return bind(playbook, f"{stamp}Z-{playbook.name}-{secrets.token_hex(2)}", wish.given)


def _run(plan: Plan, cluster: Cluster, wish: Wish, state: Path) -> int:
    clock = SystemClock()
    folder = state / "runs" / plan.run
    who = _who()
    interrupts = Interrupts()
    with _lock(plan, cluster, wish, state, who), _record(folder) as journal, interrupts.caught():
        emit = _emitting(journal, clock, interrupts, _writer(wish, plan.run))
        digest = plan.playbook.digest
        emit(RunStarted(plan.run, plan.playbook.name, digest, cluster.name, who, wish.dry_run, plan.params))
        ending = execute(plan, _world(cluster, clock, emit, folder, wish, who))
    return _ended(ending, folder)


def _who() -> str:
    """Behind sudo it is the person that counts; a container may have no name for its user."""
    user = os.environ.get("SUDO_USER") or os.environ.get("LOGNAME") or f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def _world(cluster: Cluster, clock: Clock, emit: Callable[[Event], None], folder: Path, wish: Wish, who: str) -> World:
    return World(
        cluster=cluster,
        clock=clock,
        emit=emit,
        folder=folder,
        chance=random.random,
        approve=lambda: _agreed(who) if wish.ask else "",
        dry_run=wish.dry_run,
        keep_tracebacks=wish.verbose,
    )


def _lock(plan: Plan, cluster: Cluster, wish: Wish, state: Path, who: str) -> contextlib.AbstractContextManager[None]:
    """Only for a run that may change something: rehearsals and health checks disturb nobody."""
    if wish.dry_run or not plan.changes:
        return contextlib.nullcontext()
    return _held(state / "locks", cluster.name, {"run": plan.run, "who": who, "since": SystemClock().now()})


@contextlib.contextmanager
def _held(folder: Path, cluster: str, holder: Mapping[str, str]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(hold(folder, cluster, holder))
        except OSError as error:
            raise NotStartedError(_no_state(folder, error)) from None
        yield


@contextlib.contextmanager
def _record(folder: Path) -> Iterator[Journal]:
    try:
        folder.mkdir(mode=0o700, parents=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise NotStartedError(_no_state(folder, error)) from None
    if free < ROOM:
        raise NotStartedError(
            f"{folder}: only {free // 1024} KiB are free and {ROOM // 1024**2} MiB are needed for the record. "
            "Make room, or name another folder in RUNBOOK_STATE_DIR"
        )
    try:
        journal = Journal(folder / "journal.jsonl")
    except JournalError as error:
        raise NotStartedError(str(error)) from None
    with contextlib.closing(journal):
        yield journal


def _no_state(folder: Path, error: OSError) -> str:
    return f"{folder}: {error.strerror}. Nothing was started; name a folder that can be written in RUNBOOK_STATE_DIR"


def _emitting(journal: Journal, clock: Clock, interrupts: Interrupts, write: Write) -> Callable[[Event], None]:
    """Journal first; what is shown comes after, and a terminal that went away does not end the run."""

    def emit(event: Event) -> None:
        with interrupts.held():
            record = {"at": clock.now(), **event.record()}
            journal.append(record)
            with contextlib.suppress(OSError, ValueError):
                write(record)

    return emit


def _writer(wish: Wish, run: str) -> Write:
    if wish.form == "none":
        return lambda _record: None
    if wish.form == "json":
        from runbook.report.log import json_log

        return json_log(sys.stderr, run)
    screen = Screen()

    def show(record: Mapping[str, Any]) -> None:
        for line in screen.lines(record):
            print(line, file=sys.stderr, flush=True)

    return show


def _agreed(who: str) -> str | None:
    """Who said yes at this terminal; nobody, when the answer is another or does not come in time."""
    import select

    print("Remove what is named above, one after the other? [y/N] ", end="", file=sys.stderr, flush=True)
    ready, _, _ = select.select([sys.stdin], [], [], ANSWER_WITHIN)
    answer = sys.stdin.readline() if ready else ""
    return who if answer.strip().lower() in ("y", "yes") else None


def _ended(ending: Ending, folder: Path) -> int:
    with contextlib.suppress(OSError):  # the record says it too
        print("\n".join(["", *summary(fold(read(folder / "journal.jsonl").events), str(folder))]), flush=True)
    return exit_codes.of(ending)
