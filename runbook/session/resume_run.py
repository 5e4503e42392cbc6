"""A run that stopped, made ready to go on; and one that ended, looked at by a person."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runbook.clock import Clock
from runbook.cluster.choice import ClusterChoice, chosen_cluster, chosen_hosts
from runbook.cluster.port import Cluster
from runbook.engine.plan import Plan, bind_plan
from runbook.errors import NotStartedError, PlaybookError
from runbook.events import FORMAT, RunAcknowledged, RunResumed
from runbook.files import read_limited
from runbook.journal.store import Journal
from runbook.playbook.parser import parse_playbook
from runbook.playbook.reader import MAX_BYTES
from runbook.recorded import fold_recorded
from runbook.redaction import HIDDEN, Redactor
from runbook.run_state import RunState
from runbook.secrets import SecretStore
from runbook.session.open_run import again, approval_of, is_other_cluster, user_name
from runbook.session.run_folders import JOURNAL, PLAN, PLAYBOOK, last_change, state_folder
from runbook.session.run_session import RunOptions, RunSession
from runbook.steps.registry import CATALOG

if TYPE_CHECKING:
    from runbook.session.saved_plans import HeldPlan


@contextlib.contextmanager
def open_resumed(
    folder: Path, options: RunOptions, environment: Mapping[str, str], clock: Clock, redactor: Redactor | None = None
) -> Iterator[RunSession | RunState]:
    """The run of this folder, ready to go on; only its state where no step is left to do.

    Whoever prints anything of it gives the ``redactor``, which learns its secrets.

    Raises AtWorkError, JournalError, TransitionError, PlaybookError, SettingsError or :class:`NotStartedError`.
    """
    journal, record = Journal.reopen(folder / JOURNAL)
    with contextlib.closing(journal):
        _refuse_other_format(folder, record.events[:1])
        state = fold_recorded(record.events)
        if state.state == "completed" or state.ended_undecided:
            _refuse_needless_answers(options.answers, ())
            yield state
            return
        _refuse_needless_answers(options.answers, _waiting(state))
        plan = _plan_of(folder, state)
        choice = _choice(options, state)
        cluster: Cluster = chosen_cluster(choice, environment, read_only=not plan.changes)
        _refuse_other_cluster(state, cluster.name, choice)
        held = _held_to(folder, state)
        cluster = held.cluster(cluster) if held else cluster
        first = RunResumed(user_name(environment), cluster.name, record.torn)
        secret_store = SecretStore(environment, redactor or Redactor.of(environment))
        yield RunSession(
            plan,
            cluster,
            folder.parent.parent,
            journal,
            state,
            first,
            options,
            environment,
            clock,
            secret_store,
            chosen_hosts(choice, environment),
            approval_of(choice, plan),
            held,
        )


def acknowledge(folder: Path, comment: str, environment: Mapping[str, str], clock: Clock) -> str:
    """Record that a person has looked at this run, however it ended: the cool-down of its cluster is over.

    Returns who did. Raises as :func:`open_resumed` does.
    """
    journal, record = Journal.reopen(folder / JOURNAL)
    with contextlib.closing(journal):
        if not fold_recorded(record.events).has_changed:
            run = last_change(state_folder(environment))
            newest = f"the newest run that did is {run}" if run else "no run here has changed anything"
            raise NotStartedError(f"{folder.name} changed nothing, so no cool-down waits for it; {newest}")
        who = user_name(environment)
        secret_store = SecretStore(environment, Redactor.of(environment))
        with contextlib.suppress(OSError, PlaybookError):  # a word of a person counts, whatever became of the playbook
            secret_store.foresee(parse_playbook(read_limited(folder / PLAYBOOK, MAX_BYTES), "", CATALOG).secrets)
        journal.append({"at": clock.now(), **secret_store.hide(RunAcknowledged(who, comment).record())})
    return who


def _refuse_other_format(folder: Path, beginning: Sequence[Mapping[str, object]]) -> None:
    """Events of another format may mean something else: the version that wrote them can finish the run."""
    started = beginning[0] if beginning else {}
    if not beginning or started.get("format") == FORMAT:
        return
    version, form = started.get("version") or "0.1.0", started.get("format") or 1
    what = f"{folder.name} was written by runbook {version} in format {form}, and this version writes {FORMAT}"
    raise NotStartedError(f"{what}. Finish it with that version, or run the playbook again")


def _plan_of(folder: Path, state: RunState) -> Plan:
    """What the run was made of: the playbook as it was then, and the params it had."""
    if state.started is None:
        raise NotStartedError(f"{folder.name} has no beginning: nothing was started, so run the playbook again")
    if state.dry_run:
        raise NotStartedError(f"{folder.name} was a dry run and changed nothing: run the playbook again")
    try:
        text = read_limited(folder / PLAYBOOK, MAX_BYTES)
    except OSError as error:
        raise NotStartedError(f"{folder / PLAYBOOK}: {error.strerror}. Run the playbook again") from None
    if hashlib.sha256(text).hexdigest() != state.started["digest"]:
        raise NotStartedError(f"{folder / PLAYBOOK} is not what the run began with. Run the playbook again")
    hidden = [name for name, value in state.started["params"].items() if HIDDEN in str(value)]
    if hidden:
        raise NotStartedError(f"param {hidden[0]} held a secret, which no record keeps. Run the playbook again")
    path = state.started.get("path") or folder / PLAYBOOK  # a playbook that it runs is beside where it lay
    playbook, unattended = parse_playbook(text, str(path), CATALOG), state.started.get("unattended") is True
    return bind_plan(playbook, folder.name, state.started["params"], unattended=unattended)


def _held_to(folder: Path, state: RunState) -> HeldPlan | None:
    """The plan that it was begun with, by its copy; its signatures lie where that was read."""
    held: Mapping[str, str] = (state.started or {}).get("plan") or {}
    if not held:
        return None
    from runbook.session.saved_plans import HeldPlan, load_plan

    plan = load_plan(folder / PLAN).plan
    if plan.digest != held.get("digest"):
        raise NotStartedError(f"{folder / PLAN} is not the plan that the run was begun with. Run the playbook again")
    return HeldPlan(Path(held.get("file", "")), plan)


def _waiting(state: RunState) -> list[str]:
    """The steps with a change whose end was not seen; of a removal looks may tell it yet."""
    removals = (removal.step for removal in state.removals if removal.unsettled)
    return [*(change.name for change in state.open_changes), *removals]


def _refuse_needless_answers(answers: Mapping[str, str], names: Sequence[str]) -> None:
    """A misspelt step is no answer, and must not pass for one."""
    for name in answers:
        if name not in names:
            those = f"these do: {', '.join(names)}" if names else "none does"
            raise NotStartedError(f"no step {name} of this run waits for an answer; {those}")


def _choice(options: RunOptions, state: RunState) -> ClusterChoice:
    """What was typed now; else the name and the inventory with which the run began."""
    started = state.started or {}
    return again(options.choice, str(started.get("cluster", "")), str(started.get("inventory") or ""))


def _refuse_other_cluster(state: RunState, cluster: str, choice: ClusterChoice) -> None:
    """The address may be another server's, but not another product's, nor the name another one."""
    started = state.started or {}
    began = str(started.get("cluster", ""))
    if is_other_cluster(began, str(started.get("inventory") or ""), cluster, choice):
        raise NotStartedError(f"the run began on {began}, and {cluster} is named now")
