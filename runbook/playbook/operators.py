"""What expressions compute: three-valued logic over plain data, with limits. Every error is a plain sentence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from typing import Any, Final, NoReturn

from runbook.playbook.faults import describe, quoted
from runbook.playbook.scalars import MAX_INT

MAX_TEXT = 10_000
"""Characters of a text made by an expression: more than any message needs, far less than memory holds."""
MAX_ITEMS = 100_000
"""Values in one value, all levels together. Lists of lists of one list double with every step that names them."""


class ExpressionError(Exception):
    """An expression cannot be computed on the data at hand; the text is a sentence for the operator."""


class Unknown(Enum):
    """The type of :data:`UNKNOWN`; an enum, so that copies stay the one value and types can be narrowed by ``is``."""

    UNKNOWN = "known after apply"

    def __bool__(self) -> NoReturn:
        raise ExpressionError("whether this is true is known only after apply")

    def __repr__(self) -> str:
        return "(known after apply)"

    __str__ = __repr__


UNKNOWN: Final = Unknown.UNKNOWN
"""A value that only a real run can tell; plans and dry runs compute with it."""


def is_number(value: object) -> bool:
    """Whether ``value`` is an int or a float; a bool is not a number here."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def member(base: Any, key: Any) -> Any:
    """``base.key`` and ``base[key]``: an entry of a mapping or an item of a list, never an attribute."""
    if base is UNKNOWN or key is UNKNOWN:
        return UNKNOWN
    if isinstance(base, Mapping):
        if isinstance(key, str) and key in base:
            return base[key]
        there = ", ".join(sorted(str(k) for k in base)[:8]) or "nothing"
        raise ExpressionError(f"there is no {_key(key)} (there is {there})")
    if isinstance(base, list | tuple) and is_number(key) and isinstance(key, int):
        if -len(base) <= key < len(base):
            return base[key]
        raise ExpressionError(f"the list has {len(base)} items, so there is no item {key}")
    raise ExpressionError(f"{describe(base)} has no {_key(key)}")


def _key(key: Any) -> str:
    return quoted(key) if isinstance(key, str) else describe(key)


def equal(left: Any, right: Any) -> Any:
    """``==`` of plain data; an UNKNOWN inside a list or mapping makes the answer UNKNOWN, unless it is False anyway."""
    if left is UNKNOWN or right is UNKNOWN:
        return UNKNOWN
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        if len(left) != len(right):
            return False
        return conjunction([partial(equal, a, b) for a, b in zip(left, right, strict=True)])
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        if left.keys() != right.keys():
            return False
        return conjunction([partial(equal, left[key], right[key]) for key in left])
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def negation(value: Any) -> Any:
    """``not``: of UNKNOWN it is UNKNOWN."""
    return UNKNOWN if value is UNKNOWN else not value


def conjunction(operands: list[Callable[[], Any]]) -> Any:
    """``and``: the first false operand, else UNKNOWN if there was one, else the last (True where there is none)."""
    return _first(operands, stop_at=False)


def disjunction(operands: list[Callable[[], Any]]) -> Any:
    """``or``: the first true operand, else UNKNOWN if there was one, else the last (False where there is none)."""
    return _first(operands, stop_at=True)


def _first(operands: list[Callable[[], Any]], *, stop_at: bool) -> Any:
    value: Any = not stop_at
    unknown = False
    for operand in operands:
        try:
            value = operand()
        except ExpressionError:
            if unknown:  # the real run may never come here, as the unknown operand may decide
                return UNKNOWN
            raise
        if value is UNKNOWN:
            unknown = True
        elif bool(value) is stop_at:
            return value
    return UNKNOWN if unknown else value


def contains(item: Any, container: Any) -> Any:
    """``in``: an item of a list, a key of a mapping, a piece of a text."""
    if item is UNKNOWN or container is UNKNOWN:
        return UNKNOWN
    if isinstance(container, str):
        if isinstance(item, str):
            return item in container
        raise ExpressionError(f"a text can hold only text, not {describe(item)}")
    if isinstance(container, Mapping):
        return isinstance(item, str) and item in container
    if isinstance(container, list | tuple):
        return disjunction([partial(equal, item, other) for other in container])
    raise ExpressionError(f"nothing can be in {describe(container)}")


def order(symbol: str, compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Any]:
    """``<`` and its kin: between two numbers or two texts."""

    def ordered(left: Any, right: Any) -> Any:
        if left is UNKNOWN or right is UNKNOWN:
            return UNKNOWN
        if (is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str)):
            return compare(left, right)
        raise ExpressionError(f"{symbol} cannot compare {describe(left)} with {describe(right)}")

    return ordered


