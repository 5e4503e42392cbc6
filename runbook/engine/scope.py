"""The names that an expression may read, as they are at one place of a run."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, MutableMapping
from typing import Any

from runbook.engine.outcome import Failure
from runbook.playbook.expressions.evaluate import evaluate_condition, evaluate_items
from runbook.playbook.expressions.model import UNKNOWN
from runbook.playbook.model import StepSpec

Scope = MutableMapping[str, Any]


def initial_scope(run: str, name: str, params: Mapping[str, object]) -> Scope:
    """Before the first step."""
    return {"params": params, "run": {"id": run, "name": name}, "outcomes": {}, "secrets": {}}


def scope_in_round(spec: StepSpec, scope: Scope, item: Any, number: int) -> Scope:
    """Inside one round of ``for_each``; without one, whatever is around it. ``number`` counts from 1."""
    return extend_scope(scope, {"item": item, "loop": {"index": number}} if spec.for_each else {})


def scope_in_handlers(scope: Scope, failure: Failure | None) -> Scope:
    """What ``on_failure`` and ``finally`` know of how it ended."""
    ended = {
        "outcome": failure.outcome if failure else "success",
        "failed_step": failure.step if failure else None,
        "error": failure.message if failure else None,
    }
    return extend_scope(scope, {"run": {**scope["run"], **ended}})


def extend_scope(scope: Scope, names: dict[str, Any]) -> Scope:
    """More names in front of those that are there, which are not copied: there may be ten thousand."""
    return ChainMap(names, scope)


def items_of_step(spec: StepSpec, scope: Scope) -> tuple[list[Any], str]:
    """What the step is to be done for, once each; else nothing, and why. Without ``for_each`` it is one nothing."""
    if spec.condition is not None and (holds := evaluate_condition(spec.condition, scope)) is not True:
        return [], f"{'not known yet' if holds is UNKNOWN else 'the condition is false'}: {spec.condition.text}"
    if spec.for_each is None:
        return [None], ""
    items = evaluate_items(spec.for_each, scope)
    if items is UNKNOWN:
        return [], f"not known yet: {spec.for_each.text}"
    if not items:
        scope[spec.id] = {"results": [], "count": 0}
    return list(items), "nothing to do"


def result_of_block(spec: StepSpec, results: list[dict[str, Any]]) -> Any:
    """A block's result: that of its steps, by their ids, or a list of these."""
    return {"results": results, "count": len(results)} if spec.for_each else results[0]


def to_plain_data(result: Any) -> Any:
    """As JSON can hold it: what a dry run cannot know is said in words."""
    if isinstance(result, Mapping):
        return {str(key): to_plain_data(value) for key, value in result.items()}
    if isinstance(result, list | tuple):
        return [to_plain_data(value) for value in result]
    return str(result) if result is UNKNOWN else result
