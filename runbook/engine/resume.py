"""What a run that stopped remembers, folded from its journal: normal running and going on are then the same code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from runbook.clock import Clock
from runbook.progress import RunProgress
from runbook.removals import Removal
from runbook.steps.base import Memory
from runbook.steps.check_quorum import fence_from

NOTHING_YET = RunProgress()


def restored(past: RunProgress, clock: Clock) -> Memory:
    """All that a run remembers but its looks: what was seen before it stopped proves nothing of now.

    Steps inside blocks and playbooks within it count as any other, in the order in which they were done.
    """
    memory = Memory(
        margin_at_start=past.before.margin if past.before else None,
        changes={(change.step, change.item) for change in past.changes},
        gone={removal.peer for removal in past.removals if removal.state in ("gone", "vanished")},
        asked={removal.peer for removal in past.removals if removal.asked_at},
        unsettled={r.peer: clock.monotonic() - _age(r, clock) for r in past.removals if r.unsettled},
        still_listed={removal.peer for removal in past.removals if removal.state == "still_listed"},
        names={removal.peer: removal.name for removal in past.removals},
    )
    for found in _outputs(past, "raft.find_dead"):
        memory.confirm_for, memory.least_looks = float(found["confirm_for"]), int(found["looks"])
    for proven in _outputs(past, "raft.check_quorum"):
        memory.fence = fence_from(proven["fence"])
        memory.names |= {item["id"]: item["name"] for item in proven["removals"]}
    return memory


def _age(removal: Removal, clock: Clock) -> float:
    """Seconds since it was asked for, by the wall clock, as no other outlives a process; none where that is odd."""
    try:
        age = datetime.fromisoformat(clock.now()) - datetime.fromisoformat(removal.asked_at)
    except (ValueError, TypeError):
        return 0.0
    return max(0.0, age.total_seconds())


def _outputs(past: RunProgress, uses: str) -> Iterator[Mapping[str, Any]]:
    """Of every step of this type, those in rounds of a block and in playbooks within this one too."""
    for place, output in past.outputs.items():
        if past.uses.get(place) == uses:
            yield from output.get("results", [output])  # with for_each it has several
