"""Binds what the command line gives (``--param name=text``) to a playbook's params, with every fault at once."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from runbook.playbook.durations import format_duration, parse_duration
from runbook.playbook.faults import did_you_mean, quoted
from runbook.playbook.fields import MisfitError, allowed, fit, without_user
from runbook.playbook.model import Field, Playbook
from runbook.playbook.scalars import MAX_INT

__all__ = ["ParamError", "bind_params", "format_duration", "parse_duration"]

MAX_PARAM = 100_000
"""Characters of one given param: less than a system lets through on a command line, more than anybody types."""

_INT = re.compile(r"[-+]?[0-9]{1,19}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][-+]?[0-9]{1,3})?")


class ParamError(Exception):
    """The params given do not fit the playbook. ``faults`` holds one sentence for each."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def bind_params(playbook: Playbook, given: Mapping[str, str]) -> dict[str, object]:
    """Every param's typed value: as given, else its default, else None. Durations are float seconds.

    Raises :class:`ParamError` for params that are unknown, missing, or do not fit.
    """
    faults = [_unknown(name, playbook) for name in given if name not in {p.name for p in playbook.params}]
    bound: dict[str, object] = {}
    for param in playbook.params:
        try:
            bound[param.name] = _bind(param, given)
        except MisfitError as misfit:
            faults.append(f"param {quoted(param.name)} {misfit}.{_tail(misfit.suggestion)}")
    if faults:
        raise ParamError(tuple(faults))
    return bound


def _unknown(name: str, playbook: Playbook) -> str:
    known = [param.name for param in playbook.params]
    there = f"its params are {', '.join(known)}" if known else "it has no params"
    return f"playbook {quoted(playbook.name)} has no param {quoted(name)}; {there}.{_tail(did_you_mean(name, known))}"


def _tail(suggestion: str | None) -> str:
    return f" {suggestion}" if suggestion else ""


def _bind(param: Field, given: Mapping[str, str]) -> object:
    if param.name in given:
        return _typed(param, given[param.name])
    if param.required:
        example = f"--param {param.name}=…"
        raise MisfitError(f"must be given ({example}): {allowed(param)}{f'; {param.summary}' if param.summary else ''}")
    return copy.deepcopy(param.default)


def _typed(param: Field, text: str) -> object:
    if len(text) > MAX_PARAM:
        raise MisfitError(f"must not be longer than {MAX_PARAM:,} characters")
    read = _READERS.get(param.type)
    try:
        value = read(text) if read else text
    except ValueError:
        shown = quoted(without_user(text))
        raise MisfitError(f"must be {allowed(param)}, not {shown}") from None
    return fit(param, value)


def _int(text: str) -> int:
    if _INT.fullmatch(text.strip()) and abs(int(text)) <= MAX_INT:
        return int(text)
    raise ValueError(text)


def _float(text: str) -> float:
    if _FLOAT.fullmatch(text.strip()) and math.isfinite(float(text)):
        return float(text)
    raise ValueError(text)


def _bool(text: str) -> bool:
    word = text.strip().lower()
    return word == "true" if word in ("true", "false") else _no(text)


def _no(text: str) -> Any:
    raise ValueError(text)


def _list(text: str) -> object:
    """JSON where it begins with a bracket, else items between commas; nothing is an empty list."""
    if text.lstrip().startswith("["):
        return _json(text)
    return [item.strip() for item in text.split(",")] if text.strip() else []


def _json(text: str) -> object:
    import json

    try:
        return json.loads(text, parse_constant=_no, parse_int=_int, parse_float=_float)
    except RecursionError:
        raise ValueError(text) from None


_READERS: Mapping[str, Callable[[str], object]] = {
    "int": _int,
    "float": _float,
    "bool": _bool,
    "duration": parse_duration,
    "list": _list,
    "map": _json,
}
