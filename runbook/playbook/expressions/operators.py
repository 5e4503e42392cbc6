"""What the operators of expressions compute: three-valued logic over plain data, with limits.

Every error is a plain sentence. UNKNOWN flows through: a result is True or False only where every world says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from runbook.errors import ExpressionError
from runbook.playbook.diagnostics import describe_value, quoted
from runbook.playbook.expressions.model import UNKNOWN
from runbook.playbook.types import format_duration, is_number
from runbook.playbook.yaml_scalars import MAX_INT

MAX_STRING = 200_000
"""Characters of a string made by an expression: the output of a command and more, far less than memory holds."""
MAX_ITEMS = 100_000
"""Values in one value, all levels together. Lists of lists of one list double with every step that names them."""


class NotThereError(ExpressionError):
    """What was asked for is not in the data, or has no value in this run: ``default`` has another value for it."""


def member(base: Any, key: Any) -> Any:
    """``base.key`` and ``base[key]``: an entry of a mapping or an item of a list, never an attribute."""
    if type(base) is dict and type(key) is str and key in base:  # nearly always so, and asked in no time
        return base[key]
    if base is UNKNOWN or key is UNKNOWN:
        return UNKNOWN
    if isinstance(base, Mapping):
        if isinstance(key, str) and key in base:
            return base[key]
        there = ", ".join(sorted(str(k) for k in base)[:8]) or "nothing"
        raise NotThereError(f"there is no {_format_key(key)} (there is {there})")
    if isinstance(base, list | tuple) and is_number(key) and isinstance(key, int):
        if -len(base) <= key < len(base):
            return base[key]
        raise NotThereError(f"the list has {len(base)} items, so there is no item {key}")
    missing = NotThereError if base is None else ExpressionError
    raise missing(f"{describe_value(base)} has no {_format_key(key)}")


def _format_key(key: Any) -> str:
    return quoted(key) if isinstance(key, str) else describe_value(key)


def equal(left: Any, right: Any) -> Any:
    """``==`` of plain data; an UNKNOWN inside a list or mapping makes the answer UNKNOWN, unless it is False anyway."""
    if type(left) is str and type(right) is str:  # nearly always so
        return left == right
    if left is UNKNOWN or right is UNKNOWN:
        return UNKNOWN
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        if len(left) != len(right):
            return False
        return conjunction(equal(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        if left.keys() != right.keys():
            return False
        return conjunction(equal(left[key], right[key]) for key in left)
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def asked(value: Any) -> Any:
    """``value`` where it is to be true or false: of a text nobody knows, as ``"false"`` is a text as well."""
    if isinstance(value, str):
        raise ExpressionError(f"{describe_value(value)} is neither true nor false: compare it with a text")
    return value


def negation(value: Any) -> Any:
    """``not``: of UNKNOWN it is UNKNOWN."""
    return UNKNOWN if value is UNKNOWN else not asked(value)


def conjunction(operands: Iterable[Any]) -> Any:
    """``and``: the first false operand, else UNKNOWN if there was one, else the last (True where there is none)."""
    return _first_decisive(operands, decisive=False)


def disjunction(operands: Iterable[Any]) -> Any:
    """``or``: the first true operand, else UNKNOWN if there was one, else the last (False where there is none)."""
    return _first_decisive(operands, decisive=True)


def _first_decisive(operands: Iterable[Any], *, decisive: bool) -> Any:
    """``operands`` are computed one by one, and no further than is needed."""
    value: Any = not decisive
    unknown = False
    try:
        for value in operands:
            if value is UNKNOWN:
                unknown = True
            elif bool(value) is decisive:
                return value
    except ExpressionError:
        if unknown:  # the real run may never come here, as the unknown operand may decide
            return UNKNOWN
        raise
    return UNKNOWN if unknown else value


def contains(item: Any, container: Any) -> Any:
    """``in``: an item of a list, a key of a mapping, a part of a string."""
    if item is UNKNOWN or container is UNKNOWN:
        return UNKNOWN
    if isinstance(container, str):
        if isinstance(item, str):
            return item in container
        raise ExpressionError(f"a string can contain only a string, not {describe_value(item)}")
    if isinstance(container, Mapping):
        return isinstance(item, str) and item in container
    if isinstance(container, list | tuple):
        if type(item) is str and item in container:  # a text equals nothing but a text
            return True
        return disjunction(equal(item, other) for other in container)
    raise ExpressionError(f'"in" needs a list, a mapping or a string, not {describe_value(container)}')


def ordering(symbol: str, compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Any]:
    """``<`` and its kin: between two numbers or two strings."""

    def ordered(left: Any, right: Any) -> Any:
        if left is UNKNOWN or right is UNKNOWN:
            return UNKNOWN
        if (is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str)):
            return compare(left, right)
        raise ExpressionError(f"{symbol} cannot compare {describe_value(left)} with {describe_value(right)}")

    return ordered


def arithmetic(symbol: str, compute: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """``+ - * / // %`` between numbers, and ``+`` between strings; the result is bounded."""

    def computed(left: Any, right: Any) -> Any:
        if left is UNKNOWN or right is UNKNOWN:
            return UNKNOWN
        if symbol == "+" and isinstance(left, str) and isinstance(right, str):
            return bounded_string(left + right)
        if not (is_number(left) and is_number(right)):
            raise ExpressionError(f"{symbol} cannot combine {describe_value(left)} with {describe_value(right)}")
        try:
            number = compute(left, right)
        except ZeroDivisionError:
            raise ExpressionError(f"{left} {symbol} {right} divides by zero") from None
        except OverflowError:
            raise ExpressionError("the number is too large") from None
        if (isinstance(number, int) and abs(number) > MAX_INT) or not math.isfinite(number):
            raise ExpressionError("the number is too large")
        return number

    return computed


def sign(symbol: str, compute: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Unary ``-`` and ``+``."""

    def signed(value: Any) -> Any:
        if value is UNKNOWN:
            return UNKNOWN
        if not is_number(value):
            raise ExpressionError(f"{symbol} needs a number, not {describe_value(value)}")
        return compute(value)

    return signed


def bounded_string(text: str) -> str:
    """``text``, if it is not longer than :data:`MAX_STRING`."""
    bounded_length(len(text))
    return text


def bounded_length(length: int) -> None:
    """Raises :class:`ExpressionError` for that of a string too long to be made."""
    if length > MAX_STRING:
        raise ExpressionError(f"the string is longer than {MAX_STRING:,} characters")


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


def format_value(value: Any, type_name: str) -> str:
    """How a value of this type reads inside a text: a duration as ``30s``, lists and mappings as JSON, else as YAML."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return describe_value(value)
    if isinstance(value, int | float) and type_name == "duration":
        return format_duration(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, int):
        return str(value)
    import json

    try:
        return json.dumps(bounded_data(value), ensure_ascii=False, default=str)
    except RecursionError:
        raise ExpressionError("the data is nested too deeply for a text") from None
