"""What is wrong with a text that is no expression, in our own words: Python's differ by version."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from runbook.playbook.diagnostics import quoted

INVALID = "this is not a valid expression"
_WORDS = {"AND": "and", "OR": "or", "NOT": "not", "IN": "in"}
_OTHER_LANGUAGES = {"&&": "and", "||": "or", "===": "==", "!==": "!=", "!": "not", "=": "==", "<>": "!="}
_CLOSES = {")": "(", "]": "[", "}": "{"}
_OPENS = {opening: closing for closing, opening in _CLOSES.items()}
_TOKEN = re.compile(
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
    tokens = [_Token(match.lastgroup or "", match[0], match.start()) for match in _TOKEN.finditer(flat)]
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
