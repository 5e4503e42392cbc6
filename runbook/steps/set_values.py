"""``set``: a name for a value that several steps need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import StepResult

if TYPE_CHECKING:
    from runbook.steps.context import StepContext

DECLARATION = StepDeclaration(
    "set",
    "Give names to values, so that an expression is written once.",
    Effect.READ,
    parameters=(Field("values", "map", "the values by name", required=True),),
    results=(Field("values", "map", "the same values, worked out"),),
    observe="It changes nothing.",
    shadow="It is done as in a real run.",
    example="""\
- id: before
  uses: raft.snapshot
- id: limits
  uses: set
  with:
    values:
      spare: "${{ before.voters - before.quorum }}"   # from here on limits.values.spare
- uses: log.message
  with: { text: "${{ limits.values.spare }} of ${{ before.voters }} may fail" }
""",
)


def run(_context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Their names are told, and not the values: one may be a secret in a form that no redaction knows."""
    return StepResult(f"named {', '.join(arguments['values']) or 'nothing'}", {"values": dict(arguments["values"])})
