"""Events that come from a disk. Whoever wrote them may have been an older version, a broken disk, or an enemy.

An event whose kind this version knows must be whole, so that nobody who reads a run has to ask; one of another kind is
kept, and says nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from math import isfinite
from typing import Any

from runbook import changes, cluster_events, events, removals, shadow_events
from runbook.errors import TransitionError
from runbook.events import Event
from runbook.run_state import RunState

Fits = Callable[[Any], bool]
MODULES = (events, cluster_events, removals, changes, shadow_events)
LARGEST = 2**63  # a number beyond it is no count, and Python may not be able to print it


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_whole(value: Any) -> bool:
    return type(value) is int and abs(value) < LARGEST


def _is_number(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and isfinite(value) and abs(value) < LARGEST)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_text, value))


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _are_mappings(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_mapping, value))


def _maps_to(fits: Fits) -> Fits:
    return lambda value: isinstance(value, Mapping) and all(map(fits, value.values()))


FITS: Mapping[str, Fits] = {
    "str": _is_text,
    "str | None": lambda value: value is None or _is_text(value),
    "bool": lambda value: isinstance(value, bool),
    "int": _is_whole,
    "int | None": lambda value: value is None or _is_whole(value),
    "float": _is_number,
    "float | None": lambda value: value is None or _is_number(value),
    "tuple[str, ...]": _are_texts,
    "tuple[Mapping[str, Any], ...]": _are_mappings,
    "Mapping[str, int]": _maps_to(_is_whole),
    "Mapping[str, float]": _maps_to(_is_number),
    "Mapping[str, Mapping[str, tuple[str, ...]]]": _maps_to(_maps_to(_are_texts)),
    "Mapping[str, Any]": _is_mapping,
    "Mapping[str, str]": _maps_to(_is_text),
    "ClusterView | None": lambda value: value is None,
}
"""By the annotation of a field."""


def fold_recorded(records: Iterable[Mapping[str, Any]]) -> RunState:
    """The state after these events. Raises :class:`TransitionError`, whatever they hold."""
    state = RunState()
    for number, record in enumerate(records, start=1):
        try:
            _check(record)
            state.apply(record)
        except TransitionError as error:
            raise TransitionError(f"event {number}: {error}") from None
        except Exception as error:  # what a step returned has a form of its own
            raise TransitionError(f"event {number} has another form: {type(error).__name__}") from None
    return state


_OF_A_DRY_RUN: tuple[tuple[str, Fits, bool], ...] = (("label", _is_text, False), ("foreseen", _is_number, False))


def _check(record: Mapping[str, Any]) -> None:
    kind, at = record.get("kind"), record.get("at")
    if not isinstance(kind, str):
        raise TransitionError("it has no kind")
    if not _is_moment(at):
        raise TransitionError(f"{kind} has no time with a time zone")
    for name, fits, needed in (*_OF_A_DRY_RUN, *_FIELDS.get(kind, ())):
        if name not in record and needed:
            raise TransitionError(f"{kind} has no {name}")
        if name in record and not fits(record[name]):
            raise TransitionError(f"{kind}: {name} is of another type")


def _is_moment(at: Any) -> bool:
    try:
        return isinstance(at, str) and datetime.fromisoformat(at).tzinfo is not None
    except ValueError:
        return False


def _fields_of(event: type[Event]) -> tuple[tuple[str, Fits, bool], ...]:
    """Of each field its name, what may stand there, and whether it is in every record of ours."""
    return tuple(
        (
            field.name,
            FITS[str(field.type)],
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(event)
    )


_FIELDS = {
    event.kind: _fields_of(event)
    for module in MODULES
    for event in vars(module).values()
    if isinstance(event, type) and issubclass(event, Event) and "kind" in vars(event)
}
