"""Computes expressions and values on the data of a run, by walking their syntax trees."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from runbook.errors import ExpressionError, InvalidValueError
from runbook.playbook.diagnostics import describe_value, quoted
from runbook.playbook.expressions.functions import FUNCTIONS
from runbook.playbook.expressions.model import UNKNOWN, Expression, Scope, Template
from runbook.playbook.expressions.operators import (
    arithmetic,
    bounded_data,
    bounded_string,
    conjunction,
    contains,
    disjunction,
    equal,
    member,
    negation,
    ordering,
    sign,
)
from runbook.playbook.expressions.syntax import CONSTANTS, OUTCOME, asked_step, is_step_reference, literal_key
from runbook.playbook.expressions.templates import format_value
from runbook.playbook.model import Value
from runbook.playbook.types import convert

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: arithmetic("+", operator.add),
    ast.Sub: arithmetic("-", operator.sub),
    ast.Mult: arithmetic("*", operator.mul),
    ast.Div: arithmetic("/", operator.truediv),
    ast.FloorDiv: arithmetic("//", operator.floordiv),
    ast.Mod: arithmetic("%", operator.mod),
}
_UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.Not: negation,
    ast.USub: sign("-", operator.neg),
    ast.UAdd: sign("+", operator.pos),
}
_COMPARISON: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: equal,
    ast.NotEq: lambda left, right: negation(equal(left, right)),
    ast.Lt: ordering("<", operator.lt),
    ast.LtE: ordering("<=", operator.le),
    ast.Gt: ordering(">", operator.gt),
    ast.GtE: ordering(">=", operator.ge),
    ast.In: contains,
    ast.NotIn: lambda item, container: negation(contains(item, container)),
}


def evaluate(expression: Expression, scope: Scope) -> Any:
    """The value of an expression; UNKNOWN where only a real run can tell.

    Raises:
        ExpressionError: it cannot be computed on this data; the sentence begins with the place and the text.
    """
    try:
        return _evaluate(expression.tree, scope)
    except ExpressionError as error:
        raise ExpressionError(f"{expression.mark}: in {quoted(expression.text)}: {error}") from None
    except RecursionError:
        message = f"{expression.mark}: in {quoted(expression.text)}: the data is nested too deeply"
        raise ExpressionError(message) from None


def evaluate_condition(expression: Expression, scope: Scope) -> Any:
    """The expression of an ``if`` and its kin: True, False or UNKNOWN."""
    value = evaluate(expression, scope)
    return value if value is UNKNOWN else bool(value)


def evaluate_items(expression: Expression, scope: Scope) -> Any:
    """The expression of a ``for_each``: a list or UNKNOWN; of a mapping, a list of ``{"key", "value"}``."""
    value = evaluate(expression, scope)
    if isinstance(value, Mapping):
        return [{"key": key, "value": item} for key, item in value.items()]
    if value is UNKNOWN or isinstance(value, list | tuple):
        return value
    raise ExpressionError(f"{expression.mark}: for_each needs a list or a mapping, not {describe_value(value)}")


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


def _evaluate(node: ast.expr, scope: Scope) -> Any:
    return _EVALUATORS[type(node)](node, scope)


def _constant(node: ast.Constant, _scope: Scope) -> Any:
    return node.value


def _name(node: ast.Name, scope: Scope) -> Any:
    return CONSTANTS[node.id] if node.id in CONSTANTS else _look_up(node.id, scope)


def _member(node: ast.Attribute | ast.Subscript, scope: Scope) -> Any:
    if type(node.value) is ast.Name and is_step_reference(node):
        return _look_up(literal_key(node) or "", scope)
    key = node.attr if isinstance(node, ast.Attribute) else _evaluate(node.slice, scope)
    return member(_evaluate(node.value, scope), key)


def _look_up(name: str, scope: Scope) -> Any:
    if name in scope:
        return scope[name]
    raise ExpressionError(f"there is no value of {quoted(name)} here: its step did not run, or was skipped")


def _compare(node: ast.Compare, scope: Scope) -> Any:
    left = _evaluate(node.left, scope)
    if len(node.ops) == 1:
        return _COMPARISON[type(node.ops[0])](left, _evaluate(node.comparators[0], scope))
    return conjunction(_compare_chain(node, left, scope))


def _compare_chain(node: ast.Compare, left: Any, scope: Scope) -> Iterator[Any]:
    """``a < b < c``: each comparison in turn, so that ``c`` is not computed where ``a < b`` is False."""
    for op, comparator in zip(node.ops, node.comparators, strict=True):
        right = _evaluate(comparator, scope)
        yield _COMPARISON[type(op)](left, right)
        left = right


def _logic(node: ast.BoolOp, scope: Scope) -> Any:
    join = conjunction if isinstance(node.op, ast.And) else disjunction
    return join(_evaluate(operand, scope) for operand in node.values)


def _unary(node: ast.UnaryOp, scope: Scope) -> Any:
    return _UNARY[type(node.op)](_evaluate(node.operand, scope))


def _binary(node: ast.BinOp, scope: Scope) -> Any:
    return _BINARY[type(node.op)](_evaluate(node.left, scope), _evaluate(node.right, scope))


def _choice(node: ast.IfExp, scope: Scope) -> Any:
    test = _evaluate(node.test, scope)
    if test is UNKNOWN:
        return UNKNOWN
    return _evaluate(node.body if test else node.orelse, scope)


def _list(node: ast.List, scope: Scope) -> Any:
    return [_evaluate(item, scope) for item in node.elts]


def _call(node: ast.Call, scope: Scope) -> Any:
    name = node.func.id  # type: ignore[attr-defined]  # the syntax lets nothing but names be called
    if name == OUTCOME:
        outcomes = scope.get("outcomes", {})
        return UNKNOWN if outcomes is UNKNOWN else outcomes.get(asked_step(node), "not_run")
    return FUNCTIONS[name].call(*[_evaluate(argument, scope) for argument in node.args])


_EVALUATORS: Mapping[type[ast.expr], Callable[[Any, Scope], Any]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _member,
    ast.Subscript: _member,
    ast.Compare: _compare,
    ast.BoolOp: _logic,
    ast.UnaryOp: _unary,
    ast.BinOp: _binary,
    ast.IfExp: _choice,
    ast.List: _list,
    ast.Call: _call,
}
