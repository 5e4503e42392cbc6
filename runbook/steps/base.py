"""What a step type is: its declaration, its body, and what the body gives back. Light, as ``validate`` loads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from runbook.dataclass import dataclass

if TYPE_CHECKING:
    from runbook.by_hand import HandView, Instruction
    from runbook.label import Label
    from runbook.playbook.model import StepDeclaration
    from runbook.steps.context import StepContext

PEER_FIELDS = ("id", "address", "name", "voter")
"""What every list of peers says of each."""
Output = dict[str, Any]
Body = Callable[["StepContext", "dict[str, Any]"], "StepResult"]
ByHand = Callable[["HandView", "dict[str, Any]"], "Iterable[Instruction]"]
"""How a person does what a step does: of its arguments, in which a text in angle brackets is known only live."""


@dataclass(frozen=True)
class StepResult:
    """How a step ended well: the sentence that log, screen and report show, and the data that later steps read.

    ``output`` is plain data (texts, numbers, lists, maps). It is on record, so no secret is in it.

    In a dry run ``label`` says where it is from, if that is another place than where the run is: UNKNOWN where the step
    was not done, and then whatever ``output`` does not hold is known to nobody. ``waits`` are the seconds at most for
    which a real run would wait there for what only the world can bring.
    """

    message: str
    output: Output
    label: Label | None = None
    waits: float = 0.0


@dataclass(frozen=True)
class Step:
    """One step type of ours.

    ``body`` imports what only a run needs when it is called. A playbook within a playbook has none: the engine runs it.
    """

    declaration: StepDeclaration
    body: Body | None
    by_hand: ByHand
