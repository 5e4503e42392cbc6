"""Which event may follow which: the states of a run and of a step, as tables."""

from __future__ import annotations

from collections.abc import Mapping

from runbook.dataclass import dataclass
from runbook.errors import TransitionError

Table = Mapping[tuple[str, str], str]

RUN: Table = {
    ("new", "run.started"): "running",
    ("running", "run.completed"): "completed",
    ("running", "run.refused"): "refused",
    ("running", "run.failed"): "failed",
    ("running", "run.interrupted"): "interrupted",
    ("running", "run.resumed"): "running",  # the process had died without an ending
    ("running", "run.acknowledged"): "running",  # and nobody goes on with it
    ("refused", "run.resumed"): "running",
    ("failed", "run.resumed"): "running",
    ("interrupted", "run.resumed"): "running",
    ("completed", "run.acknowledged"): "completed",
    ("refused", "run.acknowledged"): "refused",
    ("failed", "run.acknowledged"): "failed",
    ("interrupted", "run.acknowledged"): "interrupted",
}
ENDED = frozenset({"completed", "refused", "failed", "interrupted"})
OUTCOMES = frozenset({"failed", "refused", "interrupted"})  # what a step.failed event may say
STEP: Table = {
    ("new", "step.started"): "running",
    ("new", "step.skipped"): "skipped",
    ("running", "step.completed"): "succeeded",
    ("running", "failed"): "failed",
    ("running", "refused"): "refused",
    ("running", "interrupted"): "interrupted",
    ("running", "step.started"): "running",  # once more, by a resumed run
    ("failed", "step.started"): "running",
    ("refused", "step.started"): "running",
    ("interrupted", "step.started"): "running",
    ("running", "step.skipped"): "skipped",
    ("failed", "step.skipped"): "skipped",
    ("refused", "step.skipped"): "skipped",
    ("interrupted", "step.skipped"): "skipped",
    ("skipped", "step.started"): "running",
    ("succeeded", "step.started"): "running",  # once more, for a removal inside that may yet be done
}


@dataclass(frozen=True)
class StepEnd:
    """How a step ended: ``outcome`` is succeeded, failed, refused, skipped or interrupted.

    ``generation`` counts how often the run had been resumed then: it is in the places of the step's handlers.
    """

    outcome: str
    generation: int
    message: str = ""
    code: str = ""


def next_state(table: Table, state: str, kind: str) -> str:
    """Raises :class:`TransitionError`."""
    try:
        return table[state, kind]
    except KeyError:
        raise TransitionError(f"{kind} cannot follow {state}") from None
