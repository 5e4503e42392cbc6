"""Names and types of expressions, checked at load against the params and what the steps declare."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from runbook.playbook.environment import ENDED_RUN, LOOP, RUN, Environment
from runbook.playbook.expressions import CONSTANTS
from runbook.playbook.faults import closest, did_you_mean, quoted
from runbook.playbook.operators import FUNCTIONS
from runbook.playbook.shapes import ANY, BOOL, FLOAT, INT, NULL, STRING, Shape, common, family
from runbook.playbook.syntax import OPERATORS, OUTCOME, ParsedExpression, asked_step, is_step_reference, literal_key

OUTCOMES = ("success", "skipped", "failed", "not_run")
RESERVED = frozenset(
    {"params", "run", "steps", "item", "loop", "result", "secrets", "outcomes", OUTCOME, *CONSTANTS, *FUNCTIONS}
)
"""Names with a meaning of their own in expressions, so that no step may have them as its id."""

Complain = Callable[[int, str, "str | None"], None]
"""Takes an offset in the expression's text, a message and a suggestion."""


def check(parsed: ParsedExpression, environment: Environment, complain: Complain) -> Shape:
    """The shape of the expression's value, after complaining of every name and type in it that cannot be right."""
    return _Checker(parsed, environment, complain).shape(parsed.tree)


