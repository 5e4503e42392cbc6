"""What an expression may name where it stands. Reading a playbook from top to bottom changes it step by step."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from runbook.playbook.model import Expression
from runbook.playbook.shapes import INT, STRING, Shape

RUN_OUTCOMES = ("success", "failed", "refused", "interrupted")
RUN = Shape("map", {"id": STRING, "name": STRING}, origin="run")
ENDED_RUN = Shape(
    "map",
    {"id": STRING, "name": STRING, "outcome": Shape("string", choices=RUN_OUTCOMES)}
    | {"failed_step": STRING, "error": STRING},
    origin="run",
)
LOOP = Shape("map", {"index": INT}, origin="loop")

NO_ITEM = '"item" exists only inside a step with for_each'


class Absence(NamedTuple):
    """Why a step may have no result. ``condition`` is its ``if``, where nothing else can keep it from having one."""

    why: str
    condition: str | None = None


class _Changed(AbstractContextManager[None]):
    """A context manager without a generator: a file has ten thousand of them."""

    def __init__(self, attributes: dict[str, Any], names: dict[str, Any]) -> None:
        self._attributes = attributes
        self._names = names
        self._before = {name: attributes[name] for name in names}

    def __enter__(self) -> None:
        self._attributes.update(self._names)

    def __exit__(self, *_error: object) -> None:
        self._attributes.update(self._before)


@dataclass
class Environment:
    """``used`` and ``used_secrets`` collect what some expression reads.

    ``own`` is the step that is being read, after those around it; ``place`` names the value that is, if it may hold no
    secret. ``closed`` holds the ids inside blocks and handlers that are over, each with where it was known.
    """

    params: Mapping[str, Shape]
    secrets: frozenset[str] = frozenset()
    used: set[str] = field(default_factory=set)
    used_secrets: set[str] = field(default_factory=set)
    steps: dict[str, Shape] = field(default_factory=dict)
    later: dict[str, int] = field(default_factory=dict)
    closed: dict[str, str] = field(default_factory=dict)
    absent: dict[str, Absence] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()
    conditions: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    run: Shape = RUN
    item: Shape | None = None
    no_item: str = NO_ITEM
    result: Shape | None = None
    place: str | None = None
    parts: int = 0

    def words(self) -> tuple[str, ...]:
        """The names of the language that mean something here."""
        inside = ("item", "loop") if self.item is not None else ()
        result = ("result",) if self.result is not None else ()
        return ("params", "run", *(("secrets",) if self.secrets else ()), *inside, *result)

    def names(self) -> list[str]:
        """Every name that means something here."""
        return [*self.words(), *self.steps]

    def knows(self, name: str) -> bool:
        """Whether ``name`` means something here."""
        return name in self.steps or name in self.words()

    def use_mentioned(self, text: str) -> None:
        """Count what an unreadable expression mentions as used, so that one fault is not told twice."""
        words = set(re.findall(r"\w+", text))
        self.used |= words & set(self.params)
        self.used_secrets |= words & self.secrets

    def absence(self, step_id: str) -> str | None:
        """Why the step may have no result where we stand, and nothing has asked for its outcome."""
        absence = self.absent.get(step_id)
        if absence is None or step_id in self.asked or absence.condition in self.conditions:
            return None
        return absence.why

    def changed(self, **names: Any) -> AbstractContextManager[None]:
        """These attributes are others for a while."""
        return _Changed(vars(self), names)

    def given(self, condition: Expression | None) -> AbstractContextManager[None]:
        """Inside a step with this ``if``: what it asked for need not be asked again."""
        if condition is None:
            return nullcontext()
        return self.changed(asked=self.asked | condition.asks, conditions=(*self.conditions, condition.text))

    @contextmanager
    def ended(self, ids: Iterable[str], why: str) -> Iterator[None]:
        """Inside handlers: ``run`` says how it ended, and the steps ``ids`` may not have been reached."""
        self.absent.update(dict.fromkeys(ids, Absence(why)))
        with self.changed(run=ENDED_RUN):
            yield

    def close(self, ids: Iterable[str], where: str) -> dict[str, Shape]:
        """Take the results of the steps ``ids`` out of sight; gives them."""
        taken = {step_id: self.steps.pop(step_id) for step_id in ids if step_id in self.steps}
        self.closed |= dict.fromkeys(taken, where)
        for step_id in taken:
            self.absent.pop(step_id, None)
        return taken
