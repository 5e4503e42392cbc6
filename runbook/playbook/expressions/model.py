"""An expression as a frozen value and as a syntax tree: what it is computed on, and what its nodes stand for."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NoReturn

from runbook.dataclass import dataclass
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


CONSTANTS: Mapping[str, Any] = {"true": True, "false": False, "null": None}
"""Names that mean a value, as in YAML; Python's own ``True``, ``False`` and ``None`` are read as well."""

OUTCOME = "outcome"
"""``outcome(ID)`` looks like a function, but takes a step and not its result, as that may be missing."""


def children(node: ast.expr) -> list[ast.expr]:
    """The parts of ``node`` that have a value of their own: not a function's name, nor ``steps`` in ``steps.ID``."""
    if isinstance(node, ast.Constant | ast.Name) or is_step_reference(node) or asked_step(node) is not None:
        return []
    if isinstance(node, ast.Call):
        return node.args
    if isinstance(node, ast.ListComp | ast.GeneratorExp):
        return [part for each in node.generators for part in (each.iter, *each.ifs)] + [node.elt]
    return [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]


def literal_key(node: ast.AST) -> str | None:
    """``id`` of ``x.id`` and of ``x["id"]``; nothing for every other node."""
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        return node.slice.value
    return None


def is_step_reference(node: ast.expr) -> bool:
    """Whether this is ``steps.ID``, which means the same as ``ID``."""
    base = getattr(node, "value", None)
    return isinstance(base, ast.Name) and base.id == "steps" and literal_key(node) is not None


def asked_step(node: ast.AST) -> str | None:
    """``ID`` of ``outcome(ID)``; nothing for every other node."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id != OUTCOME:
        return None
    if len(node.args) != 1 or node.keywords:
        return None
    step = node.args[0]
    return step.id if isinstance(step, ast.Name) else literal_key(step) if is_step_reference(step) else None


def reads(tree: ast.expr) -> Iterator[ast.expr]:
    """The data that it reads, such as ``result.stdout``: each as far as it is named, from left to right."""
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Attribute | ast.Subscript) and not _computes(node):
            yield node
        elif isinstance(node, ast.Name):
            if node.id not in CONSTANTS:
                yield node
        elif not isinstance(node, ast.ListComp | ast.GeneratorExp):
            pending += reversed(children(node))


def _computes(node: ast.expr) -> bool:
    """Whether something in ``a.b["c"][0]`` is more than a name or a literal."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Constant):
            return True
        node = node.value
    return not isinstance(node, ast.Name)


def calls(tree: ast.expr, function: str) -> bool:
    """Whether the whole of it is a call of this function."""
    return isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == function
