"""Runs a plan to one of its four endings. Whatever happens, the last event says where and why."""

from __future__ import annotations

from dataclasses import replace

from runbook.engine.answers import settled
from runbook.engine.plan import Plan
from runbook.engine.resume import NOTHING_YET, restored
from runbook.engine.step import StepRunner
from runbook.engine.walk import Walk
from runbook.engine.world import World as World
from runbook.events import Emit, Event, RunCompleted, RunFailed, RunInterrupted, RunRefused
from runbook.progress import RunProgress
from runbook.steps.base import Memory, RefusedError

Ending = RunCompleted | RunRefused | RunFailed | RunInterrupted


def execute(plan: Plan, world: World, past: RunProgress = NOTHING_YET) -> Ending:
    """Every step in reading order; those that ``past`` holds as finished are not done again.

    Raises only what ``emit`` raises: without a journal nothing may go on.
    """
    world = replace(world, emit=_or_nothing_goes_on(world.emit))
    try:
        return _execute(plan, world, past)
    except RecordLostError as lost:
        raise lost.cause from None


class RecordLostError(BaseException):
    """No event can be written any more. Not an Exception: no handler of a step may catch it and go on."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _or_nothing_goes_on(emit: Emit) -> Emit:
    def sure(event: Event) -> None:
        try:
            emit(event)
        except Exception as error:
            raise RecordLostError(error) from error

    return sure


def _execute(plan: Plan, world: World, past: RunProgress) -> Ending:
    try:
        done = settled(plan.run, world, past)
    except RefusedError as refused:
        return _refused(world, past, refused)
    memory = restored(past, world.clock)
    runner = StepRunner(plan, world, memory, past, done)
    failure = Walk(runner, plan.playbook, past).whole(plan.scope)
    ending = failure.ending if failure else _left_undone(plan, memory) or RunCompleted(_told(plan, memory, world))
    world.emit(ending)
    return ending


def _refused(world: World, past: RunProgress, refused: RefusedError) -> RunRefused:
    """Before anything was done."""
    ending = RunRefused(past.open_changes[0].name, refused.reason.code, str(refused.reason))
    world.emit(ending)
    return ending


def _left_undone(plan: Plan, memory: Memory) -> RunFailed | None:
    """A removal that was asked for and not seen done, past which ``continue_on_failure`` led: that is no recovery."""
    left = (memory.asked | memory.unsettled.keys()) - memory.gone
    if not left:
        return None
    names = ", ".join(sorted(memory.names.get(peer_id, peer_id) for peer_id in left))
    step = next((step.id for step in plan.playbook.every_step() if step.uses == "raft.remove_peer"), "")
    open_ = left & (memory.unsettled.keys() | memory.still_listed)
    again = f"`runbook resume {plan.run}`, which looks first" if open_ else "the playbook again"
    what = f"the removal of {names} was asked for and not seen done. Run runbook diagnose, then {again}"
    return RunFailed(step, "ambiguous" if open_ else "rejected", what)


def _told(plan: Plan, memory: Memory, world: World) -> str:
    if memory.gone:
        return "would be recovered" if world.dry_run else "recovered"
    removes = any(step.uses == "raft.remove_peer" for step in plan.playbook.every_step())
    if removes:
        return "nothing to do"
    return "done, as a dry run: nothing was changed" if world.dry_run else "done"
