"""Where a run stands, folded from its journal: the one table that says which event may follow which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from runbook.raft.quorum import failure_tolerance

RUN: Mapping[tuple[str, str], str] = {
    ("new", "run.started"): "running",
    ("running", "run.completed"): "completed",
    ("running", "run.refused"): "refused",
    ("running", "run.failed"): "failed",
    ("running", "run.interrupted"): "interrupted",
}
STEP: Mapping[tuple[str, str], str] = {
    ("new", "step.started"): "running",
    ("new", "step.skipped"): "skipped",
    ("running", "step.completed"): "completed",
}
REMOVAL: Mapping[tuple[str, str], str] = {
    ("new", "removal.requested"): "asked",
    ("new", "removal.would_be_requested"): "foretold",
    ("new", "removal.already_gone"): "gone",
    ("asked", "removal.confirmed"): "gone",
    ("asked", "removal.failed"): "failed",
    ("asked", "removal.unsettled"): "unsettled",
    ("failed", "removal.requested"): "asked",
    ("failed", "removal.already_gone"): "gone",
    ("unsettled", "removal.requested"): "asked",
    ("unsettled", "removal.already_gone"): "gone",
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
    """What became of one intent: ``asked`` with nothing after it means that the outcome is not known."""

    peer: str
    name: str
    address: str
    state: str
    voters_after: int
    asked_at: str
    message: str = ""


@dataclass(frozen=True)
class RunProgress:
    """A run as far as its journal tells. ``state`` is ``running`` where no ending was written."""

    state: str = "new"
    started: Mapping[str, Any] | None = None
    ended: Mapping[str, Any] | None = None
    step: str = ""
    steps: Mapping[str, str] | None = None
    removals: tuple[Removal, ...] = ()
    before: Numbers | None = None
    now: Numbers | None = None
    unproven: tuple[str, ...] = ()

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
    if family != "run" and progress.state != "running":
        raise ProgressError(f"{kind} after the run was {progress.state}")
    if family == "run":
        return _run_after(progress, kind, event)
    if kind == "cluster.looked":
        return _look_after(progress, event)
    if family == "removal":
        return replace(progress, removals=_removals_after(progress.removals, kind, event))
    if (kind.startswith("step.") and kind != "step.waiting") or kind == "step.started":
        return _step_after(progress, kind, event)
    return progress


def _run_after(progress: RunProgress, kind: str, event: Mapping[str, Any]) -> RunProgress:
    state = _next(RUN, progress.state, kind)
    if state == "running":
        return replace(progress, state=state, started=event)
    return replace(progress, state=state, ended=event)


def _look_after(progress: RunProgress, event: Mapping[str, Any]) -> RunProgress:
    unproven = tuple(name for name, verdict in event["verdicts"].items() if verdict == "unknown")
    if event["leader"] is None:  # without a leader nobody knows the configuration for sure
        return replace(progress, unproven=unproven)
    numbers = Numbers(event["voters"], event["live_voters"])
    return replace(progress, before=progress.before or numbers, now=numbers, unproven=unproven)


def _step_after(progress: RunProgress, kind: str, event: Mapping[str, Any]) -> RunProgress:
    known = dict(progress.steps or {})
    step = str(event["step"])
    known[step] = _next(STEP, known.get(step, "new"), kind)
    return replace(progress, steps=known, step=step)


def _removals_after(removals: tuple[Removal, ...], kind: str, event: Mapping[str, Any]) -> tuple[Removal, ...]:
    peer = str(event["peer"])
    old = next((removal for removal in removals if removal.peer == peer), None)
    new = Removal(peer, peer, "", "new", 0, "") if old is None else old
    state, at = _next(REMOVAL, new.state, kind), str(event.get("at", ""))
    if state in ("asked", "foretold"):
        new = Removal(peer, str(event["name"]), str(event["address"]), state, int(event["voters_after"]), at)
    else:
        new = replace(new, state=state, message=str(event.get("message", "")))
    return (*(removal for removal in removals if removal is not old), new)


def _next(table: Mapping[tuple[str, str], str], state: str, kind: str) -> str:
    try:
        return table[state, kind]
    except KeyError:
        raise ProgressError(f"{kind} cannot follow {state}") from None
