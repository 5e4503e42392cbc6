"""How a person does the steps of a lost quorum: by the one plan that has the commands for each host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runbook.by_hand import HandView, Instruction


def follow_plan(view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:  # noqa: ARG001 - all is in the plan
    """It is printed, and kept by a run that has made it."""
    from runbook.by_hand import Instruction, in_words

    kept = f" A run that has made it keeps it as recovery-plan.txt in {in_words(view.folder)}." if view.folder else ""
    yield Instruction(
        f"Follow the plan that this prints: it has the commands for each host, and says when to do nothing.{kept}",
        ("runbook recover plan",),
    )
