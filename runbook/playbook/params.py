"""Binds what the command line, a file and the environment give to a playbook's params, with every fault at once."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from runbook.playbook.durations import parse_duration
from runbook.playbook.faults import did_you_mean, quoted
from runbook.playbook.fields import MisfitError, allowed, fit, fit_written, without_user
from runbook.playbook.model import Field, Mark, Playbook
from runbook.playbook.nodes import MapNode, kind
from runbook.playbook.reader import read
from runbook.playbook.scalars import MAX_INT
from runbook.playbook.sections import plain

MAX_PARAM = 100_000
"""Characters of one given param: less than a system lets through on a command line, more than anybody types."""

_INT = re.compile(r"[-+]?[0-9]{1,19}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][-+]?[0-9]{1,3})?")


class ParamError(Exception):
    """The params given do not fit the playbook. ``faults`` holds one sentence for each."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True)
class Bound:
    """A param's typed value, and where it is from.

    ``origin`` is ``--param``, the path of a params file, the name of an environment variable, or ``default``.
    """

    value: object
    origin: str


@dataclass(frozen=True)
class ParamsFile:
    """What ``--params-file`` holds: of each param the value as YAML has it, and its place."""

    path: str
    values: Mapping[str, tuple[Mark, object]]


NO_FILE = ParamsFile("", {})


def read_params_file(data: bytes, path: str) -> ParamsFile:
    """YAML or JSON, by the same strict rules as a playbook. Raises :class:`PlaybookError` with every fault."""
    root, faults = read(data, path, "a params file")
    if not isinstance(root, MapNode):
        faults.fail(root.mark, f"a params file is a mapping of names to values, not {kind(root)}")
    faults.raise_if_any()
    return ParamsFile(path, {name: (key.mark, plain(value)) for name, (key, value) in root.entries.items()})


def variable_of(name: str) -> str:
    """The environment variable that gives the param ``name``."""
    return f"RUNBOOK_PARAM_{name.upper()}"


def bind_params(playbook: Playbook, given: Mapping[str, str]) -> dict[str, object]:
    """The values alone of :func:`gather_params`, from the command line and the defaults."""
    return {name: bound.value for name, bound in gather_params(playbook, given).items()}


def gather_params(
    playbook: Playbook,
    given: Mapping[str, str],
    file: ParamsFile = NO_FILE,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Bound]:
    """Every param from the strongest source that has it: ``--param``, the file, the environment, its default, or None.

    Durations are float seconds. A variable of the environment that names no param is nobody's fault: it may be meant
    for another playbook. Raises :class:`ParamError` for every param that is unknown, missing, or does not fit.
    """
    known = {param.name for param in playbook.params}
    faults = [_unknown(name, playbook) for name in given if name not in known]
    faults += [f"{mark}: {_unknown(name, playbook)}" for name, (mark, _) in file.values.items() if name not in known]
    bound: dict[str, Bound] = {}
    for param in playbook.params:
        try:
            bound[param.name] = _bind(param, given, file, environment or {})
        except MisfitError as misfit:
            faults.append(f"{misfit}.{_tail(misfit.suggestion)}")
    if faults:
        raise ParamError(tuple(faults))
    return bound


def _unknown(name: str, playbook: Playbook) -> str:
    known = [param.name for param in playbook.params]
    there = f"its params are {', '.join(known)}" if known else "it has no params"
    return f"playbook {quoted(playbook.name)} has no param {quoted(name)}; {there}.{_tail(did_you_mean(name, known))}"


def _tail(suggestion: str | None) -> str:
    return f" {suggestion}" if suggestion else ""


def _bind(param: Field, given: Mapping[str, str], file: ParamsFile, environment: Mapping[str, str]) -> Bound:
    name, variable = param.name, variable_of(param.name)
    what = f"param {quoted(name)}"
    if name in given:
        return Bound(_told(what, lambda: _typed(param, given[name])), "--param")
    if name in file.values:
        mark, value = file.values[name]
        return Bound(_told(f"{mark}: {what}", lambda: fit_written(param, value)), file.path)
    if variable in environment:
        return Bound(_told(f"{variable}: {what}", lambda: _typed(param, environment[variable])), variable)
    if param.required:
        summary = f"; {param.summary}" if param.summary else ""
        raise MisfitError(f"{what} must be given (--param {name}=…): {allowed(param)}{summary}")
    return Bound(copy.deepcopy(param.default), "default")


def _told(what: str, bind: Callable[[], object]) -> object:
    """What ``bind`` gives; a misfit names ``what``."""
    try:
        return bind()
    except MisfitError as misfit:
        raise MisfitError(f"{what} {misfit}", misfit.suggestion) from None


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
