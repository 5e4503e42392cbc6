"""What a step is given, and the two ways in which it ends early. Steps never log: they emit events or return data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from math import inf
from pathlib import Path
from typing import Protocol, TypeVar

from runbook.changes import Key
from runbook.clock import NO_DEADLINE, Clock, Deadline
from runbook.cluster.port import Cluster
from runbook.dataclass import dataclass
from runbook.errors import ErrorKind, StepError
from runbook.events import Emit
from runbook.hosts.spec import HostSpec
from runbook.playbook.approval_rule import ApprovalRule
from runbook.raft.model import ClusterView, Peer
from runbook.raft.removal import Policy
from runbook.run_state import RunState
from runbook.steps.looked import looked_event

T = TypeVar("T")
Choose = Callable[[str, tuple[str, ...]], "str | None"]  # one of these answers, by the person at the terminal
Ask = Callable[[str, float], "Agreement"]  # to this sentence within these seconds; RefusedError where nobody did
SetAside = Callable[[str, str], bool]  # whether a person has set the guard of this name aside, refusal and all


class Hold(Protocol):
    """As :meth:`runbook.engine.plan_hold.PlanHold.allow`."""

    def __call__(self, context: StepContext, uses: str, to: Peer | None) -> None:
        """Raises RefusedError."""


class MakeChange(Protocol):
    """As :meth:`runbook.engine.change_guards.ChangeGuards.change`."""

    def __call__(self, context: StepContext, change: Key, uses: str, act: Callable[[], T]) -> T:
        """What the act gives."""


@dataclass(frozen=True)
class Agreement:
    """A person's yes. ``how``: at the terminal, or beforehand by --yes."""

    who: str
    how: str

    def __str__(self) -> str:
        return f"{self.who}, {self.how}"


@dataclass(frozen=True)
class ForeseenFiles:
    """What a dry run would have written by now, the newest last, and what it would have deleted."""

    written: dict[Path, None] = field(default_factory=dict)
    deleted: set[Path] = field(default_factory=set)

    def write(self, path: Path) -> None:
        self.written.pop(path, None)
        self.written[path] = None
        self.deleted.discard(path)

    def delete(self, path: Path) -> None:
        self.written.pop(path, None)
        self.deleted.add(path)


@dataclass(frozen=True)
class StepContext:
    """What a step may touch, and what it may know of its run.

    ``observed`` is told of every look: it raises :class:`RefusedError` where this run has nothing to do with that
    cluster, or another run has it. ``acquire`` holds the cluster, just before a change. ``permit`` is asked after it,
    when all guards have allowed the change: it may refuse, or ask a person, who reads this sentence and, by it, which
    peers (their ids) will go. It says whether that took time, so that what was seen before is no longer news.
    ``change`` is for a step that proves or asks something of its own before it changes anything but the peers: the
    guards for the change of this key and step type, its intent on record, and then the act.
    ``hold`` is asked before the guards of a removal of this peer, or of a transfer to it, by the step type: it refuses
    what is not next in the plan that the run is held to, or is not safe as that was.

    ``choose`` puts a question to the person at the terminal: one of the answers, or ``None`` where there is no
    terminal, no answer in time, or another one. ``set_aside`` is asked before a guard refuses, and puts on record that
    it does not. ``item`` counts from 0 the items of a step with ``for_each``. ``stopped`` is asked again and again by
    what waits for something outside: whether it is to end, as a signal cannot reach it. ``reads`` says that the
    playbook declares this step to change nothing; ``run_reads``, that a dry run is to do it then, whatever it is.
    ``answers`` are a person's words, given beforehand, by the places of steps.
    ``files`` are those that a dry run would have written and deleted.
    ``hosts`` are the machines of the servers, by a name or id of each, where an inventory knows them. ``approvals`` say
    whose signatures are needed: those of the inventory and of every playbook around the step, which must all hold.
    """

    cluster: Cluster
    clock: Clock
    emit: Emit
    folder: Path
    step: str
    policy: Policy
    dry_run: bool
    state: RunState
    deadline: Deadline = NO_DEADLINE
    reads: bool = False
    run_reads: bool = False
    observed: Callable[[ClusterView], None] = lambda _view: None
    acquire: Callable[[ClusterView], None] = lambda _view: None
    permit: Callable[[StepContext, str, frozenset[str]], bool] = lambda _context, _question, _peers: False
    change: MakeChange = lambda _context, _change, _uses, act: act()
    hold: Hold = lambda _context, _uses, _to: None
    choose: Choose = lambda _question, _answers: None
    set_aside: SetAside = lambda _guard, _refusal: False
    ask: Ask | None = None
    answers: Mapping[str, str] = field(default_factory=dict)
    hosts: Mapping[str, HostSpec] = field(default_factory=dict)
    approvals: tuple[ApprovalRule, ...] = ()
    item: int | None = None
    stopped: Callable[[], bool] = lambda: False
    files: ForeseenFiles = field(default_factory=ForeseenFiles)

    def left(self, seconds: float) -> float:
        """``seconds``, or what is left before the step's own end. Raises :class:`StepError` when nothing is."""
        left = min(seconds, self.deadline.at - self.clock.monotonic())
        if left <= 0:
            what = f"the time of {self.deadline.whose or f'step {self.step}'} is over"
            raise StepError(ErrorKind.TIMEOUT, what, "Give it a longer timeout")
        return left

    def look(self) -> ClusterView:
        """One look within the step's time, as an event. Whatever it is for, a sign of life in it counts against every
        later verdict.
        """
        view = self.cluster.look(within=self.left(inf))
        looks, verdicts = self.state.looks, self.state.last_verdicts
        self.emit(looked_event(self.step, view, *((verdicts, looks[-1]) if looks else ({}, None))))
        self.observed(view)
        return view

    def name_of(self, peer_id: str) -> str:
        """As the run has met it; a peer that is gone is in no new look."""
        return self.state.names.get(peer_id, peer_id)
