"""Runs a plan to one of its four endings. Whatever happens, the last event says where and why."""

from __future__ import annotations

from dataclasses import replace

from runbook.engine.endings import Ending, ending_of
from runbook.engine.open_changes import settle_open_changes
from runbook.engine.outcome import Failure, failure_of
from runbook.engine.plan import Plan
from runbook.engine.runner import PlaybookRunner
from runbook.engine.services import RunServices
from runbook.errors import RefusedError
from runbook.events import Emit, Event
from runbook.run_state import RunState


def execute(plan: Plan, services: RunServices, state: RunState) -> Ending:
    """Every step in reading order; those that ``state`` holds as finished are not done again.

    ``services.emit`` advances ``state``. Raises only what it raises: without a journal nothing may go on.
    """
    services = replace(services, emit=_or_nothing_goes_on(services.emit))
    try:
        ending = _ending(plan, services, state)
        services.emit(ending)
    except RecordLostError as lost:
        raise lost.cause from None
    return ending


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


def _ending(plan: Plan, services: RunServices, state: RunState) -> Ending:
    failure = _run(plan, services, state)
    if failure is not None:
        return failure.ending
    return ending_of(plan, state)


def _run(plan: Plan, services: RunServices, state: RunState) -> Failure | None:
    """What nobody saw the end of is settled before anything else is done, or nothing is."""
    try:
        with services.interrupts.allowed():
            done = settle_open_changes(plan.run, services, state)
    except (RefusedError, KeyboardInterrupt) as error:
        place = next((change.name for change in state.open_changes), state.step)
        return failure_of(place, error, keep_traceback=False)
    return PlaybookRunner(services, state, changes=plan.changes, done=done).run(plan)
