"""The syntax of expressions: text to a syntax tree, or everything that is wrong with it.

Python's own parser makes the tree; what is not in our small subset is refused here, node by node, before anything
looks at it. Names and types are not looked at.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from runbook.errors import Mark
from runbook.playbook.expressions.model import OUTCOME, Expression, asked_step, children, literal_key
from runbook.playbook.expressions.refused import INVALID, SyntaxProblem, explain_syntax_error, why_refused

OPEN = "${{"
_TEMPLATE = re.compile(r"""\$\{\{((?:[^'"{}]|'[^']*'|"[^"]*"|\}(?!\}))*)\}\}""")
_PIECE = re.compile(r"""[^'"{}]+|'[^']*'|"[^"]*"|[{}]""")


class Part(NamedTuple):
    """A part of a text: an expression or what stands around it. ``start`` is its offset in the text."""

    text: str
    start: int
    is_expression: bool = False

    @property
    def end(self) -> int:
        """The offset of what follows it: behind the ``}}`` of an expression."""
        return self.start + len(self.text) + (2 if self.is_expression else 0)


class Unclosed(NamedTuple):
    """An expression without its end; the text is not looked at further. ``why`` fits after *the expression that…*."""

    start: int
    why: str
    suggestion: str | None


def _match(text: str, begin: int) -> Part | None:
    """The expression that begins with ``${{`` at ``begin``; nothing where it does not end. A mapping in it may end
    with ``}}`` as well, which then closes no more than the mapping.
    """
    match = _TEMPLATE.match(text, begin, begin + MAX_LENGTH + 10)
    if match:
        return Part(match[1], match.start(1), is_expression=True)
    start, depth = begin + len(OPEN), 0
    for piece in _PIECE.finditer(text, start, begin + MAX_LENGTH + 10):
        if piece[0] == "}" and depth == 0 and text.startswith("}}", piece.start()):
            return Part(text[start : piece.start()], start, is_expression=True)
        depth += {"{": 1, "}": -1 if depth else 0}.get(piece[0], 0)
    return None


def whole_expression(text: str) -> Part | None:
    """The expression of a text that is one ``${{ … }}`` and nothing else."""
    begin = len(text) - len(text.lstrip())
    part = _match(text, begin) if text.startswith(OPEN, begin) else None
    return None if part is None or text[part.end :].strip() else part


def split_template(text: str) -> Iterator[Part | Unclosed]:
    """The expressions in a text, and the text before, between and after them."""
    at = 0
    while (begin := text.find(OPEN, at)) >= 0:
        part = _match(text, begin)
        if part is None and "}}" in text[begin:]:
            why = f"holds an open quote or brace, or more than {MAX_LENGTH:,} characters"
            yield Unclosed(begin, why, None)
            return
        if part is None:
            yield Unclosed(begin, "is never closed", "Close it with }}.")
            return
        if begin > at:
            yield Part(text[at:begin], at)
        yield part
        at = part.end
    if text[at:]:
        yield Part(text[at:], at)


MAX_LENGTH = 1000
MAX_PARTS = 200
MAX_NESTING = 40
"""Limits of one expression: what a person can still read, and far below where a parser or the stack gives in."""


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

    @property
    def reads_item(self) -> bool:
        """Whether it is another one for each item of a ``for_each``."""
        if "item" not in self.text and "loop" not in self.text:
            return False
        return any(isinstance(node, ast.Name) and node.id in ("item", "loop") for node in ast.walk(self.tree))

    def at(self, mark: Mark, value_type: str = "any") -> Expression:
        """The expression as a playbook holds it: ``mark`` is its place, ``value_type`` what is known of its value."""
        return Expression(
            self.text.strip(), mark, self.tree, value_type, self.secrets(), self.outcomes(), self.reads_item
        )


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
        problem = explain_syntax_error(flat, (error.offset or 1) - 1)
        return problem._replace(offset=indent + problem.offset)
    except (ValueError, RecursionError, MemoryError):
        return SyntaxProblem(indent, INVALID)
    if b"#" in flat.encode()[tree.end_col_offset or 0 :]:
        return SyntaxProblem(indent + flat.rindex("#"), "an expression cannot hold a comment")
    return tree


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
        refused = why_refused(node)
        if refused:
            problems.append(SyntaxProblem(parsed.offset(node), *refused))
        else:
            pending += [(child, depth + 1) for child in children(node)]
    return problems or parsed._replace(size=size)
