"""What of Python's syntax is no part of the language, and what to write instead."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from runbook.playbook.diagnostics import did_you_mean, quoted
from runbook.playbook.expressions.functions import FUNCTIONS
from runbook.playbook.expressions.model import OUTCOME, asked_step
from runbook.playbook.yaml_scalars import MAX_INT

INVALID = "this is not a valid expression"
_WORDS = {"AND": "and", "OR": "or", "NOT": "not", "IN": "in"}
_OTHER_LANGUAGES = {"&&": "and", "||": "or", "===": "==", "!==": "!=", "!": "not", "=": "==", "<>": "!="}
_CLOSES = {")": "(", "]": "[", "}": "{"}
_OPENS = {opening: closing for closing, opening in _CLOSES.items()}
_LEXEME = (  # compiled where something is wrong
    r"""(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?P<open_text>['"])|(?P<number>\d[\w.]*)|(?P<word>[^\W\d]\w*)"""
    r"""|(?P<sign>&&|\|\||[=!]==|[=!<>]=|<>|//|\*\*|:=|[-+*/%<>=!&|^~@,.:?()\[\]{}])|(?P<odd>\S)"""
)
_NEEDS_ONE_BEFORE = frozenset({"and", "or", "in", "==", "!=", "<", "<=", ">", ">=", "*", "/", "//", "%"})
_NEEDS_ONE_AFTER = _NEEDS_ONE_BEFORE | {"+", "-", "not", "if", "else", "for", "."}
_WORDS_OF_THE_LANGUAGE = frozenset({"and", "or", "in", "not", "if", "else", "for", "is"})


class SyntaxProblem(NamedTuple):
    """What is wrong at ``offset`` (in characters) of an expression's text."""

    offset: int
    message: str
    suggestion: str | None = None


class _Token(NamedTuple):
    kind: str
    text: str
    at: int

    @property
    def ends_a_value(self) -> bool:
        return self.kind in ("text", "number") or self.text in _CLOSES or self.is_name

    @property
    def begins_a_value(self) -> bool:
        return self.kind in ("text", "number") or self.is_name

    @property
    def is_name(self) -> bool:
        return self.kind == "word" and self.text not in _WORDS_OF_THE_LANGUAGE


def not_in_the_language(symbol: str, ours: str | None) -> tuple[str, str | None]:
    """That there is no such symbol, and what to write."""
    return f"{quoted(symbol)} is not part of the expression language", f"Write {quoted(ours)}." if ours else None


def explain_syntax_error(flat: str, offset: int) -> SyntaxProblem:
    """``flat`` is what Python's parser does not take; ``offset`` is where it gave up."""
    tokens = [_Token(match.lastgroup or "", match[0], match.start()) for match in re.finditer(_LEXEME, flat)]
    found = _foreign(tokens) or _unclosed(tokens) or (_incomplete(tokens) if tokens else None)
    return found or SyntaxProblem(min(max(offset, 0), len(flat) - 1), INVALID)


def _foreign(tokens: list[_Token]) -> SyntaxProblem | None:
    """Symbols and words of other languages."""
    for token in tokens:
        if token.kind == "sign" and token.text in _OTHER_LANGUAGES:
            return SyntaxProblem(token.at, *not_in_the_language(token.text, _OTHER_LANGUAGES[token.text]))
        if token.text in _WORDS:
            return SyntaxProblem(token.at, *not_in_the_language(token.text, _WORDS[token.text]))
        if token.text == "?":
            return SyntaxProblem(token.at, not_in_the_language("?", None)[0], "Write yes if condition else no.")
        if token.text == ":=":
            return SyntaxProblem(token.at + 1, *not_in_the_language("=", "=="))
    return None


def _unclosed(tokens: list[_Token]) -> SyntaxProblem | None:
    """Quotes and brackets that do not come in pairs."""
    opened: list[_Token] = []
    for token in tokens:
        if token.kind == "open_text":
            return SyntaxProblem(token.at, f"the text that begins with {token.text} here is never closed")
        if token.text in _OPENS:
            opened.append(token)
        elif token.text in _CLOSES:
            if not opened:
                return SyntaxProblem(token.at, f"{quoted(token.text)} closes nothing", "Take it out.")
            last = opened.pop()
            if last.text != _CLOSES[token.text]:
                what = f"{quoted(token.text)} does not close the {quoted(last.text)} at character {last.at + 1}"
                return SyntaxProblem(token.at, what, f"Write {quoted(_OPENS[last.text])} before it.")
    if opened:
        first = opened[-1]
        return SyntaxProblem(first.at, f"{quoted(first.text)} is never closed", f"Add {quoted(_OPENS[first.text])}.")
    return None


def _incomplete(tokens: list[_Token]) -> SyntaxProblem | None:
    """A value or an operator that is missing."""
    first, last = tokens[0], tokens[-1]
    if first.text in _NEEDS_ONE_BEFORE:
        return SyntaxProblem(first.at, f"a value is missing before {quoted(first.text)}")
    for one, other in pairwise(tokens):
        if one.ends_a_value and other.begins_a_value:
            what = f"nothing joins {quoted(one.text)} and {quoted(other.text)}"
            return SyntaxProblem(other.at, what, "Write an operator, such as == or and, between them.")
        if one.text in _NEEDS_ONE_AFTER and other.text in _NEEDS_ONE_BEFORE and (one.text, other.text) != ("not", "in"):
            return SyntaxProblem(other.at, f"a value is missing between {quoted(one.text)} and {quoted(other.text)}")
    if last.text in _NEEDS_ONE_AFTER:
        return SyntaxProblem(last.at, f"a value is missing after {quoted(last.text)}")
    words = [token.text for token in tokens]
    if "if" in words and "else" not in words and "for" not in words:
        return SyntaxProblem(tokens[words.index("if")].at, '"if" needs "else" here', "Write yes if condition else no.")
    return None


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
