"""What an expression may name where it stands, and of which type: found out at load, from top to bottom."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from runbook.playbook.expressions.functions import FUNCTIONS
from runbook.playbook.expressions.model import CONSTANTS, OUTCOME, Expression
from runbook.playbook.expressions.static_types import INT, STRING, StaticType

RUN_OUTCOMES = ("success", "failed", "refused", "interrupted")
_RUN_FIELDS = dict.fromkeys(("id", "name", "folder", "started_at", "date"), STRING)
RUN = StaticType("map", _RUN_FIELDS, origin="run")
ENDED_RUN = StaticType(
    "map",
    {**_RUN_FIELDS, "outcome": StaticType("string", choices=RUN_OUTCOMES), "failed_step": STRING, "error": STRING},
    origin="run",
)
LOOP = StaticType("map", {"index": INT}, origin="loop")
OUTCOMES = ("success", "skipped", "failed", "not_run")
"""What ``outcome(ID)`` can be."""
RESERVED = frozenset(
    {"params", "run", "steps", "item", "loop", "result", "secrets", "outcomes", OUTCOME, *CONSTANTS, *FUNCTIONS}
)
"""Names with a meaning of their own in expressions, so that no step may have them as its id."""
NO_ITEM = '"item" exists only inside a step with for_each'


class MissingResult(NamedTuple):
    """Why a step may have no result. ``condition`` is its ``if``, where nothing else can keep it from having one."""

    why: str
    condition: str | None = None


class _Override(AbstractContextManager[None]):
    """A context manager without a generator: a file has ten thousand of them."""

    def __init__(self, attributes: dict[str, Any], changes: dict[str, Any]) -> None:
        self._attributes = attributes
        self._changes = changes
        self._before = {name: attributes[name] for name in changes}

    def __enter__(self) -> None:
        self._attributes.update(self._changes)

    def __exit__(self, *_error: object) -> None:
        self._attributes.update(self._before)


@dataclass
class StaticScope:
    """The names that mean something at the place that is being read. Reading the playbook changes it step by step.

    Attributes:
        params: the type of each param.
        secrets: the declared names.
        used_params, used_secrets: what some expression reads.
        steps: the type of the result of each step that has one here.
        later: the line of each step that comes further down.
        shared: names that several steps without an id would have, with their lines: none of these can be read.
        closed: ids inside blocks and handlers that are over, each with where it was known.
        missing: why a step may have no result.
        asked: the steps whose outcome is asked for by an ``if`` around this place.
        conditions: the text of each ``if`` around this place.
        enclosing: ids of the steps around this place, the one that is being read last.
        run, item, result: the types of these names; item and result are None where they do not exist.
        no_item: why there is no ``item`` here.
        bound: the types of the names that the ``for ... in`` around this place gives.
        visible_place: where this value is shown or recorded, so that it may hold no secret.
        size: parts of all expressions so far.
    """

    params: Mapping[str, StaticType]
    secrets: frozenset[str] = frozenset()
    used_params: set[str] = field(default_factory=set)
    used_secrets: set[str] = field(default_factory=set)
    steps: dict[str, StaticType] = field(default_factory=dict)
    later: dict[str, int] = field(default_factory=dict)
    shared: dict[str, list[int]] = field(default_factory=dict)
    closed: dict[str, str] = field(default_factory=dict)
    missing: dict[str, MissingResult] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()
    conditions: tuple[str, ...] = ()
    enclosing: tuple[str, ...] = ()
    run: StaticType = RUN
    item: StaticType | None = None
    no_item: str = NO_ITEM
    bound: Mapping[str, StaticType] = field(default_factory=dict)
    result: StaticType | None = None
    visible_place: str | None = None
    size: int = 0

    def keywords(self) -> tuple[str, ...]:
        """The names of the language that mean something here."""
        inside = ("item", "loop") if self.item is not None else ()
        result = ("result",) if self.result is not None else ()
        return ("params", "run", *(("secrets",) if self.secrets else ()), *inside, *result)

    def knows(self, name: str) -> bool:
        """Whether ``name`` means something here."""
        return name in self.steps or name in self.keywords()

    def use_mentioned(self, text: str) -> None:
        """Count what an unreadable expression mentions as used, so that one error is not reported twice."""
        mentioned = set(re.findall(r"\w+", text))
        self.used_params |= mentioned & set(self.params)
        self.used_secrets |= mentioned & self.secrets

    def why_missing(self, step_id: str) -> str | None:
        """Why the step may have no result here, where nothing has asked for its outcome."""
        missing = self.missing.get(step_id)
        if missing is None or step_id in self.asked or missing.condition in self.conditions:
            return None
        return missing.why

    def override(self, **attributes: Any) -> AbstractContextManager[None]:
        """These attributes are others for a while."""
        return _Override(vars(self), attributes)

    def under_condition(self, condition: Expression | None) -> AbstractContextManager[None]:
        """Inside a step with this ``if``: what it asked for need not be asked again."""
        if condition is None:
            return nullcontext()
        return self.override(asked=self.asked | condition.outcomes, conditions=(*self.conditions, condition.text))

    @contextmanager
    def in_handler(self, before: Iterable[str], why: str) -> Iterator[None]:
        """Inside handlers: ``run`` says how it ended, and the steps ``before`` may not have been reached."""
        self.missing.update(dict.fromkeys(before, MissingResult(why)))
        with self.override(run=ENDED_RUN):
            yield

    def close(self, ids: Iterable[str], where: str) -> dict[str, StaticType]:
        """Take the results of these steps out of sight, as the block ``where`` is over; gives their types."""
        taken = {step_id: self.steps.pop(step_id) for step_id in ids if step_id in self.steps}
        self.closed |= dict.fromkeys(taken, where)
        for step_id in taken:
            self.missing.pop(step_id, None)
        return taken
