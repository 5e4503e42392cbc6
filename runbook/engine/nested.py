"""``playbook.run``: a playbook inside a step: its own params and names, the same record and guards."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbook.engine import plan
from runbook.engine.failure import StoppedError
from runbook.files import read_limited
from runbook.playbook.model import Effect, Playbook, PlaybookError
from runbook.playbook.params import ParamError, bind_params
from runbook.playbook.parse import parse
from runbook.playbook.reader import MAX_BYTES
from runbook.raft.removal import Policy
from runbook.steps.base import Output
from runbook.steps.catalog import CATALOG
from runbook.steps.trouble import unexpected

if TYPE_CHECKING:
    from runbook.engine.scope import Scope
    from runbook.engine.step import Doing, StepRunner


class Nesting:
    """Which playbooks are within each other just now."""

    def __init__(self, outermost: str) -> None:
        self._paths = [outermost]
        self._times: Counter[str] = Counter()

    @property
    def running(self) -> tuple[str, ...]:
        """Their paths, the outermost first."""
        return tuple(self._paths)

    def play(
        self, runner: StepRunner, doing: Doing, scope: Scope, path: str, given: Mapping[str, Any]
    ) -> tuple[str, Output]:
        """To its end. Raises StepError where it cannot begin, and what stopped it where it did not reach its end."""
        playbook = _read(path)
        if doing.spec.effect is Effect.READ and any(step.effect is not Effect.READ for step in playbook.every_step()):
            raise unexpected(f"{path} holds a step that changes something, and this step says effect: read")
        params = _params(playbook, given)
        inner = plan.bound(playbook, str(scope["run"]["id"]), params, runner.policy)
        outer, runner.policy = runner.policy, stricter(runner.policy, inner.policy)
        self._paths.append(path)
        try:
            failure = doing.walk.enter(self._placed(doing, scope), path, playbook, inner.scope, dict(params))
        finally:
            self._paths.pop()
            runner.policy = outer
        if failure is not None:
            raise StoppedError(failure)
        return f"{playbook.name} ended well", {"outcome": "success"}

    def _placed(self, doing: Doing, scope: Scope) -> Doing:
        """A place of its own for each item and for each time that ``until`` does it again: no step begins twice."""
        place = f"{doing.place}.{scope['loop']['index']}" if doing.spec.for_each else doing.place
        self._times[place] += 1
        return replace(doing, place=f"{place}.{self._times[place]}" if self._times[place] > 1 else place)


def stricter(own: Policy, inner: Policy) -> Policy:
    """A playbook within another may narrow what is allowed while it runs, and never widen it."""
    narrower = (
        replace(own, min_voters=inner.min_voters, min_voters_param="") if inner.min_voters > own.min_voters else own
    )
    return replace(
        narrower,
        max_changes=min(own.max_changes, inner.max_changes),
        never_worse=own.never_worse or inner.never_worse,
        stated=own.stated | inner.stated,
    )


def _read(path: str) -> Playbook:
    try:
        return parse(read_limited(Path(path), MAX_BYTES), path, CATALOG)
    except OSError as error:
        raise unexpected(f"{path}: {error.strerror}") from None
    except PlaybookError as error:
        raise unexpected("; ".join(str(fault.mark) + ": " + fault.message for fault in error.faults)) from None


def _params(playbook: Playbook, given: Mapping[str, Any]) -> Mapping[str, object]:
    """As if they had been typed: a param is read in one way, whoever gives it."""
    types = {param.name: param.type for param in playbook.params}
    try:
        return bind_params(playbook, {name: _typed(value, types.get(name, "")) for name, value in given.items()})
    except ParamError as error:
        raise unexpected("; ".join(error.faults)) from None


def _typed(value: Any, kind: str) -> str:
    if isinstance(value, str):
        return value
    text = json.dumps(value)
    return f"{text}s" if kind == "duration" and isinstance(value, int | float) else text
