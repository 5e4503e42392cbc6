"""Changes of which only their own end tells, as a command or a request: their events, and what became of each.

Removals have events of their own, as a look can tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from runbook.dataclass import dataclass
from runbook.events import Event

Key = tuple[str, "int | None"]  # a step's place, and the item of its for_each, as in item.completed

CHANGE: Mapping[tuple[str, str], str] = {
    ("new", "change.begun"): "begun",
    ("new", "change.would_begin"): "foretold",
    ("foretold", "change.would_begin"): "foretold",
    ("begun", "change.begun"): "begun",  # another attempt, or another round of until
    ("begun", "attempt.failed"): "ended",
    ("begun", "step.failed"): "ended",
    ("begun", "completed"): "ended",
    ("begun", "change.unsettled"): "unsettled",
    ("unsettled", "change.begun"): "unsettled",  # the attempt after it does not tell what became of it
    ("unsettled", "change.unsettled"): "unsettled",
    ("unsettled", "completed"): "ended",
    ("ended", "change.begun"): "begun",
    ("begun", "done"): "done",
    ("unsettled", "done"): "done",
    ("begun", "again"): "again",
    ("unsettled", "again"): "again",
    ("again", "change.begun"): "begun",
}
OPEN = ("begun", "unsettled")
TOLD_BY_A_LOOK = frozenset({"raft.transfer_leadership"})  # by step type: changes of which no person need be asked
ANSWERS = ("done", "again", "stop")  # what a person may say of a change whose end was not seen; stop settles nothing


@dataclass(frozen=True, eq=False, repr=False)
class ChangeBegun(Event):
    """The intent of a change of which only its own end tells, for each attempt: on disk before it is made.

    ``item`` counts from 0, as in ``item.completed``; it is None where the step has no ``for_each``.
    """

    kind = "change.begun"
    step: str
    item: int | None
    uses: str


@dataclass(frozen=True, eq=False, repr=False)
class ChangeWouldBegin(Event):
    """A dry run stops here."""

    kind = "change.would_begin"
    step: str
    item: int | None
    uses: str


@dataclass(frozen=True, eq=False, repr=False)
class ChangeUnsettled(Event):
    """It was cut off, or its answer was lost: what it did is not known, and no later attempt tells."""

    kind = "change.unsettled"
    step: str
    item: int | None
    message: str


@dataclass(frozen=True, eq=False, repr=False)
class ChangeAnswered(Event):
    """The word of the person who goes on with the run, on a change whose end nobody saw: done, again or stop.

    ``how`` they gave it: at the terminal, or by --answer.
    """

    kind = "change.answered"
    step: str
    item: int | None
    answer: str
    how: str


@dataclass(frozen=True)
class Change:
    """One change of a run, however many attempts it took. ``state`` is of the table; ``done`` and ``again`` are words
    of a person.
    """

    step: str
    item: int | None
    uses: str
    at: str
    state: str = "new"

    @property
    def name(self) -> str:
        """As a person types it: ``restart.2`` is the second item of the step ``restart``."""
        return self.step if self.item is None else f"{self.step}.{self.item + 1}"

    @property
    def open(self) -> bool:
        """Begun, and nobody knows whether it was done."""
        return self.state in OPEN


class ChangesFolding:
    """Takes the events of one run in their order. Raises KeyError for one that cannot follow."""

    def __init__(self) -> None:
        self._changes: dict[Key, Change] = {}
        self._order: dict[Key, int] = {}
        self._started: dict[str, int] = {}
        self._count = 0

    def changes(self) -> tuple[Change, ...]:
        """In the order in which they were first begun."""
        return tuple(self._changes.values())

    def take(self, event: Mapping[str, Any]) -> None:
        kind, step = str(event["kind"]), str(event.get("step", ""))
        self._count += 1
        if kind == "step.started":
            self._started[step] = self._count
        elif kind in ("change.begun", "change.would_begin"):
            self._begin((step, event["item"]), event)
        elif kind == "change.unsettled":
            self._move((step, event["item"]), kind)
        elif kind == "change.answered" and event["answer"] != "stop":
            self._move((step, event["item"]), str(event["answer"]))
        elif kind == "item.completed":
            self._end((step, int(event["item"])), "completed")
        elif kind == "item.failed":
            self._pass(0, step, int(event["item"]))
        elif kind in ("step.completed", "step.failed", "attempt.failed"):
            item = event.get("item")  # of an attempt: what runs beside it is not over
            for key in [key for key in self._changes if key[0] == step and item in (None, key[1])]:
                self._end(key, "completed" if kind == "step.completed" else kind)
            if event.get("goes_on"):
                self._pass(self._started.get(step, 0), step)

    def _begin(self, key: Key, event: Mapping[str, Any]) -> None:
        kind = str(event["kind"])
        new = Change(*key, str(event["uses"]), str(event.get("at", "")))
        self._changes[key] = self._changes.get(key, new)
        self._order[key] = self._count
        self._move(key, kind)

    def _move(self, key: Key, kind: str) -> None:
        change = self._changes[key]
        self._changes[key] = replace(change, state=CHANGE[change.state, kind])

    def _end(self, key: Key, kind: str) -> None:
        """The step is over: news only of what was begun."""
        change = self._changes.get(key)
        if change is not None:
            self._changes[key] = replace(change, state=CHANGE.get((change.state, kind), change.state))

    def _pass(self, since: int, step: str, item: int | None = None) -> None:
        """The run goes on past a step that failed, or one item of it: nothing in it is done again, so nobody need be
        asked. What runs beside it, in another round, is not over.
        """
        beside = step[: max(step.rfind("."), step.rfind("/")) + 1]
        for key, change in self._changes.items():
            inside = key[0].startswith(beside) if item is None else is_of_item(key, step, item)
            if change.open and inside and self._order[key] > since:
                self._changes[key] = replace(change, state="ended")


def is_of_item(key: Key, step: str, item: int) -> bool:
    """Whether this change was made for that item of the step, by itself or by the steps of its block."""
    return key == (step, item) or key[0].startswith(f"{step}.{item + 1}.")
