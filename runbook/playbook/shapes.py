"""What is known at load about the value of an expression: its type, its fields, its items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from runbook.playbook.fields import NUMBERS, TEXTS
from runbook.playbook.model import Field, StepDeclaration


class Shape(NamedTuple):
    """``type`` is that of a :class:`Field`, or ``null``. ``fields`` of a map and ``items`` of a list are None where
    anything may be in it. ``origin`` says in words where a map comes from. ``choices`` are all values it can have.
    """

    type: str
    fields: Mapping[str, Shape] | None = None
    items: Shape | None = None
    origin: str = ""
    choices: tuple[Any, ...] | None = None


ANY = Shape("any")
BOOL = Shape("bool")
INT = Shape("int")
FLOAT = Shape("float")
STRING = Shape("string")
NULL = Shape("null")

_FAMILIES = {**dict.fromkeys(NUMBERS, "a number"), **dict.fromkeys(TEXTS, "a text")}
_FAMILIES |= {"bool": "true or false", "list": "a list", "map": "a mapping", "null": "null"}


def family(shape: Shape) -> str | None:
    """What values of this shape are compared as, in words; None where anything is possible."""
    return _FAMILIES.get(shape.type)


def in_words(shape: Shape) -> str:
    """What a value of this shape is, in words that fit after *not*."""
    return {"duration": "a duration", "float": "a float", "int": "an int"}.get(shape.type) or family(shape) or "this"


def shape_of(field: Field) -> Shape:
    """The shape of a param or of a result field; each may be null as well, and is compared with null freely."""
    if field.items is not None:
        fields = dict.fromkeys(field.items, ANY)
        return Shape("list", items=Shape("map", fields, origin=f'an item of "{field.name}"'))
    return Shape(field.type, choices=field.choices if field.type in TEXTS else None)


def shape_of_result(step_id: str, declaration: StepDeclaration | None, *, repeated: bool) -> Shape:
    """The result of a step; of a step with ``for_each`` it is ``{results: [...], count: int}``."""
    if declaration is None:
        return ANY
    fields = {field.name: shape_of(field) for field in declaration.results}
    return shape_of_map(fields, f'step "{step_id}" ({declaration.name})', repeated=repeated)


def shape_of_map(fields: Mapping[str, Shape], origin: str, *, repeated: bool) -> Shape:
    """A result with these fields, or one such for each item of ``for_each``."""
    if not repeated:
        return Shape("map", fields, origin=origin)
    each = Shape("map", fields, origin=f"one result of {origin}")
    return Shape("map", {"results": Shape("list", items=each), "count": INT}, origin=f"{origin} with for_each")


def common(left: Shape, right: Shape) -> Shape:
    """The shape of a value that is one or the other."""
    return left if left == right else ANY


def fits(shape: Shape, field: Field) -> bool:
    """Whether a value of this shape may fit the field, as far as can be known at load."""
    if "any" in (shape.type, field.type):
        return True
    if field.type in TEXTS:
        return shape.type in TEXTS
    takes = {
        "duration": {"duration", "int", "float", "string"},  # a text is read as a duration when the step begins
        "float": NUMBERS,
    }
    return shape.type in takes.get(field.type, {field.type})