class _Checker:
    def __init__(self, parsed: ParsedExpression, environment: Environment, complain: Complain) -> None:
        self._parsed = parsed
        self._environment = environment
        self._complain = complain
        self._asked = _asked(parsed)
        self._checkers: Mapping[type[ast.expr], Callable[[Any], Shape]] = {
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

    def shape(self, node: ast.expr) -> Shape:
        if is_step_reference(node):
            return self._step(node, literal_key(node) or "")
        return self._checkers[type(node)](node)

    def _fault(self, node: ast.expr, message: str, suggestion: str | None = None) -> Shape:
        self._complain(self._parsed.offset(node), message, suggestion)
        return ANY

    def _key_fault(self, node: ast.Attribute | ast.Subscript, message: str, suggestion: str | None = None) -> Shape:
        """A fault about ``id`` of ``x.id`` or ``x["id"]``, told at the key."""
        at = self._parsed.offset(node.slice) if isinstance(node, ast.Subscript) else self._parsed.last(node, node.attr)
        self._complain(at, message, suggestion)
        return ANY

    def _constant(self, node: ast.Constant) -> Shape:
        return {str: STRING, bool: BOOL, int: INT, float: FLOAT}.get(type(node.value), NULL)

    def _name(self, node: ast.Name) -> Shape:
        name, environment = node.id, self._environment
        if name in CONSTANTS:
            return self._constant(ast.Constant(CONSTANTS[name]))
        if name == "params":
            environment.used |= set(environment.params)
            return Shape("map", environment.params, origin="params")
        if name == "run":
            return environment.run
        if name in ("item", "loop"):
            inside = {"item": environment.item, "loop": LOOP}[name] if environment.item else None
            return inside or self._fault(node, environment.no_item.replace("item", name))
        if name == "result":
            nowhere = '"result" exists only in "until", "assert", "else" and "undo" of a step'
            return environment.result or self._fault(node, nowhere)
        if name == "secrets":
            return self._fault(node, '"secrets" needs the name of a secret after it', "Write it like secrets.token.")
        if name in FUNCTIONS or name == OUTCOME:
            return self._fault(node, f"{quoted(name)} is a function", f"Write {name}(…).")
        return self._step(node, name)

    def _step(self, node: ast.expr, name: str) -> Shape:
        environment = self._environment
        if name not in environment.steps:
            return self._no_step(node, name)
        why = environment.absence(name) if name not in self._asked else None
        if why:
            hint = f'Ask first, here or in "if": outcome({name}) == "success".'
            return self._fault(node, f"{quoted(name)} may have no result here: {why}", hint)
        return environment.steps[name]

    def _no_step(self, node: ast.expr, name: str) -> Shape:
        environment = self._environment
        if name in environment.own:
            which = "this step itself" if name == environment.own[-1] else "the step around this one"
            here = "Write result, which is what it has just given." if environment.result else None
            return self._fault(node, f"{quoted(name)} is {which}, which has no result yet", here)
        if name in environment.later:
            line = environment.later[name]
            return self._fault(node, f"{quoted(name)} is used before it has a result: its step stands on line {line}")
        if name in environment.closed:
            return self._fault(node, f"{quoted(name)} is known only inside {environment.closed[name]}")
        for section, known, used in (
            ("params", environment.params, environment.used),
            ("secrets", environment.secrets, environment.used_secrets),
        ):
            if name in known:
                used.add(name)
                return self._fault(node, f"{quoted(name)} is a {section[:-1]}", f"Write {section}.{name}.")
        return self._fault(node, f"{quoted(name)} is not defined", did_you_mean(name, environment.names()))

    def _member(self, node: ast.Attribute | ast.Subscript) -> Shape:
        key = literal_key(node)
        if key is not None and isinstance(node.value, ast.Name) and node.value.id in ("params", "secrets"):
            return self._param(node, key) if node.value.id == "params" else self._secret(node, key)
        base = self.shape(node.value)
        if isinstance(node, ast.Subscript) and key is None:
            return self._indexed(node, base)
        if base.type == "map":
            return self._field(node, base, key or "")
        if base.type in ("any", "null"):
            return ANY
        hint = "Take one with [0], or each with for_each." if base.type == "list" else None
        return self._key_fault(node, f"{family(base)} has no field {quoted(key or '')}", hint)

    def _param(self, node: ast.Attribute | ast.Subscript, key: str) -> Shape:
        params, used = self._environment.params, self._environment.used
        if key in params:
            used.add(key)
            return params[key]
        meant = closest(key, params)
        used |= {meant} if meant else set()  # or it would be told a second time, as unused
        return self._key_fault(node, f"there is no param {quoted(key)}{_listed(params)}", did_you_mean(key, params))

    def _secret(self, node: ast.Attribute | ast.Subscript, key: str) -> Shape:
        secrets, used = self._environment.secrets, self._environment.used_secrets
        if key not in secrets:
            meant = closest(key, secrets)
            used |= {meant} if meant else set()
            message = f"there is no secret {quoted(key)}{_listed(secrets)}"
            return self._key_fault(node, message, did_you_mean(key, secrets))
        used.add(key)
        if self._environment.place:
            message = f"a secret cannot stand in {self._environment.place}, which is shown or recorded"
            return self._fault(node, message, "Use it where it is sent, such as a header, and nowhere else.")
        return STRING

    def _field(self, node: ast.Attribute | ast.Subscript, base: Shape, key: str) -> Shape:
        if base.fields is None or key in base.fields:
            return base.fields[key] if base.fields is not None else ANY
        message = f"{base.origin} has no {quoted(key)}{_listed(base.fields)}"
        of_an_end = base is RUN and key in (ENDED_RUN.fields or ())
        hint = "It exists only in on_failure and finally." if of_an_end else did_you_mean(key, base.fields)
        return self._key_fault(node, message, hint)

    def _indexed(self, node: ast.Subscript, base: Shape) -> Shape:
        index = self.shape(node.slice)
        if base.type == "list":
            if family(index) not in (None, "a number"):
                return self._fault(node, f"an item of a list is named by its number, not by {family(index)}")
            return base.items or ANY
        if base.type in ("map", "any", "null"):
            return ANY
        return self._fault(node, f"{family(base)} has no items")

    def _compare(self, node: ast.Compare) -> Shape:
        operands = [node.left, *node.comparators]
        shapes = [self.shape(operand) for operand in operands]
        for op, left, right, at in zip(node.ops, shapes, shapes[1:], operands, strict=False):
            self._compare_pair(at, op, left, right)
        for place, op in enumerate(node.ops):
            if isinstance(op, ast.Eq | ast.NotEq):
                self._refuse_impossible(operands[place], shapes[place + 1])
                self._refuse_impossible(operands[place + 1], shapes[place])
        return BOOL

    def _refuse_impossible(self, literal: ast.expr, shape: Shape) -> None:
        """``mode == "fsat"`` is never true; three-valued logic would hide it for ever."""
        value = literal.value if isinstance(literal, ast.Constant) else None
        if not shape.choices or not isinstance(value, str) or value in shape.choices:
            return
        choices = [str(choice) for choice in shape.choices]
        shown = ", ".join(quoted(choice) for choice in choices)
        self._fault(literal, f"this is never {quoted(value)}: it is one of {shown}", did_you_mean(value, choices))

    def _compare_pair(self, at: ast.expr, op: ast.cmpop, left: Shape, right: Shape) -> None:
        one, other = family(left), family(right)
        symbol = quoted(OPERATORS[type(op)])
        if one is None or other is None:
            return
        if isinstance(op, ast.In | ast.NotIn):
            if right.type not in ("list", "map") and not (one == other == "a text"):
                self._fault(at, f"{symbol} cannot look for {one} in {other}")
        elif isinstance(op, ast.Eq | ast.NotEq):
            if one != other and "null" not in (one, other):
                self._fault(at, f"{one} never equals {other}", _unit(left, right))
        elif one != other or one not in ("a number", "a text"):
            self._fault(at, f"{symbol} cannot compare {one} with {other}", _unit(left, right))

    def _logic(self, node: ast.BoolOp) -> Shape:
        shapes = [self.shape(value) for value in node.values]
        return shapes[0] if all(shape == shapes[0] for shape in shapes) else ANY

    def _unary(self, node: ast.UnaryOp) -> Shape:
        operand = self.shape(node.operand)
        if isinstance(node.op, ast.Not):
            return BOOL
        if family(operand) not in (None, "a number"):
            return self._fault(node, f"{quoted(OPERATORS[type(node.op)])} needs a number, not {family(operand)}")
        return operand

    def _arithmetic(self, node: ast.BinOp) -> Shape:
        left, right = self.shape(node.left), self.shape(node.right)
        one, other = family(left), family(right)
        if isinstance(node.op, ast.Add) and {one, other} <= {None, "a text"}:
            return STRING if one and other else ANY
        if not {one, other} <= {None, "a number"}:
            symbol = quoted(OPERATORS[type(node.op)])
            known = " and ".join(side for side in (one, other) if side)
            return self._fault(node, f"{symbol} cannot join {known}" + ("" if one and other else " and anything"))
        if one is None or other is None:
            return ANY
        return INT if left == right == INT and not isinstance(node.op, ast.Div) else FLOAT

    def _choice(self, node: ast.IfExp) -> Shape:
        self.shape(node.test)
        return common(self.shape(node.body), self.shape(node.orelse))

    def _list(self, node: ast.List) -> Shape:
        shapes = [self.shape(item) for item in node.elts]
        same = bool(shapes) and all(shape == shapes[0] for shape in shapes)
        return Shape("list", items=shapes[0] if same else None)

    def _call(self, node: ast.Call) -> Shape:
        asked = asked_step(node)
        if asked is not None:
            if asked not in self._environment.steps:
                self._no_step(node.args[0], asked)
            return Shape("string", choices=OUTCOMES)
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        shapes = [self.shape(argument) for argument in node.args]
        if len(shapes) > 1 and name != "map":
            return ANY
        wanted = {"a list", "a mapping", "a text"} if name == "len" else {"a list"}
        if family(shapes[0]) not in wanted | {None}:
            return self._fault(node, f"{name} needs {' or '.join(sorted(wanted))}, not {family(shapes[0])}")
        if name == "map":
            return self._mapped(node.args[1], shapes[0].items or ANY, shapes[1])
        if name == "sorted":
            return Shape("list", items=shapes[0].items)
        return {"len": INT, "any": BOOL, "all": BOOL}.get(name, shapes[0].items or ANY)

    def _mapped(self, key: ast.expr, item: Shape, named: Shape) -> Shape:
        if family(named) not in (None, "a text"):
            return self._fault(key, f"map takes the name of a key in quotes, not {family(named)}")
        if not isinstance(key, ast.Constant) or item.fields is None:
            return Shape("list")
        if key.value not in item.fields:
            message = f"{item.origin} has no {quoted(str(key.value))}{_listed(item.fields)}"
            return self._fault(key, message, did_you_mean(str(key.value), item.fields))
        return Shape("list", items=item.fields[key.value])


def _asked(parsed: ParsedExpression) -> frozenset[str]:
    """The steps whose outcome the expression asks for: reading their results in it is then no slip."""
    if OUTCOME not in parsed.text:
        return frozenset()
    return frozenset(
        step for part in ast.walk(parsed.tree) if isinstance(part, ast.Call) and (step := asked_step(part))
    )


def _listed(known: Iterable[str]) -> str:
    names = sorted(known)
    return f" (there is {', '.join(names)})" if 0 < len(names) <= 10 else ""


def _unit(left: Shape, right: Shape) -> str | None:
    durations = "duration" in (left.type, right.type)
    return 'A duration is a number of seconds in an expression: 30, not "30s".' if durations else None
