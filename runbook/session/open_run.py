"""From a request to a run that is ready to begin: the playbook, its params, the cluster, and a record of its own."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from runbook import __version__
from runbook.clock import Clock
from runbook.cluster.choice import (
    BY_ENVIRONMENT,
    ClusterChoice,
    chosen_approval,
    chosen_cluster,
    chosen_hosts,
    kind_meant,
    settled,
)
from runbook.cluster.port import Cluster
from runbook.dataclass import dataclass
from runbook.engine.plan import Plan, bind_plan
from runbook.errors import ExpressionError, JournalError, NotStartedError, ParamError, RefusedError
from runbook.events import RunStarted
from runbook.files import RUNS, is_shared, make_folder, read_limited, replace_file
from runbook.journal.store import Journal
from runbook.playbook.approval_rule import ApprovalRule
from runbook.playbook.params import NO_FILE, gather_params, read_params_file
from runbook.playbook.parser import parse_playbook
from runbook.playbook.reader import MAX_BYTES
from runbook.raft.removal import Refusal
from runbook.redaction import Redactor
from runbook.run_state import RunState
from runbook.secrets import SecretStore
from runbook.session.run_folders import JOURNAL, PLAN, PLAYBOOK, state_folder
from runbook.session.run_session import RunOptions, RunSession
from runbook.shipped_playbooks import find_playbook
from runbook.steps.named_playbooks import check_named_playbooks
from runbook.steps.registry import CATALOG

if TYPE_CHECKING:
    from runbook.session.saved_plans import HeldPlan

ROOM = 16 * 1024 * 1024  # bytes that must be free: a journal of thousands of looks, and never a change without one
_PLAIN = str.maketrans("", "", "-:.")


@dataclass(frozen=True)
class RunRequest:
    """What was asked for. ``playbook`` is a path or the name of a shipped one, ``params`` are as they were typed. It is
    ``held`` to a plan, which has the params then; those that are given must be the same.
    """

    playbook: str
    params: Mapping[str, str] = field(default_factory=dict)
    params_file: str | None = None
    options: RunOptions = field(default_factory=RunOptions)
    held: HeldPlan | None = None


def user_name(environment: Mapping[str, str]) -> str:
    """Behind sudo it is the person that counts; a container may have no name for its user."""
    user = environment.get("SUDO_USER") or environment.get("LOGNAME")
    with contextlib.suppress(KeyError):
        user = user or pwd.getpwuid(os.getuid()).pw_name
    return f"{user or f'uid {os.getuid()}'}@{socket.gethostname()}"


@contextlib.contextmanager
def open_run(
    request: RunRequest,
    environment: Mapping[str, str],
    clock: Clock,
    redactor: Redactor | None = None,
    *,
    on: Cluster | None = None,
) -> Iterator[RunSession]:
    """A new run. Whoever prints anything of it gives the ``redactor``, which learns its secrets. It is ``on`` this
    cluster, where one is given, and on none that the environment or an inventory names; it draws no report then.

    Raises NoPlaybookError, PlaybookError, ParamError, ExpressionError, SettingsError, RefusedError where the plan does
    not hold any more, or :class:`NotStartedError`, and then nothing was asked of anybody.
    """
    request = replace(request, playbook=find_playbook(request.playbook))
    state, who, options, held = state_folder(environment), user_name(environment), request.options, request.held
    text, secret_store = _text(request, state, clock), SecretStore(environment, redactor or Redactor.of(environment))
    plan, sources = _plan(request, text, environment, clock, secret_store)
    choice = settled(_choice(request), environment) if on is None else BY_ENVIRONMENT
    cluster = on or _cluster(choice, plan, request, environment)
    first = RunStarted(
        run=plan.run,
        playbook=plan.playbook.name,
        digest=plan.playbook.digest,
        cluster=cluster.name,
        who=who,
        dry_run=options.dry_run,
        params=plan.params,
        sources=sources,
        path=str(Path(request.playbook).absolute()),
        version=__version__,
        lock_holds_for=lock_holds_for(state, who) if plan.changes and not options.dry_run and on is None else "",
        inventory=choice.inventory or "",
        steps=tuple(step.id for step in plan.playbook.steps),
        plan=held.on_record() if held else {},
        unattended=plan.policy.unattended,
    )
    hosts, approval = chosen_hosts(choice, environment), approval_of(choice, plan)
    with _record(state / RUNS / plan.run, text, held) as journal:
        yield RunSession(
            plan,
            cluster,
            state,
            journal,
            RunState(),
            first,
            options,
            environment,
            clock,
            secret_store,
            hosts,
            approval,
            held,
            reports=on is None,
            presumes_signatures=on is not None or options.planning,
        )


def _text(request: RunRequest, state: Path, clock: Clock) -> bytes:
    """Of the playbook. Raises NotStartedError, and RefusedError where the plan is not of this text, or was used."""
    text = _read(request.playbook)
    if request.held is not None:
        from runbook.session.plan_claims import refuse_used_plan
        from runbook.session.saved_plans import refuse_other_text

        refuse_used_plan(request.held, state, clock.now())
        refuse_other_text(request.held, text)
    return text


def _cluster(choice: ClusterChoice, plan: Plan, request: RunRequest, environment: Mapping[str, str]) -> Cluster:
    """That of a run held to a plan passes no change but the plan's. Raises RefusedError where it is another product."""
    held = request.held
    read_only = request.options.dry_run or not plan.changes or (held is not None and not held.plan.asks_cluster)
    cluster = chosen_cluster(choice, environment, read_only=read_only)
    if held is None:
        return cluster
    if is_other_cluster(held.plan.cluster, held.plan.inventory, cluster.name, choice):
        sentence = f"the plan was made for {held.plan.cluster}, and {cluster.name} is named now"
        raise RefusedError(Refusal("AnotherCluster", sentence, "Point at the cluster that the plan was made for"))
    return held.cluster(cluster)


