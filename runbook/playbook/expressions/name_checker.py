"""What the names of an expression mean where it stands: params, secrets, results of steps, and what the run gives."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TypeAlias

from runbook.playbook.diagnostics import closest_match, did_you_mean, quoted
from runbook.playbook.expressions.functions import FUNCTIONS
from runbook.playbook.expressions.model import CONSTANTS, OUTCOME
from runbook.playbook.expressions.static_scope import LOOP, StaticScope
from runbook.playbook.expressions.static_types import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    NULL,
    STRING,
    StaticType,
    format_known,
)
from runbook.playbook.expressions.syntax import ParsedExpression

Report = Callable[[int, str, "str | None"], None]
"""Takes an offset in the expression's text, a message and a suggestion."""
Member: TypeAlias = "ast.Attribute | ast.Subscript"


class NameChecker:
    """Reports every name that cannot be right. Each method gives the type of a value: ANY after an error."""

    def __init__(self, parsed: ParsedExpression, scope: StaticScope, report: Report) -> None:
        self.parsed = parsed
        self.scope = scope
        self.report = report
        self.asked = parsed.outcomes()
        self.may_be_missing = False

    def error(self, node: ast.expr, message: str, suggestion: str | None = None) -> StaticType:
        self.report(self.parsed.offset(node), message, suggestion)
        return ANY

    def key_error(self, node: Member, message: str, suggestion: str | None = None) -> StaticType:
        """An error about ``id`` of ``x.id`` or ``x["id"]``, placed at the key."""
        if isinstance(node, ast.Subscript):
            return self.error(node.slice, message, suggestion)
        self.report(self.parsed.offset_of_last(node, node.attr), message, suggestion)
        return ANY

    def constant(self, node: ast.Constant) -> StaticType:
        return {str: STRING, bool: BOOL, int: INT, float: FLOAT}.get(type(node.value), NULL)

    def name(self, node: ast.Name) -> StaticType:
        name, scope = node.id, self.scope
        if name in CONSTANTS:
            return self.constant(ast.Constant(CONSTANTS[name]))
        if name in scope.bound:
            return scope.bound[name]
        if name == "params":
            scope.used_params |= set(scope.params)
            return StaticType("map", scope.params, origin="params")
        if name == "run":
            return scope.run
        if name in ("item", "loop"):
            inside = {"item": scope.item, "loop": LOOP}[name] if scope.item else None
            return inside or self.error(node, scope.no_item.replace("item", name))
        if name == "result":
            nowhere = '"result" exists only in "until", "assert", "else" and "undo" of a step'
            return scope.result or self.error(node, nowhere)
        if name == "secrets":
            return self.error(node, '"secrets" needs the name of a secret after it', "Write it like secrets.token.")
        if name in FUNCTIONS or name == OUTCOME:
            return self.error(node, f"{quoted(name)} is a function", f"Write {name}(…).")
        return self.step(node, name)

    def step(self, node: ast.expr, name: str) -> StaticType:
        if name not in self.scope.steps:
            return self.unknown_step(node, name)
        asked = name in self.asked or self.may_be_missing
        why = None if asked else self.scope.why_missing(name)
        if why:
            suggestion = f'Check first, here or in "if": outcome({name}) == "success".'
            return self.error(node, f"{quoted(name)} may have no result here: {why}", suggestion)
        return self.scope.steps[name]

    def unknown_step(self, node: ast.expr, name: str) -> StaticType:
        scope = self.scope
        if name in scope.enclosing:
            which = "this step itself" if name == scope.enclosing[-1] else "the step around this one"
            suggestion = "Write result, which is what it has just given." if scope.result else None
            return self.error(node, f"{quoted(name)} is {which}, which has no result yet", suggestion)
        if name in scope.later:
            line = scope.later[name]
            return self.error(node, f"{quoted(name)} is used before it has a result: its step is on line {line}")
        if name in scope.closed:
            return self.error(node, f"{quoted(name)} is known only inside {scope.closed[name]}")
        if name in scope.params:
            scope.used_params.add(name)
            return self.error(node, f"{quoted(name)} is a param", f"Write params.{name}.")
        if name in scope.secrets:
            scope.used_secrets.add(name)
            return self.error(node, f"{quoted(name)} is a secret", f"Write secrets.{name}.")
        if name in scope.shared:
            lines = ", ".join(map(str, scope.shared[name]))
            return self.error(node, f"{quoted(name)} may be any of the steps on lines {lines}", "Give the one an id.")
        known = [*scope.keywords(), *scope.bound, *scope.steps]
        return self.error(node, f"{quoted(name)} is not defined", did_you_mean(name, known))

    def param(self, node: Member, key: str) -> StaticType:
        params, used = self.scope.params, self.scope.used_params
        if key in params:
            used.add(key)
            return params[key]
        meant = closest_match(key, params)
        used |= {meant} if meant else set()  # or it would be reported a second time, as unused
        return self.key_error(node, f"there is no param {quoted(key)}{format_known(params)}", did_you_mean(key, params))

    def secret(self, node: Member, key: str) -> StaticType:
        secrets, used = self.scope.secrets, self.scope.used_secrets
        if key not in secrets:
            meant = closest_match(key, secrets)
            used |= {meant} if meant else set()
            message = f"there is no secret {quoted(key)}{format_known(secrets)}"
            return self.key_error(node, message, did_you_mean(key, secrets))
        used.add(key)
        if self.scope.visible_place:
            message = f"secret {quoted(key)} cannot stand in {self.scope.visible_place}, which is shown or recorded"
            return self.error(node, message, "Use it where it is sent, such as a header, and nowhere else.")
        return STRING
