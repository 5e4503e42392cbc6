"""``approve``: a person says yes, or nothing goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import StepResult
from runbook.steps.shown import shown

if TYPE_CHECKING:
    from runbook.steps.context import StepContext

DECLARATION = StepDeclaration(
    "approve",
    "Ask the person at the terminal, and go on only after a yes. Without a terminal it is refused, but for --yes.",
    Effect.READ,
    parameters=(
        Field("prompt", "string", "what they agree to, in one sentence", required=True),
        Field("within", "duration", "how long they may take", default=600.0, min=1, max=86400.0),
    ),
    results=(
        Field("who", "string", "who agreed"),
        Field("at", "string", "when, in UTC"),
    ),
    observe="It changes nothing; a yes is in the record, with who and when.",
    shadow="Nobody is asked; the question is told.",
    example="""\
- uses: approve
  with:
    prompt: "Have the disks of the dead server been secured?"
    within: 15m             # then it is refused, and nothing was changed
""",
)


def run(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Raises RefusedError where nobody agreed: refused is not failed."""
    from runbook.events import Approved, Waiting
    from runbook.raft.removal import Refusal
    from runbook.steps.context import RefusedError

    prompt = shown(arguments["prompt"])
    if context.dry_run:
        return StepResult(f"would ask: {prompt}", {})
    if context.ask is None:
        raise RefusedError(Refusal("NotApproved", f"nobody can be asked: {prompt}", "Run it at a terminal"))
    seconds = context.left(arguments["within"])
    context.emit(Waiting(context.step, round(seconds, 1), f"an answer to: {prompt}"))
    agreed = context.ask(prompt, seconds)
    context.emit(Approved(context.step, agreed.who, agreed.how))
    return StepResult(f"agreed to by {agreed}", {"who": agreed.who, "at": context.clock.now()})
