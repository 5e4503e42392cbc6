"""The expression language: a small subset of Python's syntax, compiled at load to closures over the scope."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from typing import Any, TypeAlias

from runbook.playbook.faults import quoted
from runbook.playbook.model import Expression, Mark, Scope
from runbook.playbook.operators import (
    FUNCTIONS,
    UNKNOWN,
    ExpressionError,
    arithmetic,
    conjunction,
    contains,
    disjunction,
    equal,
    member,
    negation,
    order,
    sign,
)
from runbook.playbook.syntax import (
    ParsedExpression,
    asked_step,
    children,
    is_step_reference,
    literal_key,
)

Evaluate: TypeAlias = Callable[[Scope], Any]

CONSTANTS: Mapping[str, Any] = {"true": True, "false": False, "null": None}
"""Names that mean a value, as in YAML; Python's own ``True``, ``False`` and ``None`` are read as well."""

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
    ast.Lt: order("<", operator.lt),
    ast.LtE: order("<=", operator.le),
    ast.Gt: order(">", operator.gt),
    ast.GtE: order(">=", operator.ge),
    ast.In: contains,
    ast.NotIn: lambda item, container: negation(contains(item, container)),
}


def finish(parsed: ParsedExpression, mark: Mark) -> Expression:
    """Compile a parsed expression; an error of its evaluation names ``mark`` and the text.

    Its ``evaluate(scope)`` raises :class:`ExpressionError` only; it is :data:`UNKNOWN` where only a real run can tell.
    """
    evaluate, names, secrets, asks = _compiled(parsed)
    text = parsed.text.strip()

    def evaluated(scope: Scope) -> Any:
        try:
            return evaluate(scope)
        except ExpressionError as error:
            raise ExpressionError(f"{mark}: in {quoted(text)}: {error}") from None
        except RecursionError:
            raise ExpressionError(f"{mark}: in {quoted(text)}: the data is nested too deeply") from None

    return Expression(text, names, evaluated, secrets, asks)


@lru_cache(maxsize=512)
def _compiled(parsed: ParsedExpression) -> tuple[Evaluate, frozenset[str], frozenset[str], frozenset[str]]:
    reads = list(_reads(parsed.tree))
    names, secrets, asks = (
        frozenset(name for kind, name in reads if kind == wanted) for wanted in ("", "secret", "ask")
    )
    return _build(parsed.tree), names, secrets, asks


def _reads(tree: ast.expr) -> Iterator[tuple[str, str]]:
    """Each name that is read, with what it is: ``secret``, ``ask``, or nothing for an entry of the scope."""
    pending = [tree]
    while pending:
        node = pending.pop()
        pending += children(node)
        if is_step_reference(node):
            yield "", literal_key(node) or ""
        elif isinstance(node, ast.Name) and node.id not in CONSTANTS:
            yield "", node.id
        elif isinstance(node, ast.Attribute | ast.Subscript):
            if isinstance(node.value, ast.Name) and node.value.id == "secrets":
                yield "secret", literal_key(node) or ""
        elif (asked := asked_step(node)) is not None:
            yield from (("", "outcomes"), ("ask", asked))


def _build(node: ast.expr) -> Evaluate:
    if is_step_reference(node):
        return _lookup(literal_key(node) or "")
    asked = asked_step(node)
    if asked is not None:
        return _outcome(asked)
    return _BUILDERS[type(node)](node)


def _lookup(name: str) -> Evaluate:
    def lookup(scope: Scope) -> Any:
        if name in scope:
            return scope[name]
        raise ExpressionError(f"there is no value of {quoted(name)} here: its step did not run, or was skipped")

    return lookup


def _outcome(step_id: str) -> Evaluate:
    def outcome(scope: Scope) -> Any:
        outcomes = scope.get("outcomes", {})
        return UNKNOWN if outcomes is UNKNOWN else outcomes.get(step_id, "not_run")

    return outcome


def _constant(node: ast.Constant) -> Evaluate:
    return _always(node.value)


def _always(value: Any) -> Evaluate:
    return lambda _scope: value


def _name(node: ast.Name) -> Evaluate:
    if node.id in CONSTANTS:
        return _always(CONSTANTS[node.id])
    return _lookup(node.id)


def _attribute(node: ast.Attribute) -> Evaluate:
    base, key = _build(node.value), node.attr
    return lambda scope: member(base(scope), key)


def _subscript(node: ast.Subscript) -> Evaluate:
    base, key = _build(node.value), _build(node.slice)
    return lambda scope: member(base(scope), key(scope))


def _compare(node: ast.Compare) -> Evaluate:
    first = _build(node.left)
    rest = [(_COMPARISON[type(op)], _build(right)) for op, right in zip(node.ops, node.comparators, strict=True)]
    if len(rest) == 1:
        ((only, second),) = rest
        return lambda scope: only(first(scope), second(scope))

    def compare(scope: Scope) -> Any:
        values = [first(scope)]

        def holds(test: Callable[[Any, Any], Any], right: Evaluate) -> Any:
            values.append(right(scope))
            return test(values[-2], values[-1])

        return conjunction([partial(holds, test, right) for test, right in rest])

    return compare


def _logic(node: ast.BoolOp) -> Evaluate:
    join = conjunction if isinstance(node.op, ast.And) else disjunction
    operands = [_build(value) for value in node.values]
    return lambda scope: join([partial(operand, scope) for operand in operands])


def _unary(node: ast.UnaryOp) -> Evaluate:
    apply, operand = _UNARY[type(node.op)], _build(node.operand)
    return lambda scope: apply(operand(scope))


def _binary(node: ast.BinOp) -> Evaluate:
    apply, left, right = _BINARY[type(node.op)], _build(node.left), _build(node.right)
    return lambda scope: apply(left(scope), right(scope))


def _choice(node: ast.IfExp) -> Evaluate:
    test, yes, no = _build(node.test), _build(node.body), _build(node.orelse)

    def choose(scope: Scope) -> Any:
        decided = test(scope)
        if decided is UNKNOWN:
            return UNKNOWN
        return yes(scope) if decided else no(scope)

    return choose


def _list(node: ast.List) -> Evaluate:
    items = [_build(item) for item in node.elts]
    return lambda scope: [item(scope) for item in items]


def _call(node: ast.Call) -> Evaluate:
    function = FUNCTIONS[node.func.id][0]  # type: ignore[attr-defined]  # the syntax check lets names through only
    arguments = [_build(argument) for argument in node.args]
    return lambda scope: function(*(argument(scope) for argument in arguments))


_BUILDERS: Mapping[type[ast.expr], Callable[[Any], Evaluate]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Subscript: _subscript,
    ast.Compare: _compare,
    ast.BoolOp: _logic,
    ast.UnaryOp: _unary,
    ast.BinOp: _binary,
    ast.IfExp: _choice,
    ast.List: _list,
    ast.Call: _call,
}
