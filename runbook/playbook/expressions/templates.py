"""Text with ``${{ … }}`` in it: where each expression stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from runbook.playbook.expressions.syntax import MAX_LENGTH

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
