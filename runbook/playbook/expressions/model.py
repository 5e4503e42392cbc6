"""An expression as a frozen value, what it is computed on, and the value that is not known yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NoReturn

from runbook.errors import ExpressionError, Mark

if TYPE_CHECKING:
    import ast

Scope = Mapping[str, Any]
"""The names that an expression may read during a run, each with its value."""


class Unknown(Enum):
    """The type of :data:`UNKNOWN`; an enum, so that copies stay the one value and types can be narrowed by ``is``."""

    UNKNOWN = "known after apply"

    def __bool__(self) -> NoReturn:
        raise ExpressionError("whether this is true is known only after apply")

    def __repr__(self) -> str:
        return "(known after apply)"

    __str__ = __repr__


UNKNOWN: Final = Unknown.UNKNOWN
"""A value that only a real run can tell; plans and dry runs compute with it."""


@dataclass(frozen=True)
class Expression:
    """An expression as text and as Python's syntax tree of it.

    ``text`` alone is enough to parse it again; ``mark`` is where it begins, for errors. ``type`` is what was found out
    about its value at load: the type of a :class:`Field`, ``null``, or ``any``. ``secrets`` are the names after
    ``secrets.`` in it, ``outcomes`` the steps of which it asks ``outcome(…)``; ``reads_item`` says that it reads
    ``item`` or ``loop``.
    """

    text: str
    mark: Mark
    tree: ast.expr = field(compare=False, repr=False)
    type: str = "any"
    secrets: frozenset[str] = frozenset()
    outcomes: frozenset[str] = frozenset()
    reads_item: bool = False


@dataclass(frozen=True)
class Template:
    """A text with expressions in it, such as ``${{ item.name }} of ${{ dead.count }}``. Its value is a string."""

    parts: tuple[str | Expression, ...]
