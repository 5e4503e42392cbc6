"""The syntax of expressions: text to a syntax tree, or everything that is wrong with it.

Python's own parser makes the tree; what is not in our small subset is refused here, node by node, before anything
looks at it. Names and types are not looked at.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from runbook.errors import Mark
from runbook.playbook.diagnostics import did_you_mean, quoted
from runbook.playbook.expressions.functions import FUNCTIONS
from runbook.playbook.expressions.model import Expression
from runbook.playbook.yaml_scalars import MAX_INT

MAX_LENGTH = 1000
MAX_PARTS = 200
MAX_NESTING = 40
"""Limits of one expression: what a person can still read, and far below where a parser or the stack gives in."""

CONSTANTS: Mapping[str, Any] = {"true": True, "false": False, "null": None}
"""Names that mean a value, as in YAML; Python's own ``True``, ``False`` and ``None`` are read as well."""

OUTCOME = "outcome"
"""``outcome(ID)`` looks like a function, but takes a step and not its result, as that may be missing."""

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
_REFUSED_NODES: Mapping[type[ast.AST], str] = {
    ast.JoinedStr: "an f-string",
    ast.Dict: "a mapping",
    ast.Tuple: "a tuple",
    ast.Set: "a set",
    ast.Lambda: '"lambda"',
    ast.Starred: '"*"',
    ast.NamedExpr: '":="',
    **dict.fromkeys((ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp), '"for ... in"'),
}
_ALWAYS_FINE = (ast.Name, ast.Attribute, ast.BoolOp, ast.IfExp, ast.List)
_OTHER_LANGUAGES = (("&&", "and"), ("||", "or"), ("===", "=="))
_INVALID = "this is not a valid expression"


class SyntaxProblem(NamedTuple):
    """What is wrong at ``offset`` (in characters) of an expression's text."""

    offset: int
    message: str
    suggestion: str | None = None


class ParsedExpression(NamedTuple):
    """A text that is in the language: the tree of ``size`` nodes holds nothing but what can be computed."""

    text: str
    tree: ast.expr
    size: int = 0

    def offset(self, node: ast.expr) -> int:
        """Where ``node`` begins in the text, in characters (``ast`` counts bytes, without leading space)."""
        return self._offset(node.col_offset)

    def offset_of_last(self, node: ast.expr, word: str) -> int:
        """Where ``word``, with which ``node`` ends, begins in the text."""
        return max(self._offset(node.end_col_offset or 0) - len(word), 0)

    def _offset(self, column: int) -> int:
        flat = self.text.lstrip()
        return len(self.text) - len(flat) + len(flat.encode()[:column].decode(errors="ignore"))

    def outcomes(self) -> frozenset[str]:
        """The steps of which it asks ``outcome(…)``."""
        if OUTCOME not in self.text:
            return frozenset()
        return frozenset(step for node in ast.walk(self.tree) if (step := asked_step(node)) is not None)

    def secrets(self) -> frozenset[str]:
        """The names after ``secrets.`` in it."""
        if "secrets" not in self.text:
            return frozenset()
        return frozenset(
            literal_key(node) or ""
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Attribute | ast.Subscript)
            and isinstance(node.value, ast.Name)
            and node.value.id == "secrets"
        )

    def at(self, mark: Mark, value_type: str = "any") -> Expression:
        """The expression as a playbook holds it: ``mark`` is its place, ``value_type`` what is known of its value."""
        return Expression(self.text.strip(), mark, self.tree, value_type, self.secrets(), self.outcomes())


@lru_cache(maxsize=512)
def parse_expression(text: str) -> ParsedExpression | list[SyntaxProblem]:
    """The parsed expression, or every problem of its syntax. A line break counts as a space."""
    if len(text) > MAX_LENGTH:
        return [SyntaxProblem(0, f"an expression may have {MAX_LENGTH:,} characters; this one has {len(text):,}")]
    text = "".join(" " if c.isspace() else c for c in text)
    if not text.strip():
        return [SyntaxProblem(0, "an expression is missing here")]
    flat = text.lstrip()
    tree = _parse_python(flat, len(text) - len(flat))
    if isinstance(tree, SyntaxProblem):
        return [tree]
    return _check_language(ParsedExpression(text, tree))


