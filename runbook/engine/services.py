"""What a run may use of the world, in one frozen value; and the time of a step, past which nothing in it sleeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from runbook.clock import Clock, Deadline
from runbook.cluster.port import Cluster
from runbook.dataclass import dataclass
from runbook.errors import TimeIsUpError
from runbook.events import Emit
from runbook.hosts.spec import HostSpec
from runbook.playbook.approval_rule import ApprovalRule
from runbook.raft.model import ClusterView
from runbook.redaction import Redactor
from runbook.secrets import SecretStore
from runbook.steps.context import Agreement, Choose, ForeseenFiles, SetAside

if TYPE_CHECKING:
    from runbook.saved_plan import SavedPlan

AGREE_WITHIN = 600.0  # seconds a person may take to agree to the first change
PRESUMED = Agreement("whoever is asked", "at the terminal, as is presumed")


class Interrupts(Protocol):
    """When a signal may end what is being done."""

    def allowed(self) -> AbstractContextManager[None]:
        """Inside, a signal raises KeyboardInterrupt at once; one that came before raises it on entry."""

    def pending(self) -> bool:
        """Whether a signal came outside of :meth:`allowed`; asked once, it is forgotten."""


class NoInterrupts:
    """Where no signal is caught, KeyboardInterrupt comes as Python has it."""

    def allowed(self) -> AbstractContextManager[None]:
        return nullcontext()

    def pending(self) -> bool:
        return False


@dataclass(frozen=True)
class RunServices:
    """``acquire`` holds the cluster that has these peers, ``check_cooldown`` is asked before the first change.

    ``check_free`` is asked at the first look, and holds nothing: it raises where another run has the cluster now;
    ``check_permission`` with it: whether the cluster says that it would accept a removal; and ``check_left_out``: that
    nobody is back whom a recovery left out of it; ``check_held`` before each change. All of them raise
    :class:`runbook.steps.context.RefusedError`.

    ``approve`` is asked before the first change, and by the step of that name: who said yes to this sentence within so
    many seconds, or None; ``step_by_step``: before every change. ``answers`` are a person's words, given beforehand, on
    the changes of a run that is resumed, by their names. ``random_fraction`` is from 0 to 1, for the jitter of
    retries. ``stopped`` is asked by what runs beside other work, again and again: whether it is to end.

    ``approval`` is what the inventory asks for; each playbook may ask for more. ``check_approved`` is asked before the
    first change under such rules: who has signed the plan of this run. ``plan`` is what it is held to, where it was
    begun with one; ``claim_plan`` is asked before its first change, and no other run has that plan from then on.

    In a dry run nobody is asked: ``would_approve`` and ``would_choose`` say what they would answer. ``run_reads``: it
    runs commands and requests of the playbook that say ``effect: read``.
    """

    cluster: Cluster
    clock: Clock
    emit: Emit
    folder: Path
    random_fraction: Callable[[], float]
    approve: Callable[[str, float], Agreement | None]
    dry_run: bool
    keep_tracebacks: bool
    step_by_step: bool = False
    check_free: Callable[[frozenset[str]], None] = lambda _peers: None
    acquire: Callable[[frozenset[str]], None] = lambda _peers: None
    check_held: Callable[[], None] = lambda: None
    check_permission: Callable[[], bool] = lambda: False
    check_cooldown: Callable[[frozenset[str]], None] = lambda _peers: None
    check_left_out: Callable[[ClusterView], None] = lambda _view: None
    choose: Choose = lambda _question, _answers: None
    set_aside: SetAside = lambda _guard, _refusal: False
    answers: Mapping[str, str] = field(default_factory=dict)
    secret_store: SecretStore = field(default_factory=lambda: SecretStore({}, Redactor()))
    interrupts: Interrupts = field(default_factory=NoInterrupts)
    hosts: Mapping[str, HostSpec] = field(default_factory=dict)
    approval: ApprovalRule | None = None
    plan: SavedPlan | None = None
    claim_plan: Callable[[], None] = lambda: None
    check_approved: Callable[[tuple[ApprovalRule, ...]], tuple[Agreement, ...]] = lambda _rules: ()
    stopped: Callable[[], bool] = lambda: False
    run_reads: bool = False
    files: ForeseenFiles = field(default_factory=ForeseenFiles)
    would_approve: Callable[[str, float], Agreement | None] = lambda _sentence, _seconds: PRESUMED
    would_choose: Choose = lambda _question, answers: answers[0]


class BoundedClock:
    """A clock on which nobody sleeps past the deadline, and from which a signal wakes whoever does."""

    def __init__(self, clock: Clock, deadline: Deadline, interrupts: Interrupts) -> None:
        self._clock = clock
        self._deadline = deadline
        self._interrupts = interrupts

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def now(self) -> str:
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        """Raises :class:`TimeIsUpError` at the end of the step's time, and at once when it is over already."""
        left = self._deadline.at - self._clock.monotonic()
        with self._interrupts.allowed():
            self._clock.sleep(min(seconds, max(0.0, left)))
        if left <= seconds:
            raise TimeIsUpError(self._deadline.whose)
