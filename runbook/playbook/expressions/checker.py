"""Names and types of expressions, checked at load against the params and what the steps declare."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from runbook.playbook.diagnostics import did_you_mean, quoted
from runbook.playbook.expressions.functions import DEFAULT
from runbook.playbook.expressions.model import asked_step, is_step_reference, literal_key
from runbook.playbook.expressions.name_checker import Member, NameChecker, Report
from runbook.playbook.expressions.refused import OPERATORS
from runbook.playbook.expressions.static_scope import ENDED_RUN, OUTCOMES, RESERVED, RUN, StaticScope
from runbook.playbook.expressions.static_types import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    STRING,
    StaticType,
    comparison_error,
    format_known,
    type_of_call,
)
from runbook.playbook.expressions.syntax import ParsedExpression


def check_expression(parsed: ParsedExpression, scope: StaticScope, report: Report) -> StaticType:
    """The type of the expression's value, after reporting every name and type in it that cannot be right."""
    return _Checker(parsed, scope, report).type_of(parsed.tree)


def check_condition(parsed: ParsedExpression, scope: StaticScope, report: Report) -> StaticType:
    """As :func:`check_expression`, where the value is to be true or false."""
    return _Checker(parsed, scope, report).truth_of(parsed.tree)


class _Checker(NameChecker):
    """A method for each kind of node gives the type of its value: ANY after an error, which is so reported once."""

    def type_of(self, node: ast.expr) -> StaticType:
        if is_step_reference(node):
            return self.step(node, literal_key(node) or "")
        return self._METHODS[type(node)](self, node)

    # -- members

    def _member(self, node: Member) -> StaticType:
        key = literal_key(node)
        if key is not None and isinstance(node.value, ast.Name) and node.value.id in ("params", "secrets"):
            return self.param(node, key) if node.value.id == "params" else self.secret(node, key)
        base = self.type_of(node.value)
        if isinstance(node, ast.Subscript) and key is None:
            return self._indexed(node, base)
        if base.type == "map":
            return self._field(node, base, key or "")
        if base.type in ("any", "null"):
            return ANY
        suggestion = "Take one with [0], or each with for_each." if base.type == "list" else None
        return self.key_error(node, f"{base.compared_as} has no field {quoted(key or '')}", suggestion)

    def _field(self, node: Member, base: StaticType, key: str) -> StaticType:
        if base.fields is None or key in base.fields:
            return base.fields[key] if base.fields is not None else ANY
        of_an_ended_run = base is RUN and key in (ENDED_RUN.fields or ())
        suggestion = "It exists only in on_failure and finally." if of_an_ended_run else did_you_mean(key, base.fields)
        message = f"{base.origin} has no {quoted(key)}{format_known(base.fields)}"
        return self.key_error(node, message, suggestion)

    def _indexed(self, node: ast.Subscript, base: StaticType) -> StaticType:
        index = self.type_of(node.slice)
        if base.type == "list":
            if index.compared_as not in (None, "a number"):
                return self.error(node, f"an item of a list is named by its number, not by {index.compared_as}")
            return base.items or ANY
        if base.type in ("map", "any", "null"):
            return ANY
        return self.error(node, f"{base.compared_as} has no items")

    # -- operators

    def _compare(self, node: ast.Compare) -> StaticType:
        operands = [node.left, *node.comparators]
        types = [self.type_of(operand) for operand in operands]
        for place, op in enumerate(node.ops):
            left, right = types[place], types[place + 1]
            error = comparison_error(op, left, right)
            if error:
                self.error(operands[place], *error)
            if isinstance(op, ast.Eq | ast.NotEq):
                self._refuse_impossible_choice(operands[place], right)
                self._refuse_impossible_choice(operands[place + 1], left)
        return BOOL

    def _refuse_impossible_choice(self, literal: ast.expr, other: StaticType) -> None:
        """``mode == "fsat"`` is never true; three-valued logic would hide it for ever."""
        value = literal.value if isinstance(literal, ast.Constant) else None
        if not other.choices or not isinstance(value, str) or value in other.choices:
            return
        choices = [str(choice) for choice in other.choices]
        listed = ", ".join(quoted(choice) for choice in choices)
        self.error(literal, f"this is never {quoted(value)}: it is one of {listed}", did_you_mean(value, choices))

    def truth_of(self, node: ast.expr) -> StaticType:
        """The type of a part that is asked whether it is true: of a text nobody knows, as "false" is one as well."""
        if isinstance(node, ast.BoolOp):
            for value in node.values:
                self.truth_of(value)
            return ANY
        if isinstance(node, ast.IfExp):
            for part in (node.test, node.body, node.orelse):
                self.truth_of(part)
            return ANY
        found = self.type_of(node)
        if found.compared_as != "a string":
            return found
        suggestion = 'Compare it, as in x == "yes", or declare a param as bool.'
        return self.error(node, "text is neither true nor false", suggestion)

    def _logic(self, node: ast.BoolOp) -> StaticType:
        *before, last = node.values
        types = [*map(self.truth_of, before), self.type_of(last)]
        return types[0] if all(one == types[0] for one in types) else ANY

    def _unary(self, node: ast.UnaryOp) -> StaticType:
        if isinstance(node.op, ast.Not):
            self.truth_of(node.operand)
            return BOOL
        operand = self.type_of(node.operand)
        if operand.compared_as not in (None, "a number"):
            return self.error(node, f"{quoted(OPERATORS[type(node.op)])} needs a number, not {operand.compared_as}")
        return operand

    def _arithmetic(self, node: ast.BinOp) -> StaticType:
        left, right = self.type_of(node.left), self.type_of(node.right)
        one, other = left.compared_as, right.compared_as
        if isinstance(node.op, ast.Add) and {one, other} <= {None, "a string"}:
            return STRING if one and other else ANY
        if not {one, other} <= {None, "a number"}:
            symbol = quoted(OPERATORS[type(node.op)])
            if one and other:
                return self.error(node, f"{symbol} cannot combine {one} with {other}")
            return self.error(node, f"{symbol} cannot take {one or other}")
        if one is None or other is None:
            return ANY
        return INT if left == right == INT and not isinstance(node.op, ast.Div) else FLOAT

    def _choice(self, node: ast.IfExp) -> StaticType:
        self.truth_of(node.test)
        yes, no = self.type_of(node.body), self.type_of(node.orelse)
        return yes if yes == no else ANY

    def _list(self, node: ast.List) -> StaticType:
        types = [self.type_of(item) for item in node.elts]
        same = bool(types) and all(one == types[0] for one in types)
        return StaticType("list", items=types[0] if same else None)

    def _mapping(self, node: ast.Dict) -> StaticType:
        fields: dict[str, StaticType] = {}
        literal = True
        for key, value in zip(node.keys, node.values, strict=True):
            found = self.type_of(key) if key is not None else ANY
            if found.compared_as not in (None, "a string"):
                self.error(key or node, f"a key of a mapping is a text, not {found.compared_as}")
            literal = literal and isinstance(key, ast.Constant)
            fields[str(getattr(key, "value", ""))] = self.type_of(value)
        return StaticType("map", fields if literal else None, origin="this mapping")

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp) -> StaticType:
        bound = dict(self.scope.bound)
        with self.scope.override(bound=bound):
            for generator in node.generators:
                name = getattr(generator.target, "id", "")
                item = self._item_of(generator.iter)
                if name in RESERVED or name in self.scope.steps:
                    self.error(generator.target, f"{quoted(name)} has a meaning here already", "Take another name.")
                bound[name] = item
                for condition in generator.ifs:
                    self.truth_of(condition)
            return StaticType("list", items=self.type_of(node.elt))

    def _item_of(self, node: ast.expr) -> StaticType:
        """The type of what ``for ... in`` takes from it, one after the other."""
        found = self.type_of(node)
        item, inner = found.each()
        if item is None:
            meant = f"Did you mean {ast.unparse(node)}.{inner}?" if inner else None
            return self.error(node, f'"for ... in" needs a list, not {found.compared_as}', meant)
        return item

    def _call(self, node: ast.Call) -> StaticType:
        asked = asked_step(node)
        if asked is not None:
            if asked not in self.scope.steps:
                self.unknown_step(node.args[0], asked)
            return StaticType("string", choices=OUTCOMES)
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        types = [self._argument(name, place, argument) for place, argument in enumerate(node.args)]
        found = type_of_call(name, node.args, types)
        return found if isinstance(found, StaticType) else self.error(*found)

    def _argument(self, function: str, place: int, node: ast.expr) -> StaticType:
        if function != DEFAULT or place > 0:
            return self.type_of(node)
        before, self.may_be_missing = self.may_be_missing, True
        try:
            return self.type_of(node)
        finally:
            self.may_be_missing = before

    _METHODS: ClassVar[Mapping[type[ast.expr], Callable[[_Checker, Any], StaticType]]] = {
        ast.Constant: NameChecker.constant,
        ast.Name: NameChecker.name,
        ast.Attribute: _member,
        ast.Subscript: _member,
        ast.Compare: _compare,
        ast.BoolOp: _logic,
        ast.UnaryOp: _unary,
        ast.BinOp: _arithmetic,
        ast.IfExp: _choice,
        ast.List: _list,
        ast.Dict: _mapping,
        ast.ListComp: _comprehension,
        ast.GeneratorExp: _comprehension,
        ast.Call: _call,
    }
