"""The types of the language: does a value fit a declared field? One answer for literals, defaults, the command line,
and values computed during a run. Durations (``500ms``, ``1h30m``, ``7d``) are float seconds once they are read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from runbook.errors import InvalidValueError
from runbook.playbook.diagnostics import describe_value, did_you_mean, quoted
from runbook.playbook.expressions.model import UNKNOWN
from runbook.playbook.model import Field, Value
from runbook.playbook.yaml_scalars import MAX_FLOAT

NUMBERS = frozenset({"int", "float", "duration"})
STRINGS = frozenset({"string", "enum", "url", "path"})
MAX_DURATION = 366 * 86400.0
"""Seconds. Nothing in an incident waits a year, and the platform's sleeps overflow far above it."""

_DURATION = re.compile(
    r"(?:(?P<d>[0-9]{1,9})d)?(?:(?P<h>[0-9]{1,9})h)?(?:(?P<m>[0-9]{1,9})m)?(?:(?P<s>[0-9]{1,9}(?:\.[0-9]{1,9})?)s)?(?:(?P<ms>[0-9]{1,9})ms)?"
)
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_URL = re.compile(r"https?://(?P<authority>[^\s/?#]+)(?:[/?#]\S*)?", re.IGNORECASE)
_CREDENTIALS = re.compile(r"//[^/?#\s]*@")
_UNQUOTED = {
    "int": re.compile(r"-?[0-9]{1,18}"),
    "float": re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?"),
    "bool": re.compile("true|false"),
}
_NAMES: Mapping[str, str] = {
    "any": "anything",
    "string": "a string",
    "enum": "a string",
    "url": "a URL such as https://host/path",
    "path": "a path",
    "int": "an int",
    "float": "a number",
    "bool": "true or false",
    "duration": "a duration such as 500ms, 30s, 5m, 1h or 7d",
    "list": "a list",
    "map": "a mapping",
}


def convert(field: Field, value: Any) -> Any:
    """Give ``value`` in the type of ``field``, durations in seconds.

    Raises:
        InvalidValueError: it is of another type, out of bounds, not one of the choices, or does not match the pattern.
            UNKNOWN is always fine.
    """
    if value is UNKNOWN:
        return value
    converted = _CONVERTERS[field.type](value)
    if field.choices is not None and converted not in field.choices:
        names = [choice for choice in field.choices if isinstance(choice, str)]
        suggestion = did_you_mean(value, names) if isinstance(value, str) else None
        raise InvalidValueError(f"must be {_format_choices(field)}, not {describe_value(value)}", suggestion)
    if field.type in NUMBERS and field.min is not None and converted < field.min:
        least, number = _format_number(field, field.min), _format_number(field, converted)
        raise InvalidValueError(f"must be at least {least}, not {number}")
    if field.type in NUMBERS and field.max is not None and converted > field.max:
        most, number = _format_number(field, field.max), _format_number(field, converted)
        raise InvalidValueError(f"must be at most {most}, not {number}")
    if field.pattern is not None:
        _check_pattern(field.pattern, converted)
    return converted


def convert_literal(field: Field, value: Any) -> Any:
    """:func:`convert` for a value as it stands in a file, where a duration needs its unit."""
    if field.type == "duration" and is_number(value):
        raise InvalidValueError(f"must be a duration with a unit, such as {value}s, not {describe_value(value)}")
    return convert(field, value)


def literal_number(value: Value | None) -> float | None:
    """The number, or the seconds, of a value that holds no expression; nothing of another one, or of a wrong one."""
    if value is None or next(value.expressions(), None) is not None:
        return None
    try:
        return float(convert_literal(value.field, value.content))
    except InvalidValueError:
        return None


def describe_field(field: Field) -> str:
    """What a field takes, in words: ``an int, at least 1``, ``one of "a", "b"``."""
    parts = [_format_choices(field) if field.choices else _NAMES[field.type]]
    parts += [f"at least {_format_number(field, field.min)}"] if field.min is not None else []
    parts += [f"at most {_format_number(field, field.max)}"] if field.max is not None else []
    parts += [f"that matches {field.pattern}"] if field.pattern is not None else []
    return ", ".join(parts)


