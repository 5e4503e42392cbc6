"""Computes an expression by walking its syntax tree."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from runbook.errors import ExpressionError
from runbook.playbook.diagnostics import describe_value, quoted
from runbook.playbook.expressions.functions import DEFAULT, FUNCTIONS
from runbook.playbook.expressions.model import (
    CONSTANTS,
    OUTCOME,
    UNKNOWN,
    Scope,
    asked_step,
    is_step_reference,
    literal_key,
)
from runbook.playbook.expressions.operators import (
    MAX_ITEMS,
    NotThereError,
    arithmetic,
    asked,
    conjunction,
    contains,
    disjunction,
    equal,
    member,
    negation,
    ordering,
    sign,
)

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


def compute(node: ast.expr, scope: Scope) -> Any:
    """The value of ``node`` and all in it; UNKNOWN where only a real run can tell. Raises ExpressionError."""
    return _EVALUATORS[type(node)](node, scope)


def _constant(node: ast.Constant, _scope: Scope) -> Any:
    return node.value


def _name(node: ast.Name, scope: Scope) -> Any:
    return CONSTANTS[node.id] if node.id in CONSTANTS else _look_up(node.id, scope)


def _member(node: ast.Attribute | ast.Subscript, scope: Scope) -> Any:
    base = node.value
    if (
        type(base) is ast.Name and base.id == "steps" and is_step_reference(node)
    ):  # the name first: nearly all are others
        return _look_up(literal_key(node) or "", scope)
    key = node.attr if type(node) is ast.Attribute else compute(node.slice, scope)  # type: ignore[union-attr]
    return member(_name(base, scope) if type(base) is ast.Name else compute(base, scope), key)


def _look_up(name: str, scope: Scope) -> Any:
    if name in scope:
        return scope[name]
    raise NotThereError(f"there is no value of {quoted(name)} here: its step did not run, or was skipped")


def _compare(node: ast.Compare, scope: Scope) -> Any:
    left = compute(node.left, scope)
    if len(node.ops) == 1:
        right = compute(node.comparators[0], scope)
        if type(scope) is _Loop:
            scope.spend(left, right)
        return _COMPARISON[type(node.ops[0])](left, right)
    return conjunction(_compare_chain(node, left, scope))


def _compare_chain(node: ast.Compare, left: Any, scope: Scope) -> Iterator[Any]:
    """``a < b < c``: each comparison in turn, so that ``c`` is not computed where ``a < b`` is False."""
    for op, comparator in zip(node.ops, node.comparators, strict=True):
        right = compute(comparator, scope)
        yield _COMPARISON[type(op)](left, right)
        left = right


def _logic(node: ast.BoolOp, scope: Scope) -> Any:
    join = conjunction if isinstance(node.op, ast.And) else disjunction
    return join(_operands(node, scope))


def _operands(node: ast.BoolOp, scope: Scope) -> Iterator[Any]:
    """Of each but the last it is asked whether it is true; the last may be what the whole gives, of any type."""
    last = node.values[-1]
    for operand in node.values:
        value = compute(operand, scope)
        yield value if operand is last else asked(value)


def _unary(node: ast.UnaryOp, scope: Scope) -> Any:
    return _UNARY[type(node.op)](compute(node.operand, scope))


def _binary(node: ast.BinOp, scope: Scope) -> Any:
    return _BINARY[type(node.op)](compute(node.left, scope), compute(node.right, scope))


def _choice(node: ast.IfExp, scope: Scope) -> Any:
    test = compute(node.test, scope)
    if test is UNKNOWN:
        return UNKNOWN
    return compute(node.body if asked(test) else node.orelse, scope)


def _list(node: ast.List, scope: Scope) -> Any:
    return [compute(item, scope) for item in node.elts]


def _mapping(node: ast.Dict, scope: Scope) -> Any:
    """A key that is not known makes the whole unknown."""
    made: dict[str, Any] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        name = compute(key, scope)  # type: ignore[arg-type]  # the syntax has no ** in it
        if name is UNKNOWN:
            return UNKNOWN
        if not isinstance(name, str):
            raise ExpressionError(f"a key of a mapping is a text, not {describe_value(name)}")
        made[name] = compute(value, scope)
    return made


class _Loop(dict[str, Any]):
    """The names inside a comprehension, in front of those around it; and how much all of it may still do."""

    def __init__(self, outer: Scope) -> None:
        super().__init__()
        self._outer = outer
        self.work: list[int] = outer.work if type(outer) is _Loop else [MAX_WORK]

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self._outer

    def __missing__(self, name: str) -> Any:
        return self._outer[name]

    def get(self, name: str, otherwise: Any = None) -> Any:
        """As of one mapping."""
        try:
            return self[name]
        except KeyError:
            return otherwise

    def spend(self, *values: Any) -> None:
        """The work that an operation on these values is. Raises ExpressionError when it was too much."""
        for value in values:
            self.work[0] -= 1 + (len(value) if type(value) in (list, dict, str) else 0)
        if self.work[0] < 0:
            raise ExpressionError('"for ... in" does too much: it goes through more than a person could ever check')


MAX_WORK = MAX_ITEMS
"""What one comprehension may do, with those inside it: items gone through, and items of what is compared there."""


def _comprehension(node: ast.ListComp | ast.GeneratorExp, scope: Scope) -> Any:
    made: list[Any] = []
    return made if _go_through(node, 0, _Loop(scope), made) else UNKNOWN


def _go_through(node: ast.ListComp | ast.GeneratorExp, level: int, scope: _Loop, made: list[Any]) -> bool:
    """Whether it is known which items there are."""
    if level == len(node.generators):
        made.append(compute(node.elt, scope))
        return True
    generator = node.generators[level]
    items = items_in(compute(generator.iter, scope), '"for ... in"')
    if items is UNKNOWN:
        return False
    for item in items:
        scope.spend(None)
        scope[generator.target.id] = item  # type: ignore[attr-defined]  # the syntax lets nothing but a name stand there
        holds = conjunction(asked(compute(condition, scope)) for condition in generator.ifs)
        if holds is UNKNOWN or (holds and not _go_through(node, level + 1, scope, made)):
            return False
    return True


def items_in(value: Any, name: str) -> Any:
    """What ``name`` goes through: the items of a list, of a mapping ``{"key", "value"}`` of each; or UNKNOWN."""
    if isinstance(value, Mapping):
        return [{"key": key, "value": item} for key, item in value.items()]
    if value is UNKNOWN or isinstance(value, list | tuple):
        return value
    raise ExpressionError(f"{name} needs a list or a mapping, not {describe_value(value)}")


def _call(node: ast.Call, scope: Scope) -> Any:
    name = node.func.id  # type: ignore[attr-defined]  # the syntax lets nothing but names be called
    if name == OUTCOME:
        outcomes = scope.get("outcomes", {})
        return UNKNOWN if outcomes is UNKNOWN else outcomes.get(asked_step(node), "not_run")
    if name == DEFAULT:
        return _first_that_is_there(node.args, scope)
    arguments = [compute(argument, scope) for argument in node.args]
    if type(scope) is _Loop:
        scope.spend(*arguments)
    return FUNCTIONS[name].call(*arguments)


def _first_that_is_there(arguments: list[ast.expr], scope: Scope) -> Any:
    """``default(a, b)``."""
    try:
        value = compute(arguments[0], scope)
    except NotThereError:
        value = None
    return compute(arguments[1], scope) if value is None else value


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
    ast.Dict: _mapping,
    ast.ListComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.Call: _call,
}
