"""Where a run stands, folded from its journal: the one table that says which event may follow which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from runbook.changes import Change, ChangesFolding
from runbook.raft.quorum import Numbers
from runbook.removals import Removal, RemovalsFolding

RUN: Mapping[tuple[str, str], str] = {
    ("new", "run.started"): "running",
    ("running", "run.completed"): "completed",
    ("running", "run.refused"): "refused",
    ("running", "run.failed"): "failed",
    ("running", "run.interrupted"): "interrupted",
    ("running", "run.resumed"): "running",  # the process had died without an ending
    ("running", "run.acknowledged"): "running",  # and nobody goes on with it
    ("refused", "run.resumed"): "running",
    ("failed", "run.resumed"): "running",
    ("interrupted", "run.resumed"): "running",
    ("completed", "run.acknowledged"): "completed",
    ("refused", "run.acknowledged"): "refused",
    ("failed", "run.acknowledged"): "failed",
    ("interrupted", "run.acknowledged"): "interrupted",
}
ENDED = frozenset({"completed", "refused", "failed", "interrupted"})
STEP: Mapping[tuple[str, str], str] = {
    ("new", "step.started"): "running",
    ("new", "step.skipped"): "skipped",
    ("running", "step.completed"): "completed",
    ("running", "step.failed"): "failed",
    ("running", "step.refused"): "refused",  # as step.failed with this outcome: no failure, and judged anew
    ("running", "step.started"): "running",  # once more, by a resumed run
    ("failed", "step.started"): "running",
    ("refused", "step.started"): "running",
    ("running", "step.skipped"): "skipped",
    ("failed", "step.skipped"): "skipped",
    ("refused", "step.skipped"): "skipped",
    ("skipped", "step.started"): "running",
}


class ProgressError(Exception):
    """The record holds an event that cannot follow the ones before it."""


@dataclass(frozen=True)
class RunProgress:
    """A run as far as its journal tells. ``state`` is ``running`` where no ending was written.

    By the place of each step: ``uses`` is its type, ``outputs`` its result once it is completed, ``items`` the finished
    rounds of one that is not, ``undo`` how a person takes it back, ``entered`` the digest of the playbook that it ran.
    ``changes`` are those of all steps but the removals. ``changed_at`` is when the last change of either kind began,
    ``acknowledged`` that a person has looked at the run since then.
    ``resumed`` counts how often the run was gone on with, and ``completed_in`` how often that was when each completed.
    ``peers`` are all that any process of it claimed, ``taken_over`` says that another run has the lock since.
    """

    state: str = "new"
    started: Mapping[str, Any] | None = None
    ended: Mapping[str, Any] | None = None
    step: str = ""
    steps: Mapping[str, str] = field(default_factory=dict)
    removals: tuple[Removal, ...] = ()
    before: Numbers | None = None
    now: Numbers | None = None
    unproven: tuple[str, ...] = ()
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    items: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    peers: frozenset[str] = frozenset()
    changes: tuple[Change, ...] = ()
    changed_at: str = ""
    acknowledged: bool = False
    taken_over: bool = False
    resumed: int = 0
    completed_in: Mapping[str, int] = field(default_factory=dict)
    undo: Mapping[str, str] = field(default_factory=dict)
    entered: Mapping[str, str] = field(default_factory=dict)
    uses: Mapping[str, str] = field(default_factory=dict)

    @property
    def dry_run(self) -> bool:
        return bool(self.started and self.started["dry_run"])

    @property
    def has_changed(self) -> bool:
        """Whether anything is, or may be, another thing by this run's doing."""
        return bool(self.changes) or any(
            removal.state == "gone" or removal.may_yet_be_done for removal in self.removals
        )

    @property
    def open_changes(self) -> tuple[Change, ...]:
        """Those whose end nobody saw, and of which no person has said what became."""
        return tuple(change for change in self.changes if change.open)

    @property
    def released(self) -> str:
        """Why it holds no lock, though its name may be left there; empty where only its resumption can free it."""
        if self.taken_over:
            return "taken over"
        return self.state if self.state in ENDED else ""

    @property
    def not_resumable(self) -> str:
        """Why there is nothing to go on with, as ``it ...``; empty where there is."""
        if self.started is None:
            return "has no beginning"
        if self.dry_run:
            return "was a dry run"
        if self.state == "completed":
            return "is completed"
        return "was acknowledged" if self.acknowledged else ""

    @property
    def after(self) -> Numbers | None:
        """What was counted last; in a dry run, what would be counted."""
        foretold = [removal.voters_after for removal in self.removals if removal.state == "foretold"]
        return replace(self.now, voters=foretold[-1]) if self.now and foretold else self.now


def fold(events: Iterable[Mapping[str, Any]]) -> RunProgress:
    """Raises :class:`ProgressError` for a record that no run of ours can have written."""
    folding = _Folding()
    for event in events:
        folding.take(event)
    return folding.progress()