def parse_duration(text: str) -> float:
    """Seconds of ``500ms``, ``30s``, ``1.5s``, ``5m``, ``1h30m``, ``7d``; ``ValueError`` with a sentence otherwise."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not match.group():
        raise ValueError("a duration is written like 500ms, 30s, 5m, 1h or 7d")
    seconds = sum(float(number) * _SECONDS[unit] for unit, number in match.groupdict().items() if number)
    if seconds > MAX_DURATION:
        raise ValueError("a duration may be a year at most")
    return seconds


def parse_wait(written: Any) -> tuple[float, float]:
    """Seconds of ``5s``, of ``1s..30s``, or of a number of seconds; ``ValueError`` with a sentence otherwise."""
    if is_number(written) and 0 <= written <= MAX_DURATION:
        return float(written), float(written)
    first, dots, last = written.partition("..") if isinstance(written, str) else ("", "", "")
    try:
        shortest = parse_duration(first)
        longest = parse_duration(last) if dots else shortest
    except ValueError:
        what = f"must be a duration such as 5s, or two such as 1s..30s, not {describe_value(written)}"
        raise ValueError(what) from None
    if shortest > longest:
        raise ValueError(f"must go from the shorter to the longer, as {last}..{first}")
    return shortest, longest


def format_duration(seconds: float) -> str:
    """The shortest text that :func:`parse_duration` reads back, to the millisecond: ``90.0`` is ``1m30s``."""
    milliseconds = round(abs(seconds) * 1000)
    sign = "-" if seconds < 0 and milliseconds else ""
    if milliseconds < 1000:
        return f"{sign}{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    text = "".join(f"{count}{unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "m")) if count)
    return sign + text + (f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s" if rest else "")


def is_number(value: object) -> bool:
    """Whether ``value`` is an int or a float; a bool is not a number here."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def without_credentials(text: str) -> str:
    """``text`` fit to be shown: no user and password before the host of a URL (I13)."""
    return _CREDENTIALS.sub("//…@", text)


def _format_choices(field: Field) -> str:
    return "one of " + ", ".join(quoted(c) if isinstance(c, str) else describe_value(c) for c in field.choices or ())


def _format_number(field: Field, number: float) -> str:
    return format_duration(number) if field.type == "duration" else f"{number}"


def _check_pattern(pattern: str, value: Any) -> None:
    from runbook.playbook.patterns import compile_pattern

    try:
        matches = isinstance(value, str) and compile_pattern(pattern)(value)
    except ValueError as error:
        raise InvalidValueError(f"must match {pattern}, which cannot be checked: {error}") from None
    if not matches:
        raise InvalidValueError(f"must match {pattern}, not {describe_value(value)}")


def _wrong_type(type_name: str, value: Any) -> InvalidValueError:
    suggestion = None
    if type_name == "string" and is_number(value):
        suggestion = f'Write "{value}" in quotes.'
    elif isinstance(value, str) and type_name in _UNQUOTED and _UNQUOTED[type_name].fullmatch(value):
        suggestion = f"Write {value} without quotes."
    return InvalidValueError(f"must be {_NAMES[type_name]}, not {describe_value(value)}", suggestion)


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise _wrong_type("string", value)


def _int(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _wrong_type("int", value)


def _float(value: Any) -> float:
    if is_number(value) and abs(value) <= MAX_FLOAT:
        return float(value)
    raise _wrong_type("float", value)


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise _wrong_type("bool", value)


def _duration(value: Any) -> float:
    if is_number(value) and 0 <= value <= MAX_DURATION:
        return float(value)
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except ValueError:
            raise _wrong_type("duration", value) from None
    raise _wrong_type("duration", value)


def _list(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    raise _wrong_type("list", value)


def _map(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise _wrong_type("map", value)


def _url(value: Any) -> str:
    match = _URL.fullmatch(_string(value))
    if match is None:
        raise _wrong_type("url", without_credentials(value))
    if "@" in match["authority"]:
        raise InvalidValueError("must be a URL without a user or password in it: it would be recorded")  # I13
    return str(value)


def _path(value: Any) -> str:
    if _string(value) and "\0" not in value:
        return str(value)
    raise _wrong_type("path", value)


_CONVERTERS: Mapping[str, Callable[[Any], Any]] = {
    "any": lambda value: value,
    "string": _string,
    "enum": _string,
    "url": _url,
    "path": _path,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "duration": _duration,
    "list": _list,
    "map": _map,
}
