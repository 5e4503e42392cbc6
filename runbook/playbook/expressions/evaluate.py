"""The values of expressions, and of what holds some, on the data of a run."""

from __future__ import annotations

import ast
from typing import Any

from runbook.errors import ExpressionError, InvalidValueError
from runbook.playbook.diagnostics import quoted
from runbook.playbook.expressions.compute import compute, items_in
from runbook.playbook.expressions.model import UNKNOWN, Expression, Scope, Template, reads
from runbook.playbook.expressions.operators import asked, bounded_data, bounded_string, format_value
from runbook.playbook.model import Value
from runbook.playbook.types import convert


def evaluate(expression: Expression, scope: Scope) -> Any:
    """The value of an expression; UNKNOWN where only a real run can tell.

    Raises:
        ExpressionError: it cannot be computed on this data; the sentence begins with the place and the text.
    """
    try:
        return compute(expression.tree, scope)
    except ExpressionError as error:
        raise ExpressionError(f"{expression.mark}: in {quoted(expression.text)}: {error}") from None
    except RecursionError:
        message = f"{expression.mark}: in {quoted(expression.text)}: the data is nested too deeply"
        raise ExpressionError(message) from None


def evaluate_condition(expression: Expression, scope: Scope) -> Any:
    """The expression of an ``if`` and its kin: True, False or UNKNOWN."""
    value = evaluate(expression, scope)
    try:
        return value if asked(value) is UNKNOWN else bool(value)
    except ExpressionError as error:
        raise ExpressionError(f"{expression.mark}: in {quoted(expression.text)}: {error}") from None


MOST_TOLD = 3
"""Values of one condition that are told: more is not read in a line."""


def describe_reads(condition: Expression, scope: Scope) -> str:
    """What a condition was decided on, to be said after it: ``; result.status is 503``."""
    told: dict[str, str] = {}
    for node in reads(condition.tree):
        try:
            value = compute(node, scope)
        except ExpressionError:
            continue
        if value is not UNKNOWN:
            told[ast.unparse(node)] = quoted(value) if isinstance(value, str) else _one_line(format_value(value, "any"))
    return "".join(f"; {name} is {value}" for name, value in list(told.items())[:MOST_TOLD])


def _one_line(text: str, limit: int = 100) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"


def evaluate_items(expression: Expression, scope: Scope) -> Any:
    """The expression of a ``for_each``: a list or UNKNOWN; of a mapping, a list of ``{"key", "value"}``."""
    value = evaluate(expression, scope)
    try:
        return items_in(value, "for_each")
    except ExpressionError as error:
        raise ExpressionError(f"{expression.mark}: {error}") from None


def resolve(value: Value, scope: Scope) -> Any:
    """Plain data of the type that ``value`` must have, made anew each time; UNKNOWN where only a real run can tell.

    Raises:
        ExpressionError: an expression cannot be computed, or its result does not fit; with the place.
    """
    data = _fill(value.content, scope)
    if next(value.expressions(), None) is not None:
        data = bounded_data(data)
    try:
        return convert(value.field, data)
    except InvalidValueError as error:
        raise ExpressionError(f"{value.mark}: {value.label} {error}") from None


def _fill(content: Any, scope: Scope) -> Any:
    """``content`` with the result of each expression in its place."""
    if isinstance(content, Expression):
        return evaluate(content, scope)
    if isinstance(content, Template):
        return _fill_template(content, scope)
    if isinstance(content, list):
        return [_fill(item, scope) for item in content]
    if isinstance(content, dict):
        return {key: _fill(item, scope) for key, item in content.items()}
    return content


def _fill_template(template: Template, scope: Scope) -> Any:
    """Every expression is computed even where one is UNKNOWN, so that a dry run finds what is wrong with any."""
    parts: list[str] = []
    unknown = False
    for part in template.parts:
        if isinstance(part, str):
            parts.append(part)
            continue
        value = evaluate(part, scope)
        unknown = unknown or value is UNKNOWN
        parts.append("" if value is UNKNOWN else format_value(value, part.type))
    return UNKNOWN if unknown else bounded_string("".join(parts))
