"""The bounds of a step, worked out: how long, how often, how many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runbook.errors import ExpressionError
from runbook.playbook.expressions.evaluate import resolve
from runbook.playbook.expressions.model import UNKNOWN
from runbook.playbook.model import Retry, Value
from runbook.playbook.types import parse_wait


@dataclass(frozen=True)
class RetryPolicy:
    """A ``retry`` with its bounds worked out, in seconds; at least one of ``times`` and ``within`` is there."""

    times: int | None
    wait_min: float
    wait_max: float
    jitter: bool
    within: float | None
    only_on: frozenset[str] | None


def retry_policy(retry: Retry | None, scope: Mapping[str, Any]) -> RetryPolicy | None:
    """Raises ExpressionError for a bound that does not fit. Where only a real run can tell it, one attempt is made."""
    if retry is None:
        return None
    times, within = bound(retry.times, scope), bound(retry.within, scope)
    wait = bound(retry.wait, scope)
    try:
        shortest, longest = parse_wait(0.0 if wait is None else wait)
    except ValueError as error:
        raise ExpressionError(f"{retry.wait.mark}: {retry.wait.label} {error}") from None
    at_least_one = times if times is not None or within is not None else 1
    return RetryPolicy(at_least_one, shortest, longest, retry.jitter, within, retry.only_on)


def bound(value: Value | None, scope: Mapping[str, Any]) -> Any:
    """What a bound is, in its type; nothing where none is written, or where only a real run can tell."""
    found = None if value is None else resolve(value, scope)
    return None if found is UNKNOWN else found
