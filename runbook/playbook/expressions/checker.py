"""Names and types of expressions, checked at load against the params and what the steps declare."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from runbook.playbook.diagnostics import closest_match, did_you_mean, quoted
from runbook.playbook.expressions.functions import FUNCTIONS
from runbook.playbook.expressions.static_scope import ENDED_RUN, LOOP, OUTCOMES, RUN, StaticScope
from runbook.playbook.expressions.static_types import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    NULL,
    STRING,
    StaticType,
    comparison_error,
)
from runbook.playbook.expressions.syntax import (
    CONSTANTS,
    OPERATORS,
    OUTCOME,
    ParsedExpression,
    asked_step,
    is_step_reference,
    literal_key,
)

Report = Callable[[int, str, "str | None"], None]
"""Takes an offset in the expression's text, a message and a suggestion."""
Member: TypeAlias = "ast.Attribute | ast.Subscript"


def check_expression(parsed: ParsedExpression, scope: StaticScope, report: Report) -> StaticType:
    """The type of the expression's value, after reporting every name and type in it that cannot be right."""
    return _Checker(parsed, scope, report).type_of(parsed.tree)


class _Checker:
    """A method for each kind of node gives the type of its value: ANY after an error, which is so reported once."""

    def __init__(self, parsed: ParsedExpression, scope: StaticScope, report: Report) -> None:
        self._parsed = parsed
        self._scope = scope
        self._report = report
        self._asked = parsed.outcomes()
        self._methods: Mapping[type[ast.expr], Callable[[Any], StaticType]] = {
            ast.Constant: self._constant,
            ast.Name: self._name,
            ast.Attribute: self._member,
            ast.Subscript: self._member,
            ast.Compare: self._compare,
            ast.BoolOp: self._logic,
            ast.UnaryOp: self._unary,
            ast.BinOp: self._arithmetic,
            ast.IfExp: self._choice,
            ast.List: self._list,
            ast.Call: self._call,
        }

    def type_of(self, node: ast.expr) -> StaticType:
        if is_step_reference(node):
            return self._step(node, literal_key(node) or "")
        return self._methods[type(node)](node)

    def _error(self, node: ast.expr, message: str, suggestion: str | None = None) -> StaticType:
        self._report(self._parsed.offset(node), message, suggestion)
        return ANY

    def _key_error(self, node: Member, message: str, suggestion: str | None = None) -> StaticType:
        """An error about ``id`` of ``x.id`` or ``x["id"]``, placed at the key."""
        if isinstance(node, ast.Subscript):
            return self._error(node.slice, message, suggestion)
        self._report(self._parsed.offset_of_last(node, node.attr), message, suggestion)
        return ANY

    def _constant(self, node: ast.Constant) -> StaticType:
        return {str: STRING, bool: BOOL, int: INT, float: FLOAT}.get(type(node.value), NULL)

    # -- names

    def _name(self, node: ast.Name) -> StaticType:
        name, scope = node.id, self._scope
        if name in CONSTANTS:
            return self._constant(ast.Constant(CONSTANTS[name]))
        if name == "params":
            scope.used_params |= set(scope.params)
            return StaticType("map", scope.params, origin="params")
        if name == "run":
            return scope.run
        if name in ("item", "loop"):
            inside = {"item": scope.item, "loop": LOOP}[name] if scope.item else None
            return inside or self._error(node, scope.no_item.replace("item", name))
        if name == "result":
            nowhere = '"result" exists only in "until", "assert", "else" and "undo" of a step'
            return scope.result or self._error(node, nowhere)
        if name == "secrets":
            return self._error(node, '"secrets" needs the name of a secret after it', "Write it like secrets.token.")
        if name in FUNCTIONS or name == OUTCOME:
            return self._error(node, f"{quoted(name)} is a function", f"Write {name}(…).")
        return self._step(node, name)

    def _step(self, node: ast.expr, name: str) -> StaticType:
        if name not in self._scope.steps:
            return self._unknown_step(node, name)
        why = self._scope.why_missing(name) if name not in self._asked else None
        if why:
            suggestion = f'Check first, here or in "if": outcome({name}) == "success".'
            return self._error(node, f"{quoted(name)} may have no result here: {why}", suggestion)
        return self._scope.steps[name]

    def _unknown_step(self, node: ast.expr, name: str) -> StaticType:
        scope = self._scope
        if name in scope.enclosing:
            which = "this step itself" if name == scope.enclosing[-1] else "the step around this one"
            suggestion = "Write result, which is what it has just given." if scope.result else None
            return self._error(node, f"{quoted(name)} is {which}, which has no result yet", suggestion)
        if name in scope.later:
            line = scope.later[name]
            return self._error(node, f"{quoted(name)} is used before it has a result: its step is on line {line}")
        if name in scope.closed:
            return self._error(node, f"{quoted(name)} is known only inside {scope.closed[name]}")
        if name in scope.params:
            scope.used_params.add(name)
            return self._error(node, f"{quoted(name)} is a param", f"Write params.{name}.")
        if name in scope.secrets:
            scope.used_secrets.add(name)
            return self._error(node, f"{quoted(name)} is a secret", f"Write secrets.{name}.")
        known = [*scope.keywords(), *scope.steps]
        return self._error(node, f"{quoted(name)} is not defined", did_you_mean(name, known))

    # -- members

    def _member(self, node: Member) -> StaticType:
        key = literal_key(node)
        if key is not None and isinstance(node.value, ast.Name) and node.value.id in ("params", "secrets"):
            return self._param(node, key) if node.value.id == "params" else self._secret(node, key)
        base = self.type_of(node.value)
        if isinstance(node, ast.Subscript) and key is None:
            return self._indexed(node, base)
        if base.type == "map":
            return self._field(node, base, key or "")
        if base.type in ("any", "null"):
            return ANY
        suggestion = "Take one with [0], or each with for_each." if base.type == "list" else None
        return self._key_error(node, f"{base.compared_as} has no field {quoted(key or '')}", suggestion)

    def _param(self, node: Member, key: str) -> StaticType:
        params, used = self._scope.params, self._scope.used_params
        if key in params:
            used.add(key)
            return params[key]
        meant = closest_match(key, params)
        used |= {meant} if meant else set()  # or it would be reported a second time, as unused
        return self._key_error(
            node, f"there is no param {quoted(key)}{_format_known(params)}", did_you_mean(key, params)
        )

    def _secret(self, node: Member, key: str) -> StaticType:
        secrets, used = self._scope.secrets, self._scope.used_secrets
        if key not in secrets:
            meant = closest_match(key, secrets)
            used |= {meant} if meant else set()
            message = f"there is no secret {quoted(key)}{_format_known(secrets)}"
            return self._key_error(node, message, did_you_mean(key, secrets))
        used.add(key)
        if self._scope.visible_place:
            message = f"a secret cannot stand in {self._scope.visible_place}, which is shown or recorded"
            return self._error(node, message, "Use it where it is sent, such as a header, and nowhere else.")
        return STRING

    def _field(self, node: Member, base: StaticType, key: str) -> StaticType:
        if base.fields is None or key in base.fields:
            return base.fields[key] if base.fields is not None else ANY
        of_an_ended_run = base is RUN and key in (ENDED_RUN.fields or ())
        suggestion = "It exists only in on_failure and finally." if of_an_ended_run else did_you_mean(key, base.fields)
        message = f"{base.origin} has no {quoted(key)}{_format_known(base.fields)}"
        return self._key_error(node, message, suggestion)

    def _indexed(self, node: ast.Subscript, base: StaticType) -> StaticType:
        index = self.type_of(node.slice)
        if base.type == "list":
            if index.compared_as not in (None, "a number"):
                return self._error(node, f"an item of a list is named by its number, not by {index.compared_as}")
            return base.items or ANY
        if base.type in ("map", "any", "null"):
            return ANY
        return self._error(node, f"{base.compared_as} has no items")

    # -- operators

    def _compare(self, node: ast.Compare) -> StaticType:
        operands = [node.left, *node.comparators]
        types = [self.type_of(operand) for operand in operands]
        for place, op in enumerate(node.ops):
            left, right = types[place], types[place + 1]
            error = comparison_error(op, left, right)
            if error:
                self._error(operands[place], *error)
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
        self._error(literal, f"this is never {quoted(value)}: it is one of {listed}", did_you_mean(value, choices))

    def _logic(self, node: ast.BoolOp) -> StaticType:
        types = [self.type_of(value) for value in node.values]
        return types[0] if all(one == types[0] for one in types) else ANY

    def _unary(self, node: ast.UnaryOp) -> StaticType:
        operand = self.type_of(node.operand)
        if isinstance(node.op, ast.Not):
            return BOOL
        if operand.compared_as not in (None, "a number"):
            return self._error(node, f"{quoted(OPERATORS[type(node.op)])} needs a number, not {operand.compared_as}")
        return operand

    def _arithmetic(self, node: ast.BinOp) -> StaticType:
        left, right = self.type_of(node.left), self.type_of(node.right)
        one, other = left.compared_as, right.compared_as
        if isinstance(node.op, ast.Add) and {one, other} <= {None, "a string"}:
            return STRING if one and other else ANY
        if not {one, other} <= {None, "a number"}:
            symbol = quoted(OPERATORS[type(node.op)])
            if one and other:
                return self._error(node, f"{symbol} cannot combine {one} with {other}")
            return self._error(node, f"{symbol} cannot take {one or other}")
        if one is None or other is None:
            return ANY
        return INT if left == right == INT and not isinstance(node.op, ast.Div) else FLOAT

    def _choice(self, node: ast.IfExp) -> StaticType:
        self.type_of(node.test)
        yes, no = self.type_of(node.body), self.type_of(node.orelse)
        return yes if yes == no else ANY

    def _list(self, node: ast.List) -> StaticType:
        types = [self.type_of(item) for item in node.elts]
        same = bool(types) and all(one == types[0] for one in types)
        return StaticType("list", items=types[0] if same else None)

    # -- functions

    def _call(self, node: ast.Call) -> StaticType:
        asked = asked_step(node)
        if asked is not None:
            if asked not in self._scope.steps:
                self._unknown_step(node.args[0], asked)
            return StaticType("string", choices=OUTCOMES)
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        types = [self.type_of(argument) for argument in node.args]
        if len(types) > 1 and name != "map":
            return ANY
        takes = {"a list", "a mapping", "a string"} if name == "len" else {"a list"}
        if types[0].compared_as not in takes | {None}:
            return self._error(node, f"{name} needs {' or '.join(sorted(takes))}, not {types[0].compared_as}")
        if name == "map":
            return self._mapped(node.args[1], types[0].items or ANY, types[1])
        if name == "sorted":
            return StaticType("list", items=types[0].items)
        return {"len": INT, "any": BOOL, "all": BOOL}.get(name, types[0].items or ANY)

    def _mapped(self, key: ast.expr, item: StaticType, key_type: StaticType) -> StaticType:
        """The list that ``map(items, key)`` gives."""
        if key_type.compared_as not in (None, "a string"):
            return self._error(key, f"map takes the name of a key in quotes, not {key_type.compared_as}")
        if not isinstance(key, ast.Constant) or item.fields is None:
            return StaticType("list")
        if key.value not in item.fields:
            message = f"{item.origin} has no {quoted(str(key.value))}{_format_known(item.fields)}"
            return self._error(key, message, did_you_mean(str(key.value), item.fields))
        return StaticType("list", items=item.fields[key.value])


def _format_known(known: Iterable[str]) -> str:
    names = sorted(known)
    return f" (there is {', '.join(names)})" if 0 < len(names) <= 10 else ""
