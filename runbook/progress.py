"""Where a run stands, folded from its journal: the one table that says which event may follow which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from runbook.raft.quorum import failure_tolerance

RUN: Mapping[tuple[str, str], str] = {
    ("new", "run.started"): "running",
    ("running", "run.completed"): "completed",
    ("running", "run.refused"): "refused",
    ("running", "run.failed"): "failed",
    ("running", "run.interrupted"): "interrupted",
    ("running", "run.resumed"): "running",  # the process had died without an ending
    ("refused", "run.resumed"): "running",
    ("failed", "run.resumed"): "running",
    ("interrupted", "run.resumed"): "running",
    ("completed", "run.acknowledged"): "completed",
    ("refused", "run.acknowledged"): "refused",
    ("failed", "run.acknowledged"): "failed",
    ("interrupted", "run.acknowledged"): "interrupted",
}
STEP: Mapping[tuple[str, str], str] = {
    ("new", "step.started"): "running",
    ("new", "step.skipped"): "skipped",
    ("running", "step.completed"): "completed",
    ("running", "step.started"): "running",  # once more, by a resumed run
    ("running", "step.skipped"): "skipped",
}
REMOVAL: Mapping[tuple[str, str], str] = {
    ("new", "removal.requested"): "asked",
    ("new", "removal.would_be_requested"): "foretold",
    ("new", "removal.already_gone"): "vanished",
    ("asked", "removal.confirmed"): "gone",
    ("asked", "removal.already_gone"): "vanished",
    ("asked", "removal.failed"): "failed",
    ("asked", "removal.unsettled"): "unsettled",
    ("failed", "removal.requested"): "asked",
    ("failed", "removal.already_gone"): "vanished",
    ("unsettled", "removal.confirmed"): "gone",
    ("unsettled", "removal.failed"): "failed",
    ("unsettled", "removal.unsettled"): "unsettled",
}


class ProgressError(Exception):
    """The record holds an event that cannot follow the ones before it."""


@dataclass(frozen=True)
class Numbers:
    """What one look counted."""

    voters: int
    live_voters: int

    @property
    def tolerance(self) -> int:
        return failure_tolerance(self.voters, self.live_voters)


@dataclass(frozen=True)
class Removal:
    """What became of one intent: ``asked`` with nothing after it means that the outcome is not known.

    ``gone`` is our doing, ``vanished`` somebody else's.
    """

    peer: str
    name: str
    address: str
    state: str
    voters_after: int
    asked_at: str
    message: str = ""
    step: str = ""

    @property
    def unsettled(self) -> bool:
        """Asked for, and nobody has seen what became of it."""
        return self.state in ("asked", "unsettled")


@dataclass(frozen=True)
class RunProgress:
    """A run as far as its journal tells. ``state`` is ``running`` where no ending was written.

    ``outputs`` holds the result of each completed step, ``items`` those of the finished rounds of a step that is not.
    """

    state: str = "new"
    started: Mapping[str, Any] | None = None
    ended: Mapping[str, Any] | None = None
    step: str = ""
    steps: Mapping[str, str] | None = None
    removals: tuple[Removal, ...] = ()
    before: Numbers | None = None
    now: Numbers | None = None
    unproven: tuple[str, ...] = ()
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    items: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    peers: frozenset[str] = frozenset()
    acknowledged: bool = False

    @property
    def dry_run(self) -> bool:
        return bool(self.started and self.started["dry_run"])

    @property
    def after(self) -> Numbers | None:
        """What was counted last; in a dry run, what would be counted."""
        foretold = [removal.voters_after for removal in self.removals if removal.state == "foretold"]
        return replace(self.now, voters=foretold[-1]) if self.now and foretold else self.now


def fold(events: Iterable[Mapping[str, Any]]) -> RunProgress:
    """Raises :class:`ProgressError` for a record that no run of ours can have written."""
    progress = RunProgress()
    for event in events:
        progress = _after(progress, event)
    return progress


def _after(progress: RunProgress, event: Mapping[str, Any]) -> RunProgress:
    kind = str(event["kind"])
    family = kind.split(".")[0]
    if family not in ("run", "lock") and progress.state != "running":
        raise ProgressError(f"{kind} after the run was {progress.state}")
    if family == "run":
        return _run_after(progress, kind, event)
    if family == "removal":
        return replace(progress, removals=_removals_after(progress.removals, kind, event))
    return _FOLDS[kind](progress, event) if kind in _FOLDS else progress


def _run_after(progress: RunProgress, kind: str, event: Mapping[str, Any]) -> RunProgress:
    state = _next(RUN, progress.state, kind)
    if kind == "run.started":
        return replace(progress, state=state, started=event)
    if kind == "run.resumed":
        return replace(progress, state=state, ended=None)
    if kind == "run.acknowledged":
        return replace(progress, acknowledged=True)
    return replace(progress, state=state, ended=event)


def _look_after(progress: RunProgress, event: Mapping[str, Any]) -> RunProgress:
    unproven = tuple(name for name, verdict in event["verdicts"].items() if verdict == "unknown")
    if event["leader"] is None:  # without a leader nobody knows the configuration for sure
        return replace(progress, unproven=unproven)
    numbers = Numbers(event["voters"], event["live_voters"])
    return replace(progress, before=progress.before or numbers, now=numbers, unproven=unproven)


def _step_after(progress: RunProgress, event: Mapping[str, Any]) -> RunProgress:
    known = dict(progress.steps or {})
    step = str(event["step"])
    known[step] = _next(STEP, known.get(step, "new"), str(event["kind"]))
    outputs = progress.outputs
    if known[step] == "completed":
        outputs = {**outputs, step: event["output"]}
    return replace(progress, steps=known, step=step, outputs=outputs)


def _item_after(progress: RunProgress, event: Mapping[str, Any]) -> RunProgress:
    step, number = str(event["step"]), int(event["item"])
    done = progress.items.get(step, ())
    if number != len(done):
        raise ProgressError(f"item {number} of step {step} cannot follow {len(done)} finished ones")
    return replace(progress, items={**progress.items, step: (*done, event)})


def _claim_after(progress: RunProgress, event: Mapping[str, Any]) -> RunProgress:
    return replace(progress, peers=frozenset(event["peers"]))


def _removals_after(removals: tuple[Removal, ...], kind: str, event: Mapping[str, Any]) -> tuple[Removal, ...]:
    peer = str(event["peer"])
    old = next((removal for removal in removals if removal.peer == peer), None)
    new = Removal(peer, peer, "", "new", 0, "") if old is None else old
    state, at = _next(REMOVAL, new.state, kind), str(event.get("at", ""))
    if state in ("asked", "foretold"):
        name, address = str(event["name"]), str(event["address"])
        new = Removal(peer, name, address, state, int(event["voters_after"]), at, step=str(event["step"]))
    else:
        name = str(event.get("name") or new.name)
        new = replace(new, state=state, name=name, message=str(event.get("message", "")))
    return (*(removal for removal in removals if removal is not old), new)


def _next(table: Mapping[tuple[str, str], str], state: str, kind: str) -> str:
    try:
        return table[state, kind]
    except KeyError:
        raise ProgressError(f"{kind} cannot follow {state}") from None


_FOLDS: Mapping[str, Callable[[RunProgress, Mapping[str, Any]], RunProgress]] = {
    "cluster.looked": _look_after,
    "cluster.claimed": _claim_after,
    "item.completed": _item_after,
    **dict.fromkeys(("step.started", "step.skipped", "step.completed"), _step_after),
}
