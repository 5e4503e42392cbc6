"""Does the steps of a playbook in reading order; :class:`runbook.playbook.model.StepSpec` says what each word means.

Every step has a place, which is its name in the record: its id, behind what it is inside of where that may happen more
than once (``rolling.2.drain`` in the second round of the block ``rolling``, ``check/before`` in the playbook that the
step ``check`` runs, ``~1.tell`` in a handler of a run that was resumed once).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from runbook.engine.failure import Failure, StoppedError, failure_of
from runbook.engine.scope import Scope, for_handlers, in_round, items_of, result_of_block
from runbook.engine.step import Doing, StepRunner
from runbook.events import PlaybookEntered, StepCompleted, StepFailed, StepSkipped, StepStarted
from runbook.playbook.model import Playbook, StepSpec
from runbook.progress import RunProgress
from runbook.steps.trouble import unexpected


class Walk:
    """One playbook, from its first step to the last one of its handlers."""

    def __init__(self, runner: StepRunner, playbook: Playbook, past: RunProgress, prefix: str = "") -> None:
        self._runner = runner
        self._playbook = playbook
        self._past = past
        self._prefix = prefix
        self._until: float | None = None

    def whole(self, scope: Scope) -> Failure | None:
        """All steps and handlers; how the first of them failed that did."""
        failure = self._tried(self._playbook.steps, scope, self._prefix)
        steps = self._playbook
        return self._ended(steps.on_failure, steps.finally_, scope, failure, self._prefix, self._past.resumed)

    def _tried(self, steps: tuple[StepSpec, ...], scope: Scope, prefix: str) -> Failure | None:
        try:
            for spec in steps:
                self._step(spec, scope, prefix)
        except StoppedError as stopped:
            return stopped.failure
        except KeyboardInterrupt as signal:
            return self._failure(prefix, signal)
        return None

    def _failure(self, place: str, error: BaseException) -> Failure:
        return failure_of(place, error, keep_traceback=self._runner.world.keep_tracebacks)

    # -- one step

    def _step(self, spec: StepSpec, scope: Scope, prefix: str) -> None:
        place = prefix + spec.id
        before = self._past.steps.get(place)
        if before == "completed":
            self._keep(spec, scope, self._past.outputs[place])
            failure = self._ended((), spec.finally_, scope, None, prefix, self._past.completed_in[place])
        elif before == "failed" and spec.continue_on_failure and not self._left_open(spec, place, prefix):
            scope["outcomes"][spec.id] = "failed"
            return
        else:
            failure = self._taken(spec, scope, place, prefix)
        if failure is not None and not (failure.outcome == "failed" and spec.continue_on_failure):
            raise StoppedError(failure)

    def _left_open(self, spec: StepSpec, place: str, prefix: str) -> bool:
        """Whether a removal that it asked for was not seen done: that is looked at again, and not passed over."""
        inside = {prefix + step.id for step in spec.inner()}
        steps = [removal.step for removal in self._past.removals if removal.may_yet_be_done]
        return any(step in inside or step.startswith((f"{place}.", f"{place}/")) for step in steps)

    def _taken(self, spec: StepSpec, scope: Scope, place: str, prefix: str) -> Failure | None:
        """The step and its handlers, for the first time or again."""
        begun = False
        try:
            items = self._items(spec, scope, place)
            if items is None:
                return None
            self._runner.world.emit(StepStarted(place, spec.uses or "block", spec.effect.value))
            begun = True
            with self._bounded(spec):
                message, result, undo = self._done(spec, scope, place, prefix, items)
            self._keep(spec, scope, result)
            self._runner.world.emit(StepCompleted(place, message, self._runner.plain(result), undo))
            failure = None
        except (Exception, KeyboardInterrupt) as error:
            failure = self._failure(place, error)
            if failure.outcome == "refused":
                self._runner.permission.refused(failure.code)
            if begun and failure.outcome != "interrupted":
                goes_on = failure.outcome == "failed" and spec.continue_on_failure
                self._runner.world.emit(StepFailed(place, failure.outcome, failure.message, goes_on))
            scope["outcomes"][spec.id] = failure.outcome
        return self._ended(spec.on_failure, spec.finally_, scope, failure, prefix, self._past.resumed)

    def _keep(self, spec: StepSpec, scope: Scope, result: Any) -> None:
        scope[spec.id] = result
        scope["outcomes"][spec.id] = "success"

    def _items(self, spec: StepSpec, scope: Scope, place: str) -> list[Any] | None:
        """What it is to be done for; None where it is skipped, which is then on record."""
        items, why = items_of(spec, scope)
        if items:
            return items
        scope["outcomes"][spec.id] = "skipped"
        if self._past.steps.get(place) != "skipped":
            self._runner.world.emit(StepSkipped(place, why))
        return None

    def _done(self, spec: StepSpec, scope: Scope, place: str, prefix: str, items: list[Any]) -> tuple[str, Any, str]:
        if spec.uses:
            return self._runner.do(Doing(spec, place, self._until, self._playbook, self), scope, items)
        results = []
        for number, item in enumerate(items, start=1):
            inner = in_round(spec, scope, item, number)
            for step in spec.steps:
                self._step(step, inner, f"{place}.{number}." if spec.for_each else prefix)
            results.append({step.id: inner[step.id] for step in spec.steps if step.id in inner})
        return f"{len(spec.steps)} steps, {len(items)} times" if spec.for_each else "", *result_of_block(spec, results)

    @contextmanager
    def _bounded(self, spec: StepSpec) -> Iterator[None]:
        """The time of the innermost ``timeout`` that ends first."""
        outer = self._until
        if spec.timeout is not None:
            own = self._runner.world.clock.monotonic() + spec.timeout
            self._until = own if outer is None else min(own, outer)
        try:
            yield
        finally:
            self._until = outer

    # -- ends

    def _ended(
        self,
        on_failure: tuple[StepSpec, ...],
        finally_: tuple[StepSpec, ...],
        scope: Scope,
        failure: Failure | None,
        prefix: str,
        generation: int,
    ) -> Failure | None:
        """Handlers, in the time of nobody's ``timeout``. The first failure is the one that counts."""
        outer, self._until = self._until, None
        prefix = f"{prefix}~{generation}." if generation else prefix
        if failure is not None and failure.outcome != "interrupted":
            self._tried(on_failure, for_handlers(scope, failure), prefix)  # its own failure is told, and hides nothing
        later = self._tried(finally_, for_handlers(scope, failure), prefix)
        self._until = outer
        return failure or later

    # -- another playbook inside a step

    def enter(
        self, doing: Doing, path: str, playbook: Playbook, scope: Scope, params: dict[str, Any]
    ) -> Failure | None:
        """Its steps in this record, behind the name of the step that runs it; no more time than that step has."""
        if self._past.entered.get(doing.place, playbook.digest) != playbook.digest:
            raise unexpected(f"{path} is not what it was when this run began", "Run the playbook again")
        self._runner.world.emit(PlaybookEntered(doing.place, path, playbook.digest, params))
        inner = Walk(self._runner, playbook, self._past, f"{doing.place}/")
        inner._until = doing.until  # noqa: SLF001 - its own kind
        return inner.whole(scope)
