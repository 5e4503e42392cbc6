"""What is known at load about the value of an expression: its type, its fields, its items."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from runbook.playbook.diagnostics import did_you_mean, quoted
from runbook.playbook.expressions.functions import FUNCTIONS, Function
from runbook.playbook.expressions.refused import OPERATORS
from runbook.playbook.model import Field
from runbook.playbook.types import NUMBERS, STRINGS


class StaticType(NamedTuple):
    """What is known at load about a value.

    ``type`` is that of a :class:`Field`, or ``null``. ``fields`` of a map and ``items`` of a list are None where
    anything may be in it. ``origin`` says in words where a map comes from. ``choices`` are all values it can have.
    """

    type: str
    fields: Mapping[str, StaticType] | None = None
    items: StaticType | None = None
    origin: str = ""
    choices: tuple[Any, ...] | None = None

    @property
    def compared_as(self) -> str | None:
        """What values of this type are compared as, in words; None where anything is possible."""
        return _COMPARED_AS.get(self.type)

    def __str__(self) -> str:
        """In words that fit after *not*."""
        return (
            {"duration": "a duration", "float": "a float", "int": "an int"}.get(self.type) or self.compared_as or "this"
        )

    def fits(self, declared: Field) -> bool:
        """Whether a value of this type may fit the field, as far as can be known at load."""
        if "any" in (self.type, declared.type):
            return True
        if declared.type in STRINGS:
            return self.type in STRINGS
        takes = {
            "duration": {"duration", "int", "float", "string"},  # a string is read as a duration when the step begins
            "float": NUMBERS,
        }
        return self.type in takes.get(declared.type, {declared.type})

    def each(self) -> tuple[StaticType | None, str | None]:
        """The type of one item, as a list is gone through, of a mapping ``{key, value}``; or None, and what was meant.

        A result is a mapping of its fields, each of another kind: nobody means to go through these.
        """
        if self.type == "list":
            return self.items or ANY, None
        if self.type == "map" and self.fields is None:
            return MAPPING_ENTRY, None
        lists = [name for name, inner in (self.fields or {}).items() if inner.type == "list"]
        return (ANY, None) if self.type == "any" else (None, lists[0] if lists else None)


_COMPARED_AS = {**dict.fromkeys(NUMBERS, "a number"), **dict.fromkeys(STRINGS, "a string")}
_COMPARED_AS |= {"bool": "true or false", "list": "a list", "map": "a mapping", "null": "null"}

ANY = StaticType("any")
BOOL = StaticType("bool")
INT = StaticType("int")
FLOAT = StaticType("float")
STRING = StaticType("string")
NULL = StaticType("null")
FAILED_ITEM = StaticType("map", {"index": INT, "item": STRING, "error": STRING}, origin="an item that failed")
MAPPING_ENTRY = StaticType("map", {"key": STRING, "value": ANY}, origin="an entry of a mapping")


def type_of_field(declared: Field) -> StaticType:
    """The type of a param or of a result field; each may be null as well, and is compared with null freely."""
    if declared.items is not None:
        fields = dict.fromkeys(declared.items, ANY)
        return StaticType("list", items=StaticType("map", fields, origin=f'an item of "{declared.name}"'))
    return StaticType(declared.type, choices=declared.choices if declared.type in STRINGS else None)


def types_of_fields(declared: Iterable[Field]) -> Mapping[str, StaticType]:
    """The types of params, or of the fields of a result, by name."""
    return {each.name: type_of_field(each) for each in declared}


def repeated(result: StaticType, goes_on: bool) -> StaticType:
    """The type of ``{results: [...], count: int}``, with one such result for each item of ``for_each``.

    Where it ``goes_on`` past items that fail, there is ``failed`` as well.
    """
    if result.type == "any":
        return ANY
    each = result._replace(origin=f"one result of {result.origin}")
    fields = {"results": StaticType("list", items=each), "count": INT}
    fields |= {"failed": StaticType("list", items=FAILED_ITEM)} if goes_on else {}
    return StaticType("map", fields, origin=f"{result.origin} with for_each")


def comparison_error(op: ast.cmpop, left: StaticType, right: StaticType) -> tuple[str, str | None] | None:
    """Why these are never compared like this, and what to write instead; nothing where they may be."""
    one, other = left.compared_as, right.compared_as
    if one is None or other is None:
        return None
    suggestion = None
    if "duration" in (left.type, right.type):
        suggestion = 'A duration is a number of seconds in an expression: 30, not "30s".'
    symbol = quoted(OPERATORS[type(op)])
    if isinstance(op, ast.In | ast.NotIn):
        possible = right.type in ("list", "map") or one == other == "a string"
        return None if possible else (f"{symbol} cannot look for {one} in {other}", None)
    if isinstance(op, ast.Eq | ast.NotEq):
        possible = one == other or "null" in (one, other)
        return None if possible else (f"{one} never equals {other}", suggestion)
    possible = one == other and one in ("a number", "a string")
    return None if possible else (f"{symbol} cannot compare {one} with {other}", suggestion)


def format_known(known: Iterable[str]) -> str:
    """`` (there is a, b)``, where they are few."""
    names = sorted(known)
    return f" (there is {', '.join(names)})" if 0 < len(names) <= 10 else ""


Fault = tuple[ast.expr, str, "str | None"]
"""Where, what, and what to write instead."""

_TAKES: Mapping[str, frozenset[str]] = {
    "list": frozenset({"a list"}),
    "text": frozenset({"a string"}),
    "number or text": frozenset({"a number", "a string"}),
    "countable": frozenset({"a list", "a mapping", "a string"}),
}


def type_of_call(name: str, arguments: Sequence[ast.expr], types: Sequence[StaticType]) -> StaticType | Fault:
    """The type of the value, or why the function cannot take this."""
    function = FUNCTIONS[name]
    one_list = function.more and len(types) == 1  # min and max of a list
    for place, (argument, given) in enumerate(zip(arguments, types, strict=True)):
        kind = "list" if one_list else function.takes[min(place, len(function.takes) - 1)]
        takes = _TAKES.get(kind)
        if takes is not None and given.compared_as not in takes | {None}:
            which = f"argument {place + 1} of {name} must be" if place else f"{name} needs"
            return argument, f"{which} {' or '.join(sorted(takes))}, not {given.compared_as}", None
    if name == "map":
        return _type_of_map(arguments[1], types[0].items or ANY)
    if name == "default":
        return types[0] if types[0] == types[1] else ANY
    return _type_given(function, types)


def _type_given(function: Function, types: Sequence[StaticType]) -> StaticType:
    if function.gives == "item":
        return (types[0].items or ANY) if len(types) == 1 else ANY
    if function.gives == "same":
        return StaticType("list", items=types[0].items)
    if function.gives == "strings":
        return StaticType("list", items=STRING)
    return StaticType(function.gives)


def _type_of_map(key: ast.expr, item: StaticType) -> StaticType | Fault:
    """The list that ``map(items, key)`` gives."""
    if not isinstance(key, ast.Constant) or item.fields is None:
        return StaticType("list")
    if key.value not in item.fields:
        message = f"{item.origin} has no {quoted(str(key.value))}{format_known(item.fields)}"
        return key, message, did_you_mean(str(key.value), item.fields)
    return StaticType("list", items=item.fields[key.value])
