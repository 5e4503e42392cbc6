"""What becomes of the items of a ``for_each``, all together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runbook.engine.outcome import Failure, StoppedError
from runbook.engine.scope import Item, name_of
from runbook.engine.step_rounds import StepDone
from runbook.playbook.model import StepSpec
from runbook.raft.diagnosis.findings import format_count
from runbook.run_state import RunState

End = StepDone | Failure
"""How one item ended."""
MOST_TOLD = 5  # items that failed, with why: more is in the record


class ItemsFailedError(StoppedError):
    """Some items have failed, and the rest was done all the same: ``done`` is what it gave."""

    def __init__(self, failure: Failure, done: StepDone) -> None:
        super().__init__(failure)
        self.done = done


def ended_before(state: RunState, place: str) -> dict[int, End]:
    """The items of which an earlier process has seen the end, by their numbers, which count from 1."""
    ends: dict[int, End] = {
        number + 1: StepDone(str(record["message"]), dict(record["output"]))
        for number, record in state.items.get(place, {}).items()
    }
    for number, record in state.failed_items.get(place, {}).items():
        ends[number + 1] = Failure("failed", place, str(record["code"]), str(record["message"]))
    return ends


def all_together(spec: StepSpec, place: str, items: Sequence[Item], ends: Mapping[int, End]) -> StepDone:
    """In the order of the items. Raises :class:`ItemsFailedError` where some of them have failed."""
    results: list[Any] = []
    failed: list[dict[str, Any]] = []
    done: list[StepDone] = []
    code = ""
    for item in items:
        end = ends[item[0]]
        if isinstance(end, StepDone):
            results.append(end.output)
            done.append(end)
        else:
            results.append(None)
            failed.append({"index": item[0], "item": name_of(item), "error": end.message})
            code = code or end.code
    message = "\n".join(each.message for each in done)
    if spec.steps:
        message = f"{format_count(len(items), 'round')} of {format_count(len(spec.steps), 'step')}"
    output: dict[str, Any] = {"results": results, "count": len(results)}
    output |= {"failed": failed} if spec.continue_on_failure else {}
    whole = StepDone(message, output, "\n".join(each.undo for each in done if each.undo))
    if failed:
        raise ItemsFailedError(Failure("failed", place, code, _told(failed, len(items))), whole)
    return whole


def _told(failed: Sequence[Mapping[str, Any]], of: int) -> str:
    told = "; ".join(f"{each['item']}: {each['error']}" for each in failed[:MOST_TOLD])
    more = f"; and {len(failed) - MOST_TOLD} more" if len(failed) > MOST_TOLD else ""
    return f"{len(failed)} of {format_count(of, 'item')} failed: {told}{more}"
