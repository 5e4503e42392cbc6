"""``log.message``: a sentence of the playbook's own in the record, the log and on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import StepResult
from runbook.steps.shown import beginning, shown

if TYPE_CHECKING:
    from runbook.steps.context import StepContext

LIMIT = 4000  # characters

DECLARATION = StepDeclaration(
    "log.message",
    "Say something to whoever reads along, now or in the record.",
    Effect.READ,
    parameters=(Field("text", "string", "what to say, at most 4,000 characters of it", required=True),),
    observe="It changes nothing.",
    shadow="It is said as in a real run.",
    example="""\
- uses: log.message
  with:
    text: "${{ run.name }}: call the storage team before you go on"   # text and values mix
""",
)


def run(_context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """The text is the step's message, from which log, screen and report are drawn."""
    return StepResult(beginning(shown(arguments["text"]), LIMIT), {})
