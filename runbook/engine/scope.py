"""The names that an expression may read, as they are at one place of a run."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from runbook.engine.outcome import Failure
from runbook.label import Label
from runbook.playbook.expressions.evaluate import evaluate_condition, evaluate_items
from runbook.playbook.expressions.model import UNKNOWN, Expression, Unknown
from runbook.playbook.model import StepSpec

Scope = MutableMapping[str, Any]


def initial_scope(run: str, name: str, params: Mapping[str, object]) -> Scope:
    """Before the first step."""
    return {"params": params, "run": {"id": run, "name": name}, "outcomes": {}, "secrets": {}}


def with_run_facts(scope: Scope, run: Mapping[str, Any]) -> Scope:
    """What is known of a run once it has begun, for a playbook within another one as well."""
    facts = {name: run[name] for name in ("folder", "started_at", "date")}
    return extend_scope(scope, {"run": {**scope["run"], **facts}})


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


Item = tuple[int, Any]
"""One item of a ``for_each``, behind its number, which counts from 1 and is ``loop.index``."""


def items_of_step(spec: StepSpec, scope: Scope) -> tuple[list[Item] | Unknown, str]:
    """What the step is to be done for, once each; else nothing or UNKNOWN, and why. Without ``for_each`` it is one
    nothing.
    """
    by_item = spec.condition if spec.for_each and spec.condition and spec.condition.reads_item else None
    if spec.condition is not None and by_item is None:
        holds = evaluate_condition(spec.condition, scope)
        if holds is not True:
            return _why_not(holds, spec.condition)
    if spec.for_each is None:
        return [(1, None)], ""
    items = evaluate_items(spec.for_each, scope)
    if items is UNKNOWN:
        return _why_not(UNKNOWN, spec.for_each)
    why, wanted = "nothing to do", []
    for number, item in enumerate(items, start=1):
        holds = by_item is None or evaluate_condition(by_item, scope_in_round(spec, scope, item, number))
        if holds is True:
            wanted.append((number, item))
        elif by_item is not None:
            nothing, why = _why_not(holds, by_item)
            if nothing is UNKNOWN:
                return UNKNOWN, why
    if not wanted:
        scope[spec.id] = {"results": [], "count": 0} | ({"failed": []} if spec.continue_on_failure else {})
    return wanted, why


def _why_not(holds: Any, condition: Expression) -> tuple[list[Item] | Unknown, str]:
    if holds is UNKNOWN:
        return UNKNOWN, f"only the real run can tell: {condition.text}"
    return [], f"the condition is false: {condition.text}"


def keep_result(spec: StepSpec, scope: Scope, result: Any, label: Label | None = None) -> None:
    """Of a step that has ended well, as far as is known."""
    scope[spec.id] = result
    scope["outcomes"][spec.id] = UNKNOWN if label is Label.UNKNOWN else "success"


def mark_skipped(spec: StepSpec, scope: Scope, *, known: bool) -> Label | None:
    """That it was not done; where it is not known whether it is done, neither is its result."""
    scope["outcomes"][spec.id] = "skipped" if known else UNKNOWN
    if known:
        return None
    scope[spec.id] = UNKNOWN
    return Label.UNKNOWN


def label_of_steps(scope: Scope, steps: Iterable[StepSpec]) -> Label | None:
    """Of what they are part of: where the end of one is not known, neither is that of the whole."""
    return Label.UNKNOWN if any(scope["outcomes"].get(step.id) is UNKNOWN for step in steps) else None


def name_of(item: Item) -> str:
    """How a person calls it: by itself, by its name, or by its number."""
    number, value = item
    named = value
    if isinstance(value, Mapping):
        named = next((value[key] for key in ("key", "name", "id") if isinstance(value.get(key), str)), None)
    return str(named) if isinstance(named, str | int | float) else f"number {number}"


def to_plain_data(result: Any) -> Any:
    """As JSON can hold it: what a dry run cannot know is said in words."""
    if isinstance(result, Mapping):
        return {str(key): to_plain_data(value) for key, value in result.items()}
    if isinstance(result, list | tuple):
        return [to_plain_data(value) for value in result]
    return str(result) if result is UNKNOWN else result
