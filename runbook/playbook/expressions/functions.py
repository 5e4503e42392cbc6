"""The functions that an expression may call: pure, on plain data, with limits; UNKNOWN flows through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from runbook.errors import ExpressionError
from runbook.playbook.diagnostics import describe_value
from runbook.playbook.expressions import text_functions as text
from runbook.playbook.expressions.model import UNKNOWN
from runbook.playbook.expressions.operators import (
    arithmetic,
    asked,
    conjunction,
    disjunction,
    equal,
    member,
)
from runbook.playbook.types import is_number


class Function(NamedTuple):
    """A function, and what is known at load of its arguments and its value.

    ``takes`` has a word for each argument: ``list``, ``text``, ``number or text``, ``countable`` (a list, a mapping or
    a text) or ``any``. The first ``least`` must be given; with ``more`` the last may stand any number of times.
    ``gives`` is a type of :class:`Field`, or ``strings``, ``item`` (of the list it takes), ``same`` (as the list it
    takes).
    """

    call: Callable[..., Any]
    takes: tuple[str, ...]
    gives: str
    summary: str
    least: int = 1
    more: bool = False

    def describe_arguments(self) -> str:
        """How many it takes, in words."""
        if self.more:
            return "one argument or more" if self.least == 1 else f"{self.least} arguments or more"
        most = len(self.takes)
        if self.least == most:
            return "one argument" if most == 1 else f"{most} arguments"
        return f"{self.least} or {most} arguments"

    def can_take(self, count: int) -> bool:
        """Whether it can be called with so many arguments."""
        return count >= self.least and (self.more or count <= len(self.takes))


def _len(value: Any) -> Any:
    if value is UNKNOWN:
        return UNKNOWN
    if isinstance(value, str | list | tuple | Mapping):
        return len(value)
    raise ExpressionError(f"len needs a list, a mapping or a string, not {describe_value(value)}")


def _truth_of_all(name: str, decide: Callable[[Iterable[Any]], Any]) -> Callable[[Any], Any]:
    """``any`` and ``all``: True, False or UNKNOWN, never an item."""

    def decided(value: Any) -> Any:
        answer = UNKNOWN if value is UNKNOWN else decide(map(asked, _items(name, value)))
        return answer if answer is UNKNOWN else bool(answer)

    return decided


def _extreme(name: str, choose: Callable[[Any], Any]) -> Callable[..., Any]:
    """``min`` and ``max``, of one list or of several arguments."""

    def extreme(*values: Any) -> Any:
        candidates: Any = values[0] if len(values) == 1 else list(values)
        if candidates is UNKNOWN:
            return UNKNOWN
        items = _items(name, candidates)
        if not items:
            raise ExpressionError(f"{name} of an empty list")
        return _ordered(name, items, choose)

    return extreme


def _sorted(value: Any) -> Any:
    return UNKNOWN if value is UNKNOWN else _ordered("sorted", _items("sorted", value), sorted)


def _sum(value: Any) -> Any:
    total: Any = 0
    for item in () if value is UNKNOWN else _items("sum", value):
        if item is not UNKNOWN and not is_number(item):
            raise ExpressionError(f"sum needs only numbers, not {describe_value(item)}")
        total = _add(total, item)
    return UNKNOWN if value is UNKNOWN else total


_add = arithmetic("+", lambda one, other: one + other)


def _unique(value: Any) -> Any:
    """In the order in which they first stand there."""
    if value is UNKNOWN:
        return UNKNOWN
    found: list[Any] = []
    for item in _items("unique", value):
        there = disjunction(equal(item, other) for other in found)
        if there is UNKNOWN:
            return UNKNOWN
        found += [] if there else [item]
        if len(found) > MOST_COMPARED:
            raise ExpressionError(f"unique of more than {MOST_COMPARED:,} different items")
    return found


MOST_COMPARED = 1000
"""Items that ``unique`` compares with each other; their number squared is its work."""


def _map(value: Any, key: Any) -> Any:
    return UNKNOWN if value is UNKNOWN else [member(item, key) for item in _items("map", value)]


def _default(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value


def _items(name: str, value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    raise ExpressionError(f"{name} needs a list, not {describe_value(value)}")


def _ordered(name: str, items: list[Any], choose: Callable[[Any], Any]) -> Any:
    """What ``choose`` makes of items that have an order."""
    if any(item is UNKNOWN for item in items):
        return UNKNOWN
    if all(is_number(item) for item in items) or all(isinstance(item, str) for item in items):
        return choose(items)
    raise ExpressionError(f"{name} needs only numbers, or only strings")


DEFAULT = "default"
"""Its first argument may read what is not there; so it is computed by itself, and not as an argument."""

FUNCTIONS: Mapping[str, Function] = {
    "len": Function(_len, ("countable",), "int", "how many items, keys or characters"),
    "any": Function(_truth_of_all("any", disjunction), ("list",), "bool", "whether one of them is so"),
    "all": Function(_truth_of_all("all", conjunction), ("list",), "bool", "whether each of them is so"),
    "min": Function(_extreme("min", min), ("any",), "item", "the smallest, of a list or of the arguments", more=True),
    "max": Function(_extreme("max", max), ("any",), "item", "the largest, in the same way", more=True),
    "sum": Function(_sum, ("list",), "any", "of the numbers of a list; 0 where it is empty"),
    "sorted": Function(_sorted, ("list",), "same", "numbers, or texts, in their order"),
    "unique": Function(_unique, ("list",), "same", "each one once, in the order in which they first stand there"),
    "map": Function(_map, ("list", "text"), "list", 'what each item has under a key: `map(dead.peers, "name")`', 2),
    "default": Function(_default, ("any", "any"), "any", "the second where the first is null or is not there", 2),
    "trim": Function(text.trim, ("text",), "string", "without white space on both sides"),
    "lines": Function(text.lines, ("text",), "strings", "the lines of a text"),
    "split": Function(text.split, ("text", "text"), "strings", "the parts between white space, or between a text"),
    "join": Function(
        text.join, ("list", "text"), "string", "texts and numbers in one text, with `, ` or a text between"
    ),
    "lower": Function(text.lower, ("text",), "string", "in lower case"),
    "upper": Function(text.upper, ("text",), "string", "in upper case"),
    "replace": Function(text.replace, ("text", "text", "text"), "string", "with the third for each of the second", 3),
    "startswith": Function(text.startswith, ("text", "text"), "bool", "whether it begins with a text", 2),
    "endswith": Function(text.endswith, ("text", "text"), "bool", "whether it ends with a text", 2),
    "json": Function(text.from_json, ("text",), "any", "the data that a JSON text holds"),
    "to_json": Function(text.to_json, ("any",), "string", "data as JSON text"),
    "quote": Function(text.quote, ("any",), "string", "one word for a shell; of a list, its items as words"),
    "int": Function(text.to_int, ("number or text",), "int", "the whole number that a text holds"),
    "float": Function(text.to_float, ("number or text",), "float", "the number that a text holds"),
    "str": Function(text.to_text, ("any",), "string", "a value as text, as inside a text"),
}
"""Each by the name under which an expression calls it."""
