"""``assert``: what must hold before the playbook goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runbook.playbook.expressions.model import UNKNOWN
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import StepResult
from runbook.steps.shown import shown
from runbook.steps.trouble import unexpected

if TYPE_CHECKING:
    from runbook.steps.context import StepContext

DECLARATION = StepDeclaration(
    "assert",
    "Go on only if this holds; else fail with your own words.",
    Effect.READ,
    parameters=(
        Field("that", "bool", "an expression in ${{ }} that is true or false", required=True),
        Field("else", "string", "what to tell where it is false", required=True),
    ),
    observe="It changes nothing.",
    shadow="It is held as in a real run; what is not known yet is told and does not fail.",
    example="""\
- id: before
  uses: raft.snapshot
- uses: assert
  with:
    that: "${{ before.voters >= 3 }}"     # with ${{ }}, or it would be a text
    else: "a cluster of ${{ before.voters }} cannot lose a server"
""",
)


def run(_context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Raises StepError with the playbook's words where it is not so."""
    if arguments["that"] is UNKNOWN:
        return StepResult("not known yet", {})
    if arguments["that"] is not True:
        raise unexpected(shown(arguments["else"]))
    return StepResult("it is so", {})
