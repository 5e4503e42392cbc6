"""Text with ``${{ … }}`` in it: where each expression stands, and how a value reads inside a text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from runbook.errors import ExpressionError
from runbook.playbook.diagnostics import describe_value
from runbook.playbook.expressions.operators import bounded_data
from runbook.playbook.expressions.syntax import MAX_LENGTH
from runbook.playbook.types import format_duration

OPEN = "${{"
_TEMPLATE = re.compile(r"""\$\{\{((?:[^'"}]|'[^']*'|"[^"]*"|\}(?!\}))*)\}\}""")


class Part(NamedTuple):
    """A part of a text: an expression or what stands around it. ``start`` is its offset in the text."""

    text: str
    start: int
    is_expression: bool = False


class Unclosed(NamedTuple):
    """An expression without its end; the text is not looked at further. ``why`` fits after *the expression that…*."""

    start: int
    why: str
    suggestion: str | None


def whole_expression(text: str) -> Part | None:
    """The expression of a text that is one ``${{ … }}`` and nothing else."""
    begin = len(text) - len(text.lstrip())
    match = _TEMPLATE.match(text, begin, begin + MAX_LENGTH + 10)
    if match is None or text[match.end() :].strip():
        return None
    return Part(match[1], match.start(1), is_expression=True)


def split_template(text: str) -> Iterator[Part | Unclosed]:
    """The expressions in a text, and the text before, between and after them."""
    at = 0
    while (begin := text.find(OPEN, at)) >= 0:
        match = _TEMPLATE.match(text, begin, begin + MAX_LENGTH + 10)
        if match is None and "}}" in text[begin:]:
            yield Unclosed(begin, f"holds an open quote, or more than {MAX_LENGTH:,} characters", None)
            return
        if match is None:
            yield Unclosed(begin, "is never closed", "Close it with }}.")
            return
        if begin > at:
            yield Part(text[at:begin], at)
        yield Part(match[1], match.start(1), is_expression=True)
        at = match.end()
    if text[at:]:
        yield Part(text[at:], at)


def format_value(value: Any, type_name: str) -> str:
    """How a value of this type reads inside a text: a duration as ``30s``, lists and mappings as JSON, else as YAML."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return describe_value(value)
    if isinstance(value, int | float) and type_name == "duration":
        return format_duration(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, int):
        return str(value)
    import json

    try:
        return json.dumps(bounded_data(value), ensure_ascii=False, default=str)
    except RecursionError:
        raise ExpressionError("the data is nested too deeply for a text") from None
