"""The spans that the records of a run draw: one of the run, one of each step, one of each attempt. Nothing is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from runbook.report.times import utc

Record = Mapping[str, Any]
RUN = "run"  # the key of the outermost
_OF_THE_RUN = ("cluster", "dry_run")
_OF_A_STEP = ("step", "uses", "effect")
_BEGINNING = datetime(1970, 1, 1, tzinfo=timezone.utc)
_BAD_ENDS = frozenset({"run.failed", "run.refused", "run.interrupted"})


@dataclass(frozen=True)
class SpanBegun:
    """``at`` is in nanoseconds since 1970, as OpenTelemetry counts."""

    key: str
    parent: str
    name: str
    at: int
    attributes: Mapping[str, str | bool | int]


@dataclass(frozen=True)
class SpanEnded:
    """``trouble`` is what went wrong in it; empty where nothing did."""

    key: str
    at: int
    trouble: str = ""


@dataclass
class _StepAtWork:
    """``inside`` is what the places of the steps within it begin with; ``by_items``: it is done item by item. By item,
    or by None: ``since`` when the attempt in hand, how many have ``failed``, and who is ``between`` two.
    """

    inside: str
    has_attempts: bool
    began: int
    by_items: bool = False
    since: dict[int | None, int] = field(default_factory=dict)
    failed: dict[int | None, int] = field(default_factory=dict)
    between: set[int | None] = field(default_factory=set)


class SpanFolding:
    """Folds the records of one process of a run, in their order."""

    def __init__(self, run: str, playbook: str) -> None:
        self._names = {"runbook.run": run, "runbook.playbook": playbook}
        self._has_begun = False
        self._trouble = ""
        self._last = 0
        self._steps: dict[str, _StepAtWork] = {}

    def apply(self, record: Record) -> Iterator[SpanBegun | SpanEnded]:
        """What begins and ends by this record."""
        kind, at = str(record["kind"]), _nanoseconds(str(record["at"]))
        self._last = at
        if not self._has_begun:
            self._has_begun = True
            name = f"{'resume' if kind == 'run.resumed' else 'run'} {self._names['runbook.playbook']}"
            yield SpanBegun(RUN, "", name, at, {**self._names, **_attributes(record, _OF_THE_RUN)})
        if kind in _BAD_ENDS:
            self._trouble = f"{kind.removeprefix('run.')}: {record['message']}"
        if kind == "step.started":
            yield self._begin_step(record, at)
        elif (step := self._steps.get(str(record.get("step", "")))) is not None:
            yield from self._within_step(step, record, at)

    def close(self) -> Iterator[SpanEnded]:
        """What is open at the end: a step is so where the run was interrupted in it."""
        for place in reversed(self._steps):
            yield SpanEnded(place, self._last, "interrupted")
        if self._has_begun:
            yield SpanEnded(RUN, self._last, self._trouble)

    def _begin_step(self, record: Record, at: int) -> SpanBegun:
        place, uses = str(record["step"]), str(record["uses"])
        around = [name for name, step in self._steps.items() if place.startswith(step.inside)]
        inside = place[: max(place.rfind("."), place.rfind("/")) + 1]
        self._steps[place] = _StepAtWork(inside, uses != "block", at)
        return SpanBegun(place, around[-1] if around else RUN, f"step {place}", at, _attributes(record, _OF_A_STEP))

    def _within_step(self, step: _StepAtWork, record: Record, at: int) -> Iterator[SpanBegun | SpanEnded]:
        kind, place, item = str(record["kind"]), str(record["step"]), record.get("item")
        step.by_items = step.by_items or item is not None
        if kind == "attempt.failed":
            yield from self._attempt(step, place, item, at, str(record["message"]))
            step.failed[item] = step.failed.get(item, 0) + 1
            step.since[item] = at
            step.between.add(item)
        elif kind == "step.waiting" and step.between:  # the pause after an attempt that failed
            step.since |= dict.fromkeys(step.between, at + round(float(record["seconds"]) * 1e9))
            step.between.clear()
        elif kind in ("item.completed", "item.failed"):
            yield from self._attempt(step, place, item, at, "" if kind == "item.completed" else str(record["message"]))
            step.since[None] = at
        elif kind in ("step.completed", "step.failed"):
            trouble = "" if kind == "step.completed" else f"{record['outcome']}: {record['message']}"
            if not step.by_items:
                yield from self._attempt(step, place, None, at, trouble)
            del self._steps[place]
            yield SpanEnded(place, at, trouble)

    def _attempt(
        self, step: _StepAtWork, place: str, item: int | None, at: int, trouble: str
    ) -> Iterator[SpanBegun | SpanEnded]:
        """A whole one, unless the last one has failed and none has begun since then."""
        if not step.has_attempts or item in step.between:
            return
        number = step.failed.get(item, 0) + 1
        key = f"{place} {'' if item is None else item} {number}"
        began = step.since.get(item, step.since.get(None, step.began))
        known: dict[str, str | bool | int] = {"runbook.step": place, "runbook.attempt": number}
        if item is not None:
            known["runbook.item"] = item
        yield SpanBegun(key, place, f"attempt {number}", min(began, at), known)
        yield SpanEnded(key, at, trouble)


def _attributes(record: Record, names: tuple[str, ...]) -> dict[str, str | bool | int]:
    return {f"runbook.{name}": record[name] for name in names if name in record}


def _nanoseconds(at: str) -> int:
    return (utc(at) - _BEGINNING) // timedelta(microseconds=1) * 1000
