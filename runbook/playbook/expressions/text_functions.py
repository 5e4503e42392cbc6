"""The functions on texts, and those between text and data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from runbook.errors import ExpressionError
from runbook.playbook.diagnostics import describe_value, quoted
from runbook.playbook.expressions.model import UNKNOWN
from runbook.playbook.expressions.operators import bounded_data, bounded_length, bounded_string, format_value
from runbook.playbook.types import is_number
from runbook.playbook.yaml_scalars import MAX_FLOAT, MAX_INT, MAX_NUMBER

JSON_LEVELS = 60
"""Levels of data that a JSON text holds: a record of it is written and read by plain recursion."""


def _of_texts(name: str, compute: Callable[..., Any]) -> Callable[..., Any]:
    """``compute`` of texts alone; UNKNOWN where one of them is."""

    def computed(*values: Any) -> Any:
        if any(value is UNKNOWN for value in values):
            return UNKNOWN
        for value in values:
            if not isinstance(value, str):
                raise ExpressionError(f"{name} needs text, not {describe_value(value)}")
        return compute(*values)

    return computed


def _lines(value: str) -> list[str]:
    """A line break at the end begins no line."""
    found = value.replace("\r\n", "\n").split("\n")
    return found if found[-1] else found[:-1]


def _split(value: str, separator: str | None = None) -> list[str]:
    if separator == "":
        raise ExpressionError("split needs a text to split at, not an empty one")
    return value.split(separator)


def _replace(value: str, old: str, new: str) -> str:
    if not old:
        raise ExpressionError("replace needs a text to look for, not an empty one")
    if len(new) > len(old):
        bounded_length(len(value) + value.count(old) * (len(new) - len(old)))
    return value.replace(old, new)


trim = _of_texts("trim", str.strip)
lines = _of_texts("lines", _lines)
split = _of_texts("split", _split)
lower = _of_texts("lower", lambda value: bounded_string(value.lower()))
upper = _of_texts("upper", lambda value: bounded_string(value.upper()))
replace = _of_texts("replace", _replace)
startswith = _of_texts("startswith", str.startswith)
endswith = _of_texts("endswith", str.endswith)


def join(values: Any, between: Any = ", ") -> Any:
    """``join(lines, " ")``: an empty list gives an empty text."""
    if values is UNKNOWN or between is UNKNOWN:
        return UNKNOWN
    if not isinstance(values, list | tuple) or not isinstance(between, str):
        raise ExpressionError(f"join needs a list and a text, not {describe_value(values)}")
    for value in values:
        if value is not UNKNOWN and not isinstance(value, str) and not is_number(value):
            raise ExpressionError(f"join needs texts and numbers, not {describe_value(value)}")
    if any(value is UNKNOWN for value in values):
        return UNKNOWN
    return bounded_string(between.join(format_value(value, "any") for value in values))


def from_json(value: Any) -> Any:
    """The data of a JSON text."""
    return _of_texts("json", _parsed)(value)


def _parsed(value: str) -> Any:
    import json

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no JSON")

    try:
        data = json.loads(value, parse_constant=refuse, parse_float=_float_of_json)
    except (ValueError, RecursionError) as error:
        raise ExpressionError(f"json cannot read {quoted(value)}: {error}") from None
    return _shallow(bounded_data(data))


def _float_of_json(text: str) -> float:
    number = float(text)
    if abs(number) > MAX_FLOAT:
        raise ValueError("a number in it is too large")
    return number


def _shallow(data: Any) -> Any:
    level = [data]
    for _ in range(JSON_LEVELS):
        level = [item for one in level for item in _inside(one)]
        if not level:
            return data
    raise ExpressionError(f"the data of json has more than {JSON_LEVELS} levels")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else []


def to_json(value: Any) -> Any:
    """Lists and mappings as JSON has them; a text in double quotes."""
    import json

    if _holds_unknown(bounded_data(value)):
        return UNKNOWN
    try:
        return bounded_string(json.dumps(value, ensure_ascii=False, default=str))
    except RecursionError:
        raise ExpressionError("the data is nested too deeply for a text") from None


def _holds_unknown(value: Any) -> bool:
    pending = [value]
    while pending:
        item = pending.pop()
        if item is UNKNOWN:
            return True
        pending += _inside(item)
    return False


def quote(value: Any) -> Any:
    """As a shell reads it back as one word; the items of a list as one word each."""
    from shlex import quote as as_word

    if _holds_unknown(value):
        return UNKNOWN
    words = value if isinstance(value, list | tuple) else [value]
    for word in words:
        if not isinstance(word, str) and not is_number(word):
            raise ExpressionError(f"quote needs text or numbers, not {describe_value(word)}")
    return bounded_string(" ".join(as_word(format_value(word, "any")) for word in words))


def to_int(value: Any) -> Any:
    """White space around it does not count; ``3.0`` is no whole number in a text."""
    return _number("int", "a whole number", int, value)


def to_float(value: Any) -> Any:
    """As :func:`to_int`."""
    return _number("float", "a number", float, value)


def _number(name: str, what: str, read: Callable[[Any], Any], value: Any) -> Any:
    if value is UNKNOWN:
        return UNKNOWN
    if not isinstance(value, str) and not is_number(value):
        raise ExpressionError(f"{name} needs a text or a number, not {describe_value(value)}")
    try:
        if isinstance(value, str) and (len(value) > MAX_NUMBER or not value.isascii() or "_" in value):
            raise ValueError
        number = read(value)
    except (ValueError, OverflowError):
        raise ExpressionError(f"{describe_value(value)} is not {what}") from None
    if not abs(number) <= (MAX_INT if read is int else MAX_FLOAT):
        raise ExpressionError("the number is too large")
    return number


def to_text(value: Any) -> Any:
    """As a text has it: ``true``, ``null``, ``3``, lists and mappings as JSON."""
    return UNKNOWN if _holds_unknown(value) else bounded_string(format_value(value, "any"))