def arithmetic(symbol: str, compute: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """``+ - * / // %`` between numbers, and ``+`` between texts; the result is bounded."""

    def computed(left: Any, right: Any) -> Any:
        if left is UNKNOWN or right is UNKNOWN:
            return UNKNOWN
        if symbol == "+" and isinstance(left, str) and isinstance(right, str):
            return bounded_text(left + right)
        if not (is_number(left) and is_number(right)):
            raise ExpressionError(f"{symbol} cannot join {describe(left)} and {describe(right)}")
        try:
            return bounded_number(compute(left, right))
        except ZeroDivisionError:
            raise ExpressionError(f"{left} {symbol} {right} divides by zero") from None
        except OverflowError:
            raise ExpressionError("the number is too large") from None

    return computed


def bounded_number(value: Any) -> Any:
    """``value``, if it is a number of a sane size."""
    if (isinstance(value, int) and abs(value) > MAX_INT) or not math.isfinite(value):
        raise ExpressionError("the number is too large")
    return value


def bounded_text(text: str) -> str:
    """``text``, if it is not longer than :data:`MAX_TEXT`."""
    if len(text) > MAX_TEXT:
        raise ExpressionError(f"the text is longer than {MAX_TEXT:,} characters")
    return text


def bounded_data(value: Any) -> Any:
    """``value``, if it holds no more than :data:`MAX_ITEMS` values, counted as often as they stand in it."""
    pending, seen = [value], 0
    while pending:
        item = pending.pop()
        seen += 1
        if isinstance(item, Mapping):
            pending += item.values()
        elif isinstance(item, list | tuple):
            pending += item
        if seen + len(pending) > MAX_ITEMS:
            raise ExpressionError(f"the value holds more than {MAX_ITEMS:,} values")
    return value


def sign(symbol: str, compute: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Unary ``-`` and ``+``."""

    def signed(value: Any) -> Any:
        if value is UNKNOWN:
            return UNKNOWN
        if not is_number(value):
            raise ExpressionError(f"{symbol} needs a number, not {describe(value)}")
        return compute(value)

    return signed


def _length(value: Any) -> Any:
    if value is UNKNOWN:
        return UNKNOWN
    if isinstance(value, str | list | tuple | Mapping):
        return len(value)
    raise ExpressionError(f"len needs a list, a mapping or a text, not {describe(value)}")


def _any(value: Any) -> Any:
    return _truth("any", value, disjunction)


def _all(value: Any) -> Any:
    return _truth("all", value, conjunction)


def _truth(name: str, value: Any, decide: Callable[[list[Callable[[], Any]]], Any]) -> Any:
    if value is UNKNOWN:
        return UNKNOWN
    answer = decide([partial(_itself, item) for item in _items(name, value)])
    return answer if answer is UNKNOWN else bool(answer)


def _itself(value: Any) -> Any:
    return value


def _items(name: str, value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    raise ExpressionError(f"{name} needs a list, not {describe(value)}")


def _extreme(name: str, choose: Callable[[Any], Any]) -> Callable[..., Any]:
    def extreme(*values: Any) -> Any:
        candidates: Any = values[0] if len(values) == 1 else list(values)
        if candidates is UNKNOWN:
            return UNKNOWN
        items = _items(name, candidates)
        if not items:
            raise ExpressionError(f"{name} of an empty list")
        return _if_ordered(name, items, choose)

    return extreme


def _sorted(value: Any) -> Any:
    return UNKNOWN if value is UNKNOWN else _if_ordered("sorted", _items("sorted", value), sorted)


def _if_ordered(name: str, items: list[Any], then: Callable[[Any], Any]) -> Any:
    if any(item is UNKNOWN for item in items):
        return UNKNOWN
    if all(is_number(item) for item in items) or all(isinstance(item, str) for item in items):
        return then(items)
    raise ExpressionError(f"{name} needs numbers only, or texts only")


def _map(value: Any, key: Any) -> Any:
    """``map(dead.peers, "name")``: what each item of a list has under a key."""
    return UNKNOWN if value is UNKNOWN else [member(item, key) for item in _items("map", value)]


FUNCTIONS: Mapping[str, tuple[Callable[..., Any], int | None]] = {
    "len": (_length, 1),
    "any": (_any, 1),
    "all": (_all, 1),
    "min": (_extreme("min", min), None),
    "max": (_extreme("max", max), None),
    "sorted": (_sorted, 1),
    "map": (_map, 2),
}
"""Each function that an expression may call, and how many arguments it takes (None: one or more)."""