class _Folding:
    """Grows event by event; a record of ten thousand steps is folded in the time that it takes to read it."""

    def __init__(self) -> None:
        self._plain = RunProgress()
        self._steps: dict[str, str] = {}
        self._removals = RemovalsFolding()
        self._outputs: dict[str, Mapping[str, Any]] = {}
        self._items: dict[str, list[Mapping[str, Any]]] = {}
        self._completed_in: dict[str, int] = {}
        self._undo: dict[str, str] = {}
        self._changes = ChangesFolding()
        self._entered: dict[str, str] = {}
        self._uses: dict[str, str] = {}
        self._takes: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
            "cluster.looked": self._take_look,
            "cluster.claimed": self._take_claim,
            "lock.taken_over": self._take_over,
            "item.completed": self._take_item,
            "playbook.entered": self._take_entry,
            **dict.fromkeys(("step.started", "step.skipped", "step.completed", "step.failed"), self._take_step),
        }

    def progress(self) -> RunProgress:
        return replace(
            self._plain,
            steps=self._steps,
            removals=self._removals.removals(),
            outputs=self._outputs,
            items={step: tuple(done) for step, done in self._items.items()},
            completed_in=self._completed_in,
            undo=self._undo,
            changes=self._changes.changes(),
            entered=self._entered,
            uses=self._uses,
        )

    def take(self, event: Mapping[str, Any]) -> None:
        kind = str(event["kind"])
        family = kind.split(".")[0]
        if family not in ("run", "lock") and self._plain.state != "running":
            raise ProgressError(f"{kind} after the run was {self._plain.state}")
        if family == "run":
            self._take_run(kind, event)
        elif kind in self._takes:
            self._takes[kind](event)
        try:
            self._changes.take(event)
            if family == "removal":
                self._removals.take(event)
        except KeyError as error:
            raise ProgressError(f"{kind} cannot follow: {error}") from None
        if kind in ("change.begun", "removal.requested"):
            self._plain = replace(self._plain, changed_at=str(event.get("at", "")))

    def _take_run(self, kind: str, event: Mapping[str, Any]) -> None:
        state, plain = _next(RUN, self._plain.state, kind), self._plain
        if kind == "run.started":
            self._plain = replace(plain, state=state, started=event)
        elif kind == "run.resumed":
            self._plain = replace(
                plain, state=state, ended=None, acknowledged=False, taken_over=False, resumed=plain.resumed + 1
            )
        elif kind == "run.acknowledged":
            self._plain = replace(plain, acknowledged=True)
        else:
            self._plain = replace(plain, state=state, ended=event)

    def _take_look(self, event: Mapping[str, Any]) -> None:
        unproven = tuple(name for name, verdict in event["verdicts"].items() if verdict == "unknown")
        self._plain = replace(self._plain, unproven=unproven)
        if event["leader"] is not None:  # without a leader nobody knows the configuration for sure
            numbers = Numbers(event["voters"], event["live_voters"])
            self._plain = replace(self._plain, before=self._plain.before or numbers, now=numbers)

    def _take_step(self, event: Mapping[str, Any]) -> None:
        step, kind = str(event["step"]), str(event["kind"])
        kind = "step.refused" if kind == "step.failed" and event.get("outcome") == "refused" else kind
        self._steps[step] = _next(STEP, self._steps.get(step, "new"), kind)
        if event["kind"] == "step.started":
            self._uses[step] = str(event["uses"])
        if self._plain.step != step:
            self._plain = replace(self._plain, step=step)
        if self._steps[step] == "completed":
            self._outputs[step], self._completed_in[step] = event["output"], self._plain.resumed
            if event.get("undo"):
                self._undo[step] = str(event["undo"])

    def _take_item(self, event: Mapping[str, Any]) -> None:
        step, number = str(event["step"]), int(event["item"])
        done = self._items.setdefault(step, [])
        if number != len(done):
            raise ProgressError(f"item {number} of step {step} cannot follow {len(done)} finished ones")
        done.append(event)

    def _take_claim(self, event: Mapping[str, Any]) -> None:
        self._plain = replace(self._plain, peers=self._plain.peers | frozenset(event["peers"]))

    def _take_over(self, event: Mapping[str, Any]) -> None:
        """Stands in the records of both; the other one has the lock now."""
        if self._plain.started is not None and event["run"] == self._plain.started["run"]:
            self._plain = replace(self._plain, taken_over=True)

    def _take_entry(self, event: Mapping[str, Any]) -> None:
        self._entered[str(event["step"])] = str(event["digest"])


def _next(table: Mapping[tuple[str, str], str], state: str, kind: str) -> str:
    try:
        return table[state, kind]
    except KeyError:
        raise ProgressError(f"{kind} cannot follow {state}") from None
