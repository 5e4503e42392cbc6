"""Does a value fit a declared field? One answer for literals, defaults, the command line, and run time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from runbook.playbook.durations import MAX_DURATION, format_duration, parse_duration
from runbook.playbook.faults import describe, did_you_mean, quoted
from runbook.playbook.model import Field
from runbook.playbook.operators import UNKNOWN, is_number
from runbook.playbook.scalars import MAX_FLOAT

NUMBERS = frozenset({"int", "float", "duration"})
TEXTS = frozenset({"string", "enum", "url", "path"})

_URL = re.compile(r"https?://(?P<authority>[^\s/?#]+)(?:[/?#]\S*)?", re.IGNORECASE)
_USER = re.compile(r"//[^/?#\s]*@")
_NEVER = re.compile(r"(?!)")
_BARE = {
    "int": re.compile(r"-?[0-9]{1,18}"),
    "float": re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?"),
    "bool": re.compile("true|false"),
}


class MisfitError(ValueError):
    """The value does not fit: a sentence that begins with *must be*, and what was probably meant."""

    def __init__(self, message: str, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.suggestion = suggestion


def fit(field: Field, value: Any) -> Any:
    """``value`` in the field's type (a duration in seconds) and bounds; raises :class:`MisfitError`. UNKNOWN fits."""
    if value is UNKNOWN:
        return value
    fitted = _TYPES[field.type](value)
    if field.choices is not None and fitted not in field.choices:
        _refuse_choice(field, value)
    if field.type in NUMBERS:
        _refuse_bounds(field, fitted)
    if field.pattern is not None:
        _refuse_other_looks(field.pattern, fitted)
    return fitted


def fit_written(field: Field, value: Any) -> Any:
    """:func:`fit` for a value as it stands in the file, where a duration needs its unit."""
    if field.type == "duration" and is_number(value):
        raise MisfitError(f"must be a duration with a unit, such as {value}s, not {describe(value)}")
    return fit(field, value)


def allowed(field: Field) -> str:
    """What a field takes, in words: ``an int, at least 1``, ``one of "a", "b"``."""
    words = [_one_of(field)] if field.choices else [_NAMES[field.type]]
    words += [f"at least {_bound(field, field.min)}"] if field.min is not None else []
    words += [f"at most {_bound(field, field.max)}"] if field.max is not None else []
    words += [f"that looks like {field.pattern}"] if field.pattern is not None else []
    return ", ".join(words)


def _one_of(field: Field) -> str:
    return "one of " + ", ".join(quoted(c) if isinstance(c, str) else describe(c) for c in field.choices or ())


def _bound(field: Field, bound: float | None) -> str:
    return format_duration(bound or 0) if field.type == "duration" else f"{bound}"


def _refuse_choice(field: Field, value: Any) -> None:
    names = [choice for choice in field.choices or () if isinstance(choice, str)]
    suggestion = did_you_mean(value, names) if isinstance(value, str) else None
    raise MisfitError(f"must be {_one_of(field)}, not {describe(value)}", suggestion)


def _refuse_bounds(field: Field, number: float) -> None:
    shown = format_duration(number) if field.type == "duration" else f"{number}"
    if field.min is not None and number < field.min:
        raise MisfitError(f"must be at least {_bound(field, field.min)}, not {shown}")
    if field.max is not None and number > field.max:
        raise MisfitError(f"must be at most {_bound(field, field.max)}, not {shown}")


def _refuse_other_looks(pattern: str, value: Any) -> None:
    from runbook.playbook.patterns import compile_pattern

    try:
        fits = isinstance(value, str) and compile_pattern(pattern)(value)
    except ValueError as error:
        raise MisfitError(f"must look like {pattern}, which cannot be told: {error}") from None
    if not fits:
        raise MisfitError(f"must look like {pattern}, not {describe(value)}")


def _refuse(kind: str, value: Any) -> MisfitError:
    bare = isinstance(value, str) and _BARE.get(kind, _NEVER).fullmatch(value)
    hint = f"Write {value} without quotes." if bare else None
    return MisfitError(f"must be {_NAMES[kind]}, not {describe(value)}", hint)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise MisfitError(f"must be a string, not {describe(value)}", _in_quotes(value))


def _in_quotes(value: Any) -> str | None:
    return f'Write "{value}" in quotes.' if is_number(value) else None


def _int(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _refuse("int", value)


def _float(value: Any) -> float:
    if is_number(value) and abs(value) <= MAX_FLOAT:
        return float(value)
    raise _refuse("float", value)


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise _refuse("bool", value)


def _duration(value: Any) -> float:
    if is_number(value) and 0 <= value <= MAX_DURATION:
        return float(value)
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except ValueError:
            raise _refuse("duration", value) from None
    raise _refuse("duration", value)


def _list(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    raise _refuse("list", value)


def _map(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise _refuse("map", value)


def _url(value: Any) -> str:
    match = _URL.fullmatch(_text(value))
    if match is None:
        raise _refuse("url", without_user(value))
    if "@" in match["authority"]:
        raise MisfitError("must be a URL without a user or password in it: it would be recorded")  # I13
    return str(value)


def without_user(text: str) -> str:
    """``text`` fit to be shown: no user and password before the host of a URL (I13)."""
    return _USER.sub("//…@", text)


def _path(value: Any) -> str:
    if _text(value) and "\0" not in value:
        return str(value)
    raise _refuse("path", value)


_TYPES: Mapping[str, Callable[[Any], Any]] = {
    "any": lambda value: value,
    "string": _text,
    "enum": _text,
    "url": _url,
    "path": _path,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "duration": _duration,
    "list": _list,
    "map": _map,
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
    "duration": "a duration such as 500ms, 30s, 5m or 1h",
    "list": "a list",
    "map": "a mapping",
}
