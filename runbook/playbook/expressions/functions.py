"""The functions that an expression may call: pure, on plain data; UNKNOWN flows through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from runbook.errors import ExpressionError
from runbook.playbook.diagnostics import describe_value
from runbook.playbook.expressions.model import UNKNOWN
from runbook.playbook.expressions.operators import conjunction, disjunction, member
from runbook.playbook.types import is_number


class Function(NamedTuple):
    """A function, and how many arguments it takes (None: one or more)."""

    call: Callable[..., Any]
    arguments: int | None


def _len(value: Any) -> Any:
    if value is UNKNOWN:
        return UNKNOWN
    if isinstance(value, str | list | tuple | Mapping):
        return len(value)
    raise ExpressionError(f"len needs a list, a mapping or a string, not {describe_value(value)}")


def _truth_of_all(name: str, decide: Callable[[Iterable[Any]], Any]) -> Callable[[Any], Any]:
    """``any`` and ``all``: True, False or UNKNOWN, never an item."""

    def decided(value: Any) -> Any:
        answer = UNKNOWN if value is UNKNOWN else decide(_items(name, value))
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


def _map(value: Any, key: Any) -> Any:
    """``map(dead.peers, "name")``: what each item of a list has under a key."""
    return UNKNOWN if value is UNKNOWN else [member(item, key) for item in _items("map", value)]


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


FUNCTIONS: Mapping[str, Function] = {
    "len": Function(_len, 1),
    "any": Function(_truth_of_all("any", disjunction), 1),
    "all": Function(_truth_of_all("all", conjunction), 1),
    "min": Function(_extreme("min", min), None),
    "max": Function(_extreme("max", max), None),
    "sorted": Function(_sorted, 1),
    "map": Function(_map, 2),
}
"""Each by the name under which an expression calls it."""
