"""``wait.for``: let time pass, and say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runbook.playbook.expressions.model import UNKNOWN
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.playbook.types import format_duration
from runbook.steps.base import StepResult

if TYPE_CHECKING:
    from runbook.steps.context import StepContext

SLICE = 10.0  # seconds: as long as a person looks at a line that does not move

DECLARATION = StepDeclaration(
    "wait.for",
    "Let time pass. Where something can be looked at instead, wait.until is better.",
    Effect.READ,
    parameters=(
        Field("duration", "duration", "how long", required=True, min=0, max=86400.0),
        Field("reason", "string", "what for, as it is told meanwhile", default="as the playbook says"),
    ),
    observe="There is nothing to tell: time that has passed has passed.",
    shadow="It is told how long would be waited, and nothing is waited for.",
    example="""\
- uses: wait.for
  with:
    duration: 70s           # every wait has an end, and this one is told every ten seconds
    reason: "the leader reconciles once a minute"
""",
)


def run(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """In slices, each told. Raises StepError at once where the step's own time is shorter."""
    from runbook.events import Waiting
    from runbook.steps.trouble import StepError, StepTrouble

    seconds = arguments["duration"]
    if context.dry_run:
        return StepResult(f"would wait {'' if seconds is UNKNOWN else format_duration(seconds)}".rstrip(), {})
    if context.left(max(seconds, 0.001)) < seconds:
        what = f"a wait of {format_duration(seconds)} is longer than what is left of the step's time"
        raise StepError(StepTrouble.TIMEOUT, what, "Give the step a longer timeout, or wait less")
    until = context.clock.monotonic() + seconds
    while (left := until - context.clock.monotonic()) > 0:
        context.emit(Waiting(context.step, round(left, 1), arguments["reason"]))
        context.clock.sleep(min(SLICE, left))
    return StepResult(f"waited {format_duration(seconds)}", {})