def _parse_python(flat: str, indent: int) -> ast.expr | SyntaxProblem:
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's advice about odd literals is not for an operator
            tree = ast.parse(flat, mode="eval").body
    except SyntaxError as error:
        at, message, suggestion = _explain_syntax_error(flat, (error.offset or 1) - 1)
        return SyntaxProblem(indent + at, message, suggestion)
    except (ValueError, RecursionError, MemoryError):
        return SyntaxProblem(indent, _INVALID)
    if b"#" in flat.encode()[tree.end_col_offset or 0 :]:
        return SyntaxProblem(indent + flat.rindex("#"), "an expression cannot hold a comment")
    return tree


def _explain_syntax_error(flat: str, offset: int) -> SyntaxProblem:
    """Python's own words and places differ between its versions and speak of Python; ours do not."""
    for theirs, ours in _OTHER_LANGUAGES:
        if theirs in flat:
            return SyntaxProblem(flat.index(theirs), *_not_in_the_language(theirs, ours))
    upper_case = re.search(r"\b(AND|OR|NOT|IN)\b", flat)
    if upper_case:
        return SyntaxProblem(upper_case.start(), *_not_in_the_language(upper_case[0], upper_case[0].lower()))
    for at, character in enumerate(flat):
        neighbours = flat[max(at - 1, 0) : at] + flat[at + 1 : at + 2]
        if character == "=" and not set(neighbours) & set("=<>!"):
            return SyntaxProblem(at, *_not_in_the_language("=", "=="))
        if character == "!" and flat[at + 1 : at + 2] != "=":
            return SyntaxProblem(at, *_not_in_the_language("!", "not"))
    return SyntaxProblem(min(max(offset, 0), len(flat) - 1), _INVALID)


def _not_in_the_language(symbol: str, ours: str | None) -> tuple[str, str | None]:
    return f"{quoted(symbol)} is not part of the expression language", f"Write {quoted(ours)}." if ours else None


def _check_language(parsed: ParsedExpression) -> ParsedExpression | list[SyntaxProblem]:
    problems: list[SyntaxProblem] = []
    size = 0
    pending: list[tuple[ast.expr, int]] = [(parsed.tree, 1)]
    while pending:
        node, depth = pending.pop()
        size += 1
        if size > MAX_PARTS or depth > MAX_NESTING:
            limits = f"{MAX_PARTS} parts and {MAX_NESTING} levels"
            return [*problems, SyntaxProblem(parsed.offset(node), f"the expression is too large; it may have {limits}")]
        refused = _why_refused(node)
        if refused:
            problems.append(SyntaxProblem(parsed.offset(node), *refused))
        else:
            pending += [(child, depth + 1) for child in children(node)]
    return problems or parsed._replace(size=size)


def _why_refused(node: ast.expr) -> tuple[str, str | None] | None:
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
                return _not_in_the_language(*_REFUSED_OPERATORS[type(op)])
        return None
    if isinstance(node, ast.Call):
        return _why_call_refused(node)
    if isinstance(node, ast.Subscript):
        sliced = isinstance(node.slice, ast.Slice | ast.Tuple | ast.Starred)
        return ("slices are not part of the expression language", None) if sliced else None
    return f"{_REFUSED_NODES.get(type(node), 'this')} is not part of the expression language", None


def _why_call_refused(node: ast.Call) -> tuple[str, str | None] | None:
    known = ", ".join((*FUNCTIONS, OUTCOME))
    if not isinstance(node.func, ast.Name):
        return f"only functions can be called: {known}", None
    name = node.func.id
    if name == OUTCOME:
        wrong = "outcome takes the id of one step"
        return (wrong, "Write it like outcome(dead).") if asked_step(node) is None else None
    if name not in FUNCTIONS:
        return f"there is no function {quoted(name)}; there are {known}", did_you_mean(name, (*FUNCTIONS, OUTCOME))
    takes, given = FUNCTIONS[name].arguments, len(node.args)
    if node.keywords or not given or (takes is not None and given != takes):
        count = {None: "one argument or more", 1: "one argument"}.get(takes, f"{takes} arguments")
        return f"{name} takes {count}", None
    return None


def children(node: ast.expr) -> list[ast.expr]:
    """The parts of ``node`` that have a value of their own: not a function's name, nor ``steps`` in ``steps.ID``."""
    if isinstance(node, ast.Constant | ast.Name) or is_step_reference(node) or asked_step(node) is not None:
        return []
    if isinstance(node, ast.Call):
        return node.args
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
