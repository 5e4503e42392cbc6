"""What of Python's syntax is no part of the language, and what to write instead."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from typing import Any

from runbook.playbook.diagnostics import did_you_mean, quoted
from runbook.playbook.expressions.functions import FUNCTIONS
from runbook.playbook.expressions.syntax_errors import not_in_the_language
from runbook.playbook.expressions.tree import OUTCOME, asked_step
from runbook.playbook.yaml_scalars import MAX_INT

OPERATORS: Mapping[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.USub: "-",
    ast.UAdd: "+",
    ast.Not: "not",
    ast.And: "and",
    ast.Or: "or",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
}
"""What the language has; everything else of Python is refused."""

_REFUSED_OPERATORS: Mapping[type[ast.AST], tuple[str, str | None]] = {
    ast.Pow: ("**", None),
    ast.MatMult: ("@", None),
    ast.BitOr: ("|", "or"),
    ast.BitAnd: ("&", "and"),
    ast.BitXor: ("^", None),
    ast.LShift: ("<<", None),
    ast.RShift: (">>", None),
    ast.Invert: ("~", "not"),
    ast.Is: ("is", "=="),
    ast.IsNot: ("is not", "!="),
}
_A_LIST_INSTEAD = "Write a list: [peer.id for peer in dead.peers if peer.voter]."
_REFUSED_NODES: Mapping[type[ast.AST], tuple[str, str | None]] = {
    ast.JoinedStr: ("an f-string", 'Write "a" + str(b), or a text with ${{ }} in it.'),
    ast.Tuple: ("a tuple", "Write a list: [a, b]."),
    ast.Set: ("a set", "Write a list: [a, b]."),
    ast.Lambda: ('"lambda"', _A_LIST_INSTEAD),
    ast.Starred: ('"*"', None),
    ast.NamedExpr: ('":="', "Write ==, or give the value a name with a step that uses set."),
    ast.SetComp: ('"for ... in" in braces', _A_LIST_INSTEAD),
    ast.DictComp: ('"for ... in" in braces', _A_LIST_INSTEAD),
}
_ALWAYS_FINE = (ast.Name, ast.Attribute, ast.BoolOp, ast.IfExp, ast.List)
_METHODS: Mapping[str, str] = {
    **{name: name for name in FUNCTIONS},
    "strip": "trim",
    "splitlines": "lines",
    "toLowerCase": "lower",
    "toUpperCase": "upper",
    "trim": "trim",
    "startsWith": "startswith",
    "endsWith": "endswith",
    "get": "default",
    "length": "len",
    "size": "len",
    "tojson": "to_json",
    "from_json": "json",
    "count": "len",
    "string": "str",
}
"""Methods and filters of other languages, each with the function that it is here."""


def why_refused(node: ast.expr) -> tuple[str, str | None] | None:
    """Why this node cannot stand in an expression, and what to write instead; its children are not looked at."""
    if isinstance(node, ast.Name) and node.id == "steps":
        return '"steps" needs the id of a step after it', "Write it like steps.dead.peers."
    if isinstance(node, _ALWAYS_FINE):
        return None
    if isinstance(node, ast.Constant):
        value = node.value
        if (isinstance(value, int) and value > MAX_INT) or (isinstance(value, float) and not math.isfinite(value)):
            return "this number is too large", None
        fine = value is None or isinstance(value, str | int | float)
        return None if fine else ("this is not part of the expression language", None)
    if isinstance(node, ast.BinOp | ast.UnaryOp | ast.Compare):
        operators: list[Any] = [*node.ops] if isinstance(node, ast.Compare) else [node.op]
        for op in operators:
            if type(op) not in OPERATORS:
                return _why_operator_refused(node, op)
        return None
    if isinstance(node, ast.Call):
        return _why_call_refused(node)
    if isinstance(node, ast.Subscript):
        sliced = isinstance(node.slice, ast.Slice | ast.Tuple | ast.Starred)
        return ("slices are not part of the expression language", None) if sliced else None
    return _why_shape_refused(node)


def _why_shape_refused(node: ast.expr) -> tuple[str, str | None] | None:
    if isinstance(node, ast.ListComp | ast.GeneratorExp):
        one_name = all(isinstance(each.target, ast.Name) and not each.is_async for each in node.generators)
        return None if one_name else ('one name stands between "for" and "in"', "Write it like [x.id for x in list].")
    if isinstance(node, ast.Dict):
        return not_in_the_language("**", None) if None in node.keys else None
    what, suggestion = _REFUSED_NODES.get(type(node), ("this", None))
    return f"{what} is not part of the expression language", suggestion


def _why_operator_refused(node: ast.AST, op: ast.AST) -> tuple[str, str | None]:
    """``x | length`` is a filter of other tools, and not an ``or``."""
    filtered = getattr(node, "right", None)
    called = filtered.func if isinstance(filtered, ast.Call) else filtered
    if isinstance(op, ast.BitOr) and isinstance(called, ast.Name) and called.id in _METHODS:
        return '"|" is not part of the expression language', f"Write {_METHODS[called.id]}(…) around what is before it."
    return not_in_the_language(*_REFUSED_OPERATORS[type(op)])


def _why_call_refused(node: ast.Call) -> tuple[str, str | None] | None:
    if not isinstance(node.func, ast.Name):
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        instead = f"Write {_METHODS[method]}(…) around what is before the dot." if method in _METHODS else None
        return "only functions can be called, as in len(dead.peers)", instead
    name = node.func.id
    if name == OUTCOME:
        wrong = "outcome takes the id of one step"
        return (wrong, "Write it like outcome(dead).") if asked_step(node) is None else None
    if name not in FUNCTIONS:
        known = (*FUNCTIONS, OUTCOME)
        return f"there is no function {quoted(name)}", did_you_mean(name, known) or f"There are {', '.join(known)}."
    function = FUNCTIONS[name]
    if node.keywords or not function.can_take(len(node.args)):
        return f"{name} takes {function.describe_arguments()}", None
    return None