def _choice(request: RunRequest) -> ClusterChoice:
    """What was typed; else the name and the inventory that the plan was made with."""
    choice, plan = request.options.choice, request.held.plan if request.held else None
    return choice if plan is None else again(choice, plan.cluster, plan.inventory)


def again(choice: ClusterChoice, cluster: str, inventory: str) -> ClusterChoice:
    """The name that was typed now; else that of the ``cluster`` and its ``inventory``, where it was named by one: what
    the environment has instead may be that cluster too, and has none of its rules.
    """
    return choice if choice.name or not inventory else ClusterChoice(cluster.partition(":")[2], inventory)


def is_other_cluster(then: str, inventory: str, now: str, choice: ClusterChoice) -> bool:
    """By their names alone: another product, or another name where both are of an inventory."""
    both_named = bool(inventory and choice.name)
    return then != now if both_named else then.partition(":")[0] != now.partition(":")[0]


def approval_of(choice: ClusterChoice, plan: Plan) -> ApprovalRule | None:
    """What the inventory asks for. Raises SettingsError where its allowed signers, or the playbook's, are not safe: at
    night nobody has the time for it. ``choice`` is a settled one.
    """
    rules = (approval := chosen_approval(choice), plan.playbook.approval)
    for rule in rules if plan.changes else ():
        if rule is not None:
            from runbook.signatures import read_allowed_signers

            read_allowed_signers(rule.by)
    return approval


def bound_request(
    request: RunRequest, environment: Mapping[str, str], clock: Clock, redactor: Redactor
) -> tuple[Plan, str]:
    """The playbook and its params, of which nothing is begun; and the product of the cluster that is meant.

    Raises as :func:`open_run` does.
    """
    return plan_of(request, environment, clock, redactor), kind_meant(request.options.choice, environment)


def plan_of(request: RunRequest, environment: Mapping[str, str], clock: Clock, redactor: Redactor) -> Plan:
    """The playbook and its params, of which nothing is begun. Raises as :func:`open_run` does."""
    request = replace(request, playbook=find_playbook(request.playbook))
    secret_store = SecretStore(environment, redactor)
    return _plan(request, _read(request.playbook), environment, clock, secret_store)[0]


def lock_holds_for(state: Path, who: str) -> str:
    """Against whose runs the lock protects: two state folders know nothing of each other."""
    user, _, host = who.partition("@")
    return f"everybody who uses {state} on {host}" if is_shared(state) else f"the runs of {user} on {host}"


def _read(path: str) -> bytes:
    try:
        return read_limited(path, MAX_BYTES)
    except OSError as error:
        raise NotStartedError(f"{path}: {error.strerror}") from None


def _plan(
    request: RunRequest, text: bytes, environment: Mapping[str, str], clock: Clock, secret_store: SecretStore
) -> tuple[Plan, Mapping[str, str]]:
    """And where the value of each param came from. A value that does not fit may be a secret, and is not repeated."""
    playbook = parse_playbook(text, request.playbook, CATALOG)
    check_named_playbooks(playbook)
    secret_store.foresee(playbook.secrets)
    stamp = clock.now()[:23].translate(_PLAIN)  # to the millisecond, so that the newest sorts last
    run = f"{stamp}Z-{playbook.name}-{secrets.token_hex(2)}"
    try:
        file = read_params_file(_read(request.params_file), request.params_file) if request.params_file else NO_FILE
        if request.held is not None:
            from runbook.session.saved_plans import refuse_other_params

            refuse_other_params(request.held, playbook, request.params, file, secret_store.hide)
            planned = request.held.plan.params
            bound = bind_plan(playbook, run, planned, unattended=request.options.unattended)
            return bound, dict.fromkeys(planned, "the plan")
        params = gather_params(playbook, request.params, file, environment)
        values = {name: param.value for name, param in params.items()}
        plan = bind_plan(playbook, run, values, unattended=request.options.unattended)
    except ParamError as error:
        raise ParamError(tuple(secret_store.hide(list(error.messages)))) from None
    except ExpressionError as error:
        raise ExpressionError(secret_store.hide(str(error))) from None
    return plan, {name: param.origin for name, param in params.items()}


@contextlib.contextmanager
def _record(folder: Path, playbook: bytes, held: HeldPlan | None) -> Iterator[Journal]:
    try:
        make_folder(folder)
        _refuse_full_disk(folder)
        replace_file(folder / PLAYBOOK, playbook)
        if held is not None:
            replace_file(folder / PLAN, held.text)
        journal = Journal.begin(folder / JOURNAL)
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
