"""``playbook.run``: another playbook, its steps in this run's record."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.shipped_playbooks import NoPlaybookError, located
from runbook.steps.trouble import unexpected

if TYPE_CHECKING:
    pass

DEPTH = 4  # playbooks within each other: more than anybody can follow at night

DECLARATION = StepDeclaration(
    "playbook.run",
    "Run another playbook to its end, its steps in the same record and under the same guards.",
    Effect.UNKNOWN,
    parameters=(
        Field(
            "playbook",
            "path",
            "a file (a relative path begins in this playbook's folder), or the name of a shipped one",
            required=True,
        ),
        Field("params", "map", "its params by name"),
    ),
    results=(Field("outcome", "string", "how it ended, in its own words"),),
    observe="Each of its steps tells for itself.",
    shadow="It is run as a dry run, step by step.",
    example="""\
- uses: playbook.run
  effect: read              # it holds no step that changes anything
  with:
    playbook: health-check         # shipped; or a file beside this one, which may not run this one in turn
""",
)


def refuse_recursion(running: tuple[str, ...], path: str) -> str:
    """The absolute path of the playbook meant, which is none of the ``running`` ones, the outermost first."""
    folder = Path(running[-1]).parent if running else Path()
    try:
        target = Path(located(path, str(folder))).resolve()
    except NoPlaybookError as error:
        raise unexpected(str(error)) from None
    chain = [Path(one).resolve() for one in running]
    if target in chain:
        told = " runs ".join(one.name for one in (*chain[chain.index(target) :], target))
        raise unexpected(f"{target} would run itself: {told}", "Take one of them out")
    if len(chain) >= DEPTH:
        raise unexpected(f"{target} would be number {len(chain) + 1} within each other, and {DEPTH} is the most")
    return str(target)
