"""What stands at the end of a dry run: what would be done, how the cluster would be then, and what is not foreseen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runbook.report.times import format_seconds
from runbook.run_state import RunState

MOST_TOLD = 10  # steps that are not foreseen, each with why: more is in the record


def would_do(progress: RunState) -> Iterator[tuple[str, str]]:
    """Changes that are no removal, by the steps that would make them."""
    steps = dict.fromkeys(change.step for change in progress.changes)
    if steps:
        yield "would run", ", ".join(steps)


def foreseen(progress: RunState) -> Iterator[tuple[str, str]]:
    """Each line as its label and its text; nothing where the dry run did not come to its end."""
    told = progress.foreseen
    if told is None:
        return
    yield from _configuration(told)
    yield "would take", _duration(told)
    for what, answer in told["asked"].items():
        yield f"asked: {what}", str(answer)
    counts = {label: int(told["counts"].get(label, 0)) for label in ("live", "simulated", "unknown")}
    total = sum(counts.values())
    share = f" ({100 * counts['unknown'] / total:.0f} %)" if total else ""
    yield "steps", ", ".join(f"{number} {label}" for label, number in counts.items()) + share
    unknown = list(told["unknown"].items())
    for step, why in unknown[:MOST_TOLD]:
        yield "not foreseen", f"{step}: {why}"
    if len(unknown) > MOST_TOLD:
        yield "not foreseen", f"and {len(unknown) - MOST_TOLD} more steps, which are in the record"


def _configuration(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    peers = [peer for peer in told["peers"] if isinstance(peer, Mapping)]
    if not peers:
        return
    names = sorted(f"{peer.get('name')}{'' if peer.get('voter') else ' (no voter)'}" for peer in peers)
    yield "would list", ", ".join(names)


def _duration(told: Mapping[str, Any]) -> str:
    waits = float(told["waits"])
    more = f", and up to {format_seconds(waits)} more for what only the world can bring" if waits else ""
    return f"about {format_seconds(float(told['seconds']))}{more}"
