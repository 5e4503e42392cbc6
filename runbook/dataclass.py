"""``@dataclass(frozen=True)`` as the standard library has it, but each method is written when it is first called.

The library writes and compiles six methods of each class while its module is loaded. A run loads 150 classes, makes
objects of half of them, compares few and prints none, and that was a sixth of its processor time. What fields are, and
``replace``, ``asdict``, ``match`` and type checkers with them, is the library's own here too.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, Literal

_Class = type[Any]
_Writer = Callable[[_Class], Callable[..., Any]]


class _Late:
    """Stands in the place of a method. Whoever looks it up, to call it or to read its signature, has it written."""

    def __init__(self, kind: _Class, name: str, write: _Writer) -> None:
        self.kind, self.name, self.write = kind, name, write

    def __get__(self, instance: object, owner: _Class | None = None) -> Any:
        method = self.write(self.kind)  # two threads may both do it, and write the same
        method.__qualname__ = f"{self.kind.__qualname__}.{self.name}"
        setattr(self.kind, self.name, method)
        return method.__get__(instance, owner)


def _compiled(kind: _Class, line: str, values: dict[str, Any]) -> Callable[..., Any]:
    """The function that this ``def`` makes, in the module of its class; ``values`` are what else it names."""
    scope: dict[str, Any] = {}
    around = f"def _around({', '.join(values)}):\n {line}\n return {line[4 : line.index('(')]}"
    exec(around, vars(sys.modules[kind.__module__]), scope)  # noqa: S102 - names of our own fields
    function: Callable[..., Any] = scope["_around"](**values)
    return function


def _write_init(kind: _Class) -> Callable[..., Any]:
    values: dict[str, Any] = {"_made": dataclasses.MISSING}
    taken, kept = ["self"], []
    for field in dataclasses.fields(kind):
        name = field.name
        default, value = "", name
        if field.default is not dataclasses.MISSING:
            values[f"_{name}"], default = field.default, f"=_{name}"
        elif field.default_factory is not dataclasses.MISSING:
            values[f"_{name}"], default = field.default_factory, "=_made"
            value = f"_{name}() if {name} is _made else {name}"
        taken.append(name + default)
        kept.append(f"{name}={value}")
    after = "; self.__post_init__()" if hasattr(kind, "__post_init__") else ""
    init = _compiled(kind, f"def __init__({', '.join(taken)}): self.__dict__.update({', '.join(kept)}){after}", values)
    init.__annotations__ = {field.name: field.type for field in dataclasses.fields(kind)} | {"return": None}
    return init


def _values(kind: _Class, of: str) -> str:
    return "(" + "".join(f"{of}.{field.name}," for field in dataclasses.fields(kind) if field.compare) + ")"


def _write_eq(kind: _Class) -> Callable[..., Any]:
    same = f"{_values(kind, 'self')} == {_values(kind, 'other')} if other.__class__ is self.__class__"
    return _compiled(kind, f"def __eq__(self, other): return {same} else NotImplemented", {})


def _write_hash(kind: _Class) -> Callable[..., Any]:
    return _compiled(kind, f"def __hash__(self): return hash({_values(kind, 'self')})", {})


@recursive_repr()
def _repr(self: Any) -> str:
    shown = [f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr]
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _refuse_assignment(_self: object, name: str, _value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_deletion(_self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _finish(kind: _Class, eq: bool, repr: bool) -> _Class:  # noqa: A002 - the library's word
    dataclasses.dataclass(init=False, eq=False, repr=False)(kind)
    methods: dict[str, Any] = {"__init__": _Late(kind, "__init__", _write_init)}
    if eq:
        methods |= {"__eq__": _Late(kind, "__eq__", _write_eq), "__hash__": _Late(kind, "__hash__", _write_hash)}
    if repr:
        methods["__repr__"] = _repr
    methods |= {"__setattr__": _refuse_assignment, "__delattr__": _refuse_deletion}
    for name in methods.keys() - vars(kind).keys():
        setattr(kind, name, methods[name])
    return kind


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(*, frozen: Literal[True], eq: bool = True, repr: bool = True):  # noqa: A002, ARG001
        """Only what is frozen: of the others there are few, and their methods are the library's."""
        return lambda kind: _finish(kind, eq, repr)
