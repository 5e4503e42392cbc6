"""The arguments of a step as a person is told them: what only a run can know by its name, a secret by its variable."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any

from runbook.by_hand import placeholder, secret_mark
from runbook.engine.scope import Scope, extend_scope
from runbook.errors import ExpressionError
from runbook.playbook.expressions.evaluate import evaluate, resolve
from runbook.playbook.expressions.model import UNKNOWN, Expression, Template
from runbook.playbook.expressions.operators import format_value
from runbook.playbook.model import Playbook, Secret, Value
from runbook.text import is_known


def secret_scope(scope: Scope, playbook: Playbook) -> Scope:
    """Each secret as the name of the variable that it is in, or has to be put into."""
    marks = {secret.name: secret_mark(variable_of(secret)) for secret in playbook.secrets}
    return extend_scope(scope, {"secrets": marks, "outcomes": {}})


def variable_of(secret: Secret) -> str:
    """The variable of the shell."""
    return secret.target[0] if secret.source == "env" else secret.name


def with_unknown(data: Any) -> Any:
    """What a dry run wrote in words where it did not know is unknown again."""
    if isinstance(data, Mapping):
        return {name: with_unknown(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [with_unknown(item) for item in data]
    return UNKNOWN if data == str(UNKNOWN) else data


def argument(value: Value, scope: Scope) -> Any:
    """Of the type that it must have where it is known; else with names in angle brackets."""
    try:
        data = resolve(value, scope)
    except ExpressionError:
        data = UNKNOWN
    if is_known(data) and _keeps(value.secrets, data, scope):
        return data
    line = value.field.read_by_shell and value.field.type == "string"
    return _filled(value.content, scope, shlex.quote if line else str)


def _filled(content: Any, scope: Scope, quote: Callable[[str], str]) -> Any:
    """``quote`` makes a name harmless to a shell that reads it with what is around it."""
    if isinstance(content, Expression):
        return _value_of(content, scope, quote)
    if isinstance(content, Template):
        parts = [(part, "string") if isinstance(part, str) else (_value_of(part, scope, quote), part.type)
                 for part in content.parts]  # fmt: skip
        return "".join(value if isinstance(value, str) else format_value(value, kind) for value, kind in parts)
    if isinstance(content, list):
        return [_filled(item, scope, quote) for item in content]
    if isinstance(content, Mapping):
        return {key: _filled(item, scope, quote) for key, item in content.items()}
    return content


def _value_of(expression: Expression, scope: Scope, quote: Callable[[str], str]) -> Any:
    try:
        data = evaluate(expression, scope)
    except ExpressionError:
        data = UNKNOWN
    known = is_known(data) and _keeps(expression.secrets, data, scope)
    return data if known else quote(placeholder(expression.text))


def _keeps(secrets: frozenset[str], data: Any, scope: Scope) -> bool:
    """Whether the secrets still stand in it as they are, and were not made into something else."""
    marks: Mapping[str, str] = scope.get("secrets", {})
    return all(name in marks and marks[name] in str(data) for name in secrets)
