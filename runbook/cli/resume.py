"""``runbook resume`` and ``runbook ack``: go on with a run that stopped, and close one that ended."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from runbook.changes import Change
from runbook.cli import exit_codes
from runbook.cli.claim import free_what_is_left
from runbook.cli.execute import PLAYBOOK
from runbook.cli.person import person
from runbook.cli.running import Manner, conduct, told
from runbook.cli.runs import folder_of, last_change, newest_to_resume
from runbook.cli.state import state_folder
from runbook.clock import SystemClock
from runbook.cluster.environment import cluster_from
from runbook.engine.plan import Plan, bound
from runbook.errors import (
    AtWorkError,
    ExpressionError,
    JournalError,
    NoRunError,
    NotStartedError,
    PlaybookError,
    SettingsError,
    TransitionError,
)
from runbook.events import RunAcknowledged, RunResumed
from runbook.files import read_limited
from runbook.journal.store import Journal, Record
from runbook.playbook.parser import parse_playbook
from runbook.playbook.reader import MAX_BYTES
from runbook.raft.diagnosis.findings import format_count
from runbook.report.screen import summary
from runbook.run_state import RunState, fold
from runbook.secrets import HIDDEN
from runbook.steps.registry import CATALOG


def resume_run(name: str, manner: Manner, environment: Mapping[str, str]) -> int:
    """The exit code of the run as it ends now. A run that was completed is told again, and no server is asked."""
    try:
        state = state_folder(environment)
        folder = newest_to_resume(state) if name == "last" else folder_of(state, name)
        journal, record = Journal.reopen(folder / "journal.jsonl")
        with contextlib.closing(journal):
            progress = fold(record.events)
            if name == "last" and manner.form == "text":
                told(f"runbook: going on with {folder.name}", exit_codes.RECOVERED)
            if progress.state == "completed":
                _refuse_needless_answers(manner.answers, ())
                return _told_again(state, folder, progress)
            _refuse_needless_answers(manner.answers, progress.open_changes)
            plan = _plan_of(folder, progress)
            cluster = cluster_from(environment, read_only=not plan.changes)
            _refuse_other_kind(progress, cluster.name)
            return conduct(plan, cluster, manner, state, journal, _first(record, cluster.name), progress)
    except (NoRunError, NotStartedError, SettingsError, PlaybookError, ExpressionError, TransitionError) as error:
        return told(f"runbook: {error}", exit_codes.NOT_STARTED)
    except AtWorkError as error:
        return told(f"runbook: {error}", exit_codes.LOCKED)
    except JournalError as error:
        return told(f"runbook: {error}", exit_codes.FAILED)
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED


def _told_again(state: Path, folder: Path, progress: RunState) -> int:
    """All that may be left to do: a process that died between its ending and its release is still named in the lock."""
    with contextlib.suppress(OSError):  # its record frees the next run too
        if left := free_what_is_left(state, folder.name, progress.peers):
            told(f"runbook: its name still stood in the lock of {format_count(left, 'server')}, and is taken out", 0)
    print("\n".join(summary(progress, str(folder))))
    return exit_codes.RECOVERED


def _first(record: Record, cluster: str) -> RunResumed:
    return RunResumed(person(), cluster, record.torn)


def _plan_of(folder: Path, progress: RunState) -> Plan:
    """What the run was made of: the playbook as it was then, and the params it had."""
    if progress.started is None:
        raise NotStartedError(f"{folder.name} has no beginning: nothing was started, so run the playbook again")
    if progress.dry_run:
        raise NotStartedError(f"{folder.name} was a dry run and changed nothing: run the playbook again")
    try:
        text = read_limited(folder / PLAYBOOK, MAX_BYTES)
    except OSError as error:
        raise NotStartedError(f"{folder / PLAYBOOK}: {error.strerror}. Run the playbook again") from None
    if hashlib.sha256(text).hexdigest() != progress.started["digest"]:
        raise NotStartedError(f"{folder / PLAYBOOK} is not what the run began with. Run the playbook again")
    hidden = [name for name, value in progress.started["params"].items() if HIDDEN in str(value)]
    if hidden:
        raise NotStartedError(f"param {hidden[0]} held a secret, which no record keeps. Run the playbook again")
    path = progress.started.get("path") or folder / PLAYBOOK  # a playbook that it runs is beside where it lay
    return bound(parse_playbook(text, str(path), CATALOG), folder.name, progress.started["params"])


def _refuse_needless_answers(answers: Mapping[str, str], waiting: Sequence[Change]) -> None:
    """A misspelt step is no answer, and must not pass for one."""
    names = [change.name for change in waiting]
    for name in answers:
        if name not in names:
            those = f"these do: {', '.join(names)}" if names else "none does"
            raise NotStartedError(f"no step {name} of this run waits for an answer; {those}")


def _refuse_other_kind(progress: RunState, cluster: str) -> None:
    """The address may be another server's, but not another product's."""
    began = str(progress.started["cluster"]) if progress.started else ""
    if began.partition(":")[0] != cluster.partition(":")[0]:
        raise NotStartedError(f"the run began on {began}, and the environment now names {cluster}")


def acknowledge(name: str, comment: str, environment: Mapping[str, str]) -> int:
    """Record that a person has looked at this run, however it ended: the cool-down of its cluster is over."""
    try:
        state = state_folder(environment)
        folder = folder_of(state, name)
        journal, record = Journal.reopen(folder / "journal.jsonl")
        with contextlib.closing(journal):
            progress = fold(record.events)
            if not progress.has_changed:
                what = f"{folder.name} changed nothing, so no cool-down waits for it"
                raise NotStartedError(f"{what}; {_that_did(state)}")
            journal.append({"at": SystemClock().now(), **RunAcknowledged(person(), comment).record()})
    except (NoRunError, NotStartedError, TransitionError) as error:
        return told(f"runbook: {error}", exit_codes.NOT_STARTED)
    except JournalError as error:
        return told(f"runbook: {error}", exit_codes.FAILED)
    print(f"{folder.name} acknowledged by {person()}")
    return exit_codes.RECOVERED


def _that_did(state: Path) -> str:
    run = last_change(state)
    return f"the newest run that did is {run}" if run else "no run here has changed anything"
