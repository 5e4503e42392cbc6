"""Text to the tree of an expression, or everything that is wrong with its syntax. Names are not looked at here."""

from __future__ import annotations

import ast
import math
import re
from functools import lru_cache
from typing import NamedTuple

from runbook.playbook.faults import did_you_mean, quoted
from runbook.playbook.operators import FUNCTIONS
from runbook.playbook.scalars import MAX_INT

MAX_LENGTH = 1000
MAX_PARTS = 200
MAX_NESTING = 40
"""Limits of one expression: what a person can still read, and far below where a parser or the stack gives in."""

OPERATORS: dict[type[ast.AST], str] = {
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

_ABSENT: dict[type[ast.AST], tuple[str, str | None]] = {
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
_LEAVES_AND_BRANCHES = (ast.Name, ast.Attribute, ast.BoolOp, ast.IfExp, ast.List)
_UNREADABLE = "this is not an expression that can be read"
_FOREIGN = (("&&", "and"), ("||", "or"), ("===", "=="))


OUTCOME = "outcome"
"""``outcome(ID)`` looks like a function, but takes a step and not its result, as that may be missing."""


class Problem(NamedTuple):
    """What is wrong at ``offset`` (in characters) of an expression's text."""

    offset: int
    message: str
    suggestion: str | None = None


class ParsedExpression(NamedTuple):
    """A text that is in the language: the tree holds nothing but what can be compiled."""

    text: str
    tree: ast.expr
    parts: int = 0

    def offset(self, node: ast.expr) -> int:
        """Where ``node`` begins in the text, in characters (``ast`` counts bytes, without leading space)."""
        flat = self.text.lstrip()
        return len(self.text) - len(flat) + len(flat.encode()[: node.col_offset].decode(errors="ignore"))

    def last(self, node: ast.expr, word: str) -> int:
        """Where ``word``, with which ``node`` ends, begins in the text."""
        flat = self.text.lstrip()
        end = len(flat.encode()[: node.end_col_offset].decode(errors="ignore"))
        return len(self.text) - len(flat) + max(end - len(word), 0)


@lru_cache(maxsize=512)
def parse_expression(text: str) -> ParsedExpression | list[Problem]:
    """The parsed expression, or every problem of its syntax. A line break counts as a space."""
    if len(text) > MAX_LENGTH:
        return [Problem(0, f"an expression may have {MAX_LENGTH:,} characters; this one has {len(text):,}")]
    text = "".join(" " if c.isspace() else c for c in text)
    if not text.strip():
        return [Problem(0, "an expression is missing here")]
    tree = _python(text.lstrip(), len(text) - len(text.lstrip()))
    if isinstance(tree, Problem):
        return [tree]
    return _within_the_language(ParsedExpression(text, tree))


def _python(flat: str, indent: int) -> ast.expr | Problem:
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's advice about odd literals is not for an operator
            tree = ast.parse(flat, mode="eval").body
    except SyntaxError as error:
        return _syntax_problem(flat, indent, (error.offset or 1) - 1)
    except (ValueError, RecursionError, MemoryError):
        return Problem(indent, _UNREADABLE)
    if b"#" in flat.encode()[tree.end_col_offset or 0 :]:
        return Problem(indent + flat.rindex("#"), "an expression cannot hold a comment")
    return tree


def _syntax_problem(flat: str, indent: int, offset: int) -> Problem:
    """Python's own words and places differ between its versions and speak of Python; ours do not."""
    for foreign, ours in _FOREIGN:
        if foreign in flat:
            return Problem(
                indent + flat.index(foreign), f"{quoted(foreign)} is not part of the expression language", _write(ours)
            )
    shouted = re.search(r"\b(AND|OR|NOT|IN)\b", flat)
    if shouted:
        word = shouted[0]
        return Problem(
            indent + shouted.start(), f"{quoted(word)} is not part of the expression language", _write(word.lower())
        )
    for at, character in enumerate(flat):
        neighbours = flat[max(at - 1, 0) : at] + flat[at + 1 : at + 2]
        if character == "=" and not set(neighbours) & set("=<>!"):
            return Problem(indent + at, '"=" is not part of the expression language', _write("=="))
        if character == "!" and flat[at + 1 : at + 2] != "=":
            return Problem(indent + at, '"!" is not part of the expression language', _write("not"))
    return Problem(indent + min(max(offset, 0), len(flat) - 1), _UNREADABLE)


def _write(ours: str | None) -> str | None:
    return f"Write {quoted(ours)}." if ours else None


def _within_the_language(parsed: ParsedExpression) -> ParsedExpression | list[Problem]:
    problems: list[Problem] = []
    parts = 0
    pending: list[tuple[ast.expr, int]] = [(parsed.tree, 1)]
    while pending:
        node, depth = pending.pop()
        parts += 1
        if parts > MAX_PARTS or depth > MAX_NESTING:
            limits = f"{MAX_PARTS} parts and {MAX_NESTING} levels"
            return [*problems, Problem(parsed.offset(node), f"the expression is too large; it may have {limits}")]
        problem = _problem(parsed, node)
        if problem:
            problems.append(problem)
        else:
            pending += [(child, depth + 1) for child in children(node)]
    return problems or parsed._replace(parts=parts)


def children(node: ast.expr) -> list[ast.expr]:
    """The parts of ``node`` that have a value of their own: not a function's name, nor ``steps`` in ``steps.ID``."""
    if isinstance(node, ast.Constant | ast.Name) or is_step_reference(node) or asked_step(node) is not None:
        return []
    if isinstance(node, ast.Call):
        return node.args
    return [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]


def literal_key(node: ast.expr) -> str | None:
    """``id`` of ``x.id`` and of ``x["id"]``; nothing for every other node."""
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        return node.slice.value
    return None


def is_step_reference(node: ast.expr) -> bool:
    """Whether this is ``steps.ID``, which means the same as ``ID``."""
    if not isinstance(node, ast.Attribute | ast.Subscript) or literal_key(node) is None:
        return False
    return isinstance(node.value, ast.Name) and node.value.id == "steps"


def asked_step(node: ast.expr) -> str | None:
    """``ID`` of ``outcome(ID)``; nothing for every other node."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id != OUTCOME:
        return None
    if len(node.args) != 1 or node.keywords:
        return None
    step = node.args[0]
    return step.id if isinstance(step, ast.Name) else literal_key(step) if is_step_reference(step) else None


def _problem(parsed: ParsedExpression, node: ast.expr) -> Problem | None:
    fault = _fault(node)
    return Problem(parsed.offset(node), *fault) if fault else None


def _fault(node: ast.expr) -> tuple[str, str | None] | None:
    """Why this part cannot stand in an expression, and what to write instead."""
    if isinstance(node, ast.Constant):
        return _constant_fault(node.value)
    if isinstance(node, ast.BinOp | ast.UnaryOp):
        return _operator_fault(node.op)
    if isinstance(node, ast.Compare):
        return next((found for op in node.ops if (found := _operator_fault(op))), None)
    if isinstance(node, ast.Call):
        return _call_fault(node)
    if isinstance(node, ast.Subscript):
        sliced = isinstance(node.slice, ast.Slice | ast.Tuple | ast.Starred)
        return ("slices are not part of the expression language", None) if sliced else None
    if isinstance(node, ast.Name) and node.id == "steps":
        return '"steps" needs the id of a step after it', "Write it like steps.dead.peers."
    if isinstance(node, _LEAVES_AND_BRANCHES):
        return None
    return f"{_name(node)} is not part of the expression language", None


def _name(node: ast.expr) -> str:
    names = {ast.JoinedStr: "an f-string", ast.Dict: "a mapping", ast.Tuple: "a tuple", ast.Set: "a set"}
    names |= {ast.Lambda: '"lambda"', ast.Starred: '"*"', ast.NamedExpr: '":="'}
    if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        return '"for ... in"'
    return names.get(type(node), "this")


def _constant_fault(value: object) -> tuple[str, str | None] | None:
    if (isinstance(value, int) and value > MAX_INT) or (isinstance(value, float) and not math.isfinite(value)):
        return "this number is too large", None
    if value is None or isinstance(value, str | int | float):
        return None
    return "this is not part of the expression language", None


def _operator_fault(op: ast.AST) -> tuple[str, str | None] | None:
    if type(op) in OPERATORS:
        return None
    symbol, ours = _ABSENT.get(type(op), ("such an operator", None))
    return f"{quoted(symbol)} is not part of the expression language", _write(ours)


def _call_fault(node: ast.Call) -> tuple[str, str | None] | None:
    known = ", ".join((*FUNCTIONS, OUTCOME))
    if not isinstance(node.func, ast.Name):
        return f"only functions can be called: {known}", None
    if node.func.id == OUTCOME:
        wrong = "outcome takes the id of one step in its parentheses"
        return (wrong, "Write it like outcome(dead).") if asked_step(node) is None else None
    if node.func.id not in FUNCTIONS:
        message = f"there is no function {quoted(node.func.id)}; there are {known}"
        return message, did_you_mean(node.func.id, (*FUNCTIONS, OUTCOME))
    _, wanted = FUNCTIONS[node.func.id]
    given = len(node.args)
    if node.keywords or not given or (wanted is not None and given != wanted):
        count = {None: "one value or more", 1: "one value"}.get(wanted, f"{wanted} values")
        return f"{node.func.id} takes {count} in its parentheses", None
    return None
