"""One run from request to result. A worker, a test and the command line call the same functions.

Whoever calls says who runs it and how they are asked (:class:`Operator`), and is told of every event; the clock comes
from outside. What is printed, and which exit code a result has, is theirs.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from runbook.clock import Clock
from runbook.cluster.choice import BY_ENVIRONMENT, ClusterChoice
from runbook.cluster.port import Cluster, reason_not_permitted
from runbook.cluster.replies import handing_replies_to
from runbook.cluster_events import ConfirmedOff, LeftOutListed
from runbook.dataclass import dataclass
from runbook.engine.execute import REMOVES, Ending, execute
from runbook.engine.plan import Plan
from runbook.engine.services import RunServices
from runbook.errors import RefusedError
from runbook.events import Emit, Event
from runbook.files import RUNS
from runbook.hosts.spec import HostSpec
from runbook.journal.store import Journal
from runbook.playbook.approval_rule import ApprovalRule
from runbook.raft.model import ClusterView
from runbook.run_state import RunState
from runbook.secrets import SecretStore
from runbook.session.by_hand import ByHandFile, kind_of
from runbook.session.cluster_lock import ClusterLock, FarLock, Overrides
from runbook.session.cooldown import CooldownGuard
from runbook.session.evidence import EvidenceKeeper
from runbook.session.interrupts import RunInterrupts, SignalInterrupts, ThreadInterrupts, note_process
from runbook.session.journal_signature import sign_journal
from runbook.session.left_out import left_out_of, probe_left_out, write_list
from runbook.session.report_file import write_report_if_possible
from runbook.steps.context import Agreement

if TYPE_CHECKING:
    from runbook.session.saved_plans import HeldPlan

PERMISSION_WITHIN = 5.0  # seconds
EventWriter = Callable[[Mapping[str, Any]], None]
"""Called with every event, as the journal holds it."""


class Operator(Protocol):
    """Who runs it, and how they are asked."""

    @property
    def name(self) -> str: ...

    def approve(self, sentence: str, seconds: float) -> Agreement | None:
        """Who agreed to this sentence within so many seconds; nothing where nobody did."""

    def choose(self, question: str, answers: tuple[str, ...]) -> str | None:
        """One of the answers; nothing where nobody could be asked, or gave none of them in time."""

    def would_approve(self, sentence: str, seconds: float) -> Agreement | None:
        """For a dry run, without asking: who would be asked, and may agree, or has done so beforehand."""

    def would_choose(self, question: str, answers: tuple[str, ...]) -> str | None:
        """For a dry run, without asking: the first of the answers, where there is somebody to give it."""


@dataclass(frozen=True)
class RunOptions:
    """How a run is to be done, and on which cluster: by its ``choice``.

    ``answers`` are a person's words on changes whose end was not seen, by their names; ``confirmed_off`` on servers
    that they have made sure are off, and how they know, by the server's name. ``step_by_step``: every change is
    asked for. ``run_reads``: a dry run runs the commands and requests that say ``effect: read``.
    ``keep_tracebacks``: in the journal, where somebody looks for a fault of the program.
    ``planning``: a plan is made of this dry run, so nobody can have signed it yet.
    ``unattended``: nobody watches, whatever the playbook says; a resumed run is what it began as.
    ``sign_with``: the SSH key that signs the journal's head as the process ends.
    """

    choice: ClusterChoice = BY_ENVIRONMENT
    dry_run: bool = False
    run_reads: bool = False
    step_by_step: bool = False
    keep_tracebacks: bool = False
    overrides: Overrides = field(default_factory=Overrides)
    answers: Mapping[str, str] = field(default_factory=dict)
    confirmed_off: Mapping[str, str] = field(default_factory=dict)
    planning: bool = False
    unattended: bool = False
    sign_with: str = ""


@dataclass(frozen=True)
class RunResult:
    """How it ended, and all that its events tell. ``unsigned`` says why its journal is not, where it was wanted."""

    ending: Ending
    state: RunState
    folder: Path
    unsigned: str = ""


@dataclass(frozen=True)
class RunSession:
    """A run that is ready to begin, or to be resumed: its record is open, and nothing was asked of any server.

    ``first`` is what its journal is told before anything happens; ``state`` is what its earlier processes did.
    ``approval`` is what the inventory asks for; ``presumes_signatures``: where nothing comes of it they are not needed.
    ``held`` is the plan that it is held to.
    ``reports``: it draws its report as it ends.
    """

    plan: Plan
    cluster: Cluster
    state_folder: Path
    journal: Journal
    state: RunState
    first: Event
    options: RunOptions
    environment: Mapping[str, str] = field(repr=False)
    clock: Clock
    secret_store: SecretStore
    hosts: Mapping[str, HostSpec] = field(default_factory=dict)
    approval: ApprovalRule | None = None
    held: HeldPlan | None = None
    reports: bool = True
    presumes_signatures: bool = False

    @property
    def folder(self) -> Path:
        return self.state_folder / RUNS / self.plan.run

    def run(
        self,
        operator: Operator,
        write: EventWriter,
        interrupts: RunInterrupts | None = None,
        far_lock: FarLock | None = None,
    ) -> RunResult:
        """To one of its endings. Whoever does several gives the ``interrupts``, and so hears of every signal; whoever
        does it for other hosts too the lock that these share.

        Raises JournalError where no record can be kept any more.
        """
        interrupts, claimed_before = interrupts or SignalInterrupts(), self.state.peers
        self.secret_store.learn(self.cluster.secrets)
        self.secret_store.foresee(self.plan.playbook.secrets)
        evidence = EvidenceKeeper(self.folder, self.secret_store.hide)
        with interrupts.caught(), note_process(self.folder), handing_replies_to(evidence.take):
            emit = self._emitting(interrupts, write, evidence)
            name, overrides = operator.name, self.options.overrides
            lock = ClusterLock(self.plan.run, self.state_folder, name, emit, overrides, self.clock, far_lock)
            with interrupts.allowed():
                emit(self.first)
                for name, because in self.options.confirmed_off.items():
                    emit(ConfirmedOff(name, operator.name, because))
            ending = execute(self.plan, self._services(operator, emit, lock, interrupts), self.state)
            with contextlib.suppress(OSError):  # then its name stays in the lock, and the next run is told
                lock.release(claimed_before)
            key = self.options.sign_with
            unsigned = sign_journal(self.folder, self.journal.head, key) if key else ""
            if self.reports:
                write_report_if_possible(self.folder, self.secret_store.hide)  # a signal does not cut it through
        return RunResult(ending, self.state, self.folder, unsigned)

    def _services(self, operator: Operator, emit: Emit, lock: ClusterLock, interrupts: RunInterrupts) -> RunServices:
        cooldown = CooldownGuard(self.plan, self.state_folder, lock.set_aside, self.clock)
        services = RunServices(
            cluster=self.cluster,
            clock=self.clock,
            emit=emit,
            folder=self.folder,
            random_fraction=random.random,
            approve=operator.approve,
            dry_run=self.options.dry_run,
            keep_tracebacks=self.options.keep_tracebacks,
            step_by_step=self.options.step_by_step,
            check_free=lock.check_free,
            acquire=lock.acquire,
            check_held=lock.check_held,
            check_permission=self._check_permission,
            check_left_out=self._check_left_out,
            check_cooldown=cooldown.check,
            choose=operator.choose,
            set_aside=lock.set_aside,
            answers=self.options.answers,
            secret_store=self.secret_store,
            interrupts=interrupts,
            hosts=self.hosts,
            approval=self.approval,
            plan=self.held.plan if self.held else None,
            claim_plan=self._claim_plan,
            check_approved=self._check_approved,
            run_reads=self.options.run_reads,
            would_approve=operator.would_approve,
            would_choose=operator.would_choose,
        )
        if not isinstance(interrupts, ThreadInterrupts):
            return services
        from runbook.engine.items import worker_services

        return worker_services(services, interrupts)

    def _check_permission(self) -> bool:
        """Whether the cluster would accept a removal, where there is one; false where it does not say.

        Raises RefusedError where it would not.
        """
        from runbook.raft.removal import Refusal

        if not any(step.uses == REMOVES for step in self.plan.playbook.every_step()):
            return False
        reason = reason_not_permitted(self.cluster, PERMISSION_WITHIN)
        if reason:
            raise RefusedError(Refusal("MissingPermission", reason, "Give a token that has it, and run this again"))
        return reason is not None

    def _claim_plan(self) -> None:
        """It is this run's from now on; of a dry run's, whether it could be. Raises RefusedError."""
        if self.held is None:
            return
        from runbook.session.plan_claims import claim_plan, refuse_used_plan

        claim = refuse_used_plan if self.options.dry_run else claim_plan
        claim(self.held, self.state_folder, self.clock.now(), self.plan.run)

    def _check_approved(self, rules: tuple[ApprovalRule, ...]) -> tuple[Agreement, ...]:
        """Who has signed the plan of this run, by each rule. Raises RefusedError where they are too few."""
        if self.presumes_signatures:
            return ()
        from runbook.session.signed_plans import require_signatures

        now = self.clock.now()
        return require_signatures(rules, self.held, self.state, self.folder, self.environment, now)

    def _check_left_out(self, view: ClusterView) -> None:
        """Raises RefusedError where a server is back that a recovery left out of this cluster."""
        from runbook.raft.left_out import refusal_if_returned

        left_out = left_out_of(self.state_folder, view.identities)
        reason = refusal_if_returned(probe_left_out(self.cluster, view, left_out), left_out)
        if reason is not None:
            raise RefusedError(reason)

    def _emitting(self, interrupts: RunInterrupts, write: EventWriter, evidence: EvidenceKeeper) -> Emit:
        """The journal first, with no secret in it, then the state; a lost terminal does not end the run.

        What servers answered since the event before stands before the event, in the journal alone.
        """
        by_hand = ByHandFile(self.plan, kind_of(self.cluster.name), self.folder, self.secret_store.hide)
        changes = self.plan.changes and not self.options.dry_run

        def emit(event: Event) -> None:
            with interrupts.held():
                if self.state.state == "running" and (told := evidence.told()) is not None:
                    kept = {"at": self.clock.now(), **self.secret_store.hide(told.record())}
                    self.journal.append(kept, durable=False)
                record = {"at": self.clock.now(), **self.secret_store.hide(event.record())}
                self.journal.append(record, durable=event.durable)
                self.state.apply(record, view=getattr(event, "view", None), moment=self.clock.monotonic())
                if changes:
                    by_hand.refresh(record, self.state)
                if isinstance(event, LeftOutListed):
                    write_list(self.state_folder, self.plan.run, self.cluster.name, record)
                with contextlib.suppress(OSError, ValueError):
                    write(record)

        return emit
