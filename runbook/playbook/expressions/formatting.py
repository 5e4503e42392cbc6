"""How a value reads inside a text, and how a text says what was read."""

from __future__ import annotations

from typing import Any

from runbook.errors import ExpressionError
from runbook.playbook.diagnostics import describe_value
from runbook.playbook.expressions.operators import bounded_data
from runbook.playbook.types import format_duration


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
