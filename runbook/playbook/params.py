"""Gives a playbook's params their values, from the command line, a file and the environment; every error at once."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from runbook.dataclass import dataclass
from runbook.errors import InvalidValueError, Mark, ParamError
from runbook.playbook.diagnostics import did_you_mean, quoted
from runbook.playbook.model import Field, Playbook
from runbook.playbook.reader import read_yaml
from runbook.playbook.types import convert, convert_literal, describe_field, parse_duration, without_credentials
from runbook.playbook.yaml_scalars import MAX_INT
from runbook.playbook.yaml_tree import MapNode, describe_node, plain_data

MAX_PARAM = 100_000
"""Characters of one given param: less than a system lets through on a command line, more than anybody types."""

_INT = re.compile(r"[-+]?[0-9]{1,19}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][-+]?[0-9]{1,3})?")


@dataclass(frozen=True)
class ParamValue:
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
    """YAML or JSON, by the same strict rules as a playbook. Raises :class:`PlaybookError` with every error."""
    root, diagnostics = read_yaml(data, path, "a params file")
    if not isinstance(root, MapNode):
        diagnostics.fail(root.mark, f"a params file is a mapping of names to values, not {describe_node(root)}")
    diagnostics.raise_if_any()
    return ParamsFile(path, {name: (key.mark, plain_data(value)) for name, (key, value) in root.entries.items()})


def bind_params(playbook: Playbook, given: Mapping[str, str]) -> dict[str, object]:
    """The values alone of :func:`gather_params`, from the command line and the defaults."""
    return {name: param.value for name, param in gather_params(playbook, given).items()}


def gather_params(
    playbook: Playbook,
    given: Mapping[str, str],
    file: ParamsFile = NO_FILE,
    environment: Mapping[str, str] | None = None,
) -> dict[str, ParamValue]:
    """Every param from the strongest source that has it: ``--param``, the file, the environment, its default, or None.

    Durations are float seconds. A variable of the environment that names no param is no error: it may be meant for
    another playbook.

    Args:
        given: what ``--param`` says, by name.
        environment: the variables of the process; a param is looked up as ``RUNBOOK_PARAM_NAME``.

    Raises:
        ParamError: a param is unknown, missing, or does not fit; names all of them.
    """
    known = {param.name for param in playbook.params}
    messages = [_unknown_param(name, playbook) for name in given if name not in known]
    for name, (mark, _) in file.values.items():
        if name not in known:
            messages.append(f"{mark}: {_unknown_param(name, playbook)}")
    found: dict[str, ParamValue] = {}
    for param in playbook.params:
        try:
            found[param.name] = _gather_param(param, given, file, environment or {})
        except InvalidValueError as error:
            messages.append(_sentence(str(error), error.suggestion))
    if messages:
        raise ParamError(tuple(messages))
    return found


def _unknown_param(name: str, playbook: Playbook) -> str:
    known = [param.name for param in playbook.params]
    there = f"its params are {', '.join(known)}" if known else "it has no params"
    message = f"playbook {quoted(playbook.name)} has no param {quoted(name)}; {there}"
    return _sentence(message, did_you_mean(name, known))


def _sentence(message: str, suggestion: str | None) -> str:
    return f"{message}. {suggestion}" if suggestion else f"{message}."


def _gather_param(
    param: Field, given: Mapping[str, str], file: ParamsFile, environment: Mapping[str, str]
) -> ParamValue:
    variable = f"RUNBOOK_PARAM_{param.name.upper()}"
    what = f"param {quoted(param.name)}"
    try:
        if param.name in given:
            return ParamValue(_convert_text(param, given[param.name]), "--param")
        if param.name in file.values:
            mark, value = file.values[param.name]
            what = f"{mark}: {what}"
            return ParamValue(convert_literal(param, value), file.path)
        if variable in environment:
            what = f"{variable}: {what}"
            return ParamValue(_convert_text(param, environment[variable]), variable)
        if param.required:
            summary = f"; {param.summary}" if param.summary else ""
            raise InvalidValueError(f"must be given (--param {param.name}=…): {describe_field(param)}{summary}")
    except InvalidValueError as error:
        raise InvalidValueError(f"{what} {error}", error.suggestion) from None
    return ParamValue(copy.deepcopy(param.default), "default")


def _convert_text(param: Field, text: str) -> object:
    """A value as the command line or the environment has it: always text."""
    if len(text) > MAX_PARAM:
        raise InvalidValueError(f"must not be longer than {MAX_PARAM:,} characters")
    read = _READERS.get(param.type)
    try:
        value = read(text) if read else text
    except ValueError:
        shown = quoted(without_credentials(text))
        raise InvalidValueError(f"must be {describe_field(param)}, not {shown}") from None
    return convert(param, value)


def _read_int(text: str) -> int:
    if _INT.fullmatch(text.strip()) and abs(int(text)) <= MAX_INT:
        return int(text)
    raise ValueError(text)


def _read_float(text: str) -> float:
    if _FLOAT.fullmatch(text.strip()) and math.isfinite(float(text)):
        return float(text)
    raise ValueError(text)


def _read_bool(text: str) -> bool:
    word = text.strip().lower()
    if word not in ("true", "false"):
        raise ValueError(text)
    return word == "true"


def _read_list(text: str) -> object:
    """JSON where it begins with a bracket, else items between commas; nothing is an empty list."""
    if text.lstrip().startswith("["):
        return _read_json(text)
    return [item.strip() for item in text.split(",")] if text.strip() else []


def _read_json(text: str) -> object:
    import json

    def refuse(constant: str) -> NoReturn:  # NaN and infinity
        raise ValueError(constant)

    try:
        return json.loads(text, parse_constant=refuse, parse_int=_read_int, parse_float=_read_float)
    except RecursionError:
        raise ValueError(text) from None


_READERS: Mapping[str, Callable[[str], Any]] = {
    "int": _read_int,
    "float": _read_float,
    "bool": _read_bool,
    "duration": parse_duration,
    "list": _read_list,
    "map": _read_json,
}
