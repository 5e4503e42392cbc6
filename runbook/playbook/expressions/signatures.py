"""What is known at load of a function's value, by what it is given."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from runbook.playbook.diagnostics import did_you_mean, quoted
from runbook.playbook.expressions.functions import FUNCTIONS, Function
from runbook.playbook.expressions.static_types import ANY, STRING, StaticType, format_known

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
