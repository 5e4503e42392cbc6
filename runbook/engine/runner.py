"""Runs a playbook in reading order. A block, a handler and a playbook within it are run by the same code, in a narrower
frame; :class:`runbook.playbook.model.StepSpec` says what each word means.

Every step has a place, which is its name in the record: its id, behind what it is inside of where that may happen more
than once (``rolling.2.drain`` in the second round of the block ``rolling``, ``check/before`` in the playbook that the
step ``check`` runs, ``~1.tell`` in a handler of a run that was resumed once).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

from runbook.changes import Key
from runbook.clock import NO_DEADLINE, Deadline
from runbook.engine.change_guards import ChangeGuards
from runbook.engine.frame import Frame, NestedPlaces, begin_held, nested_frame, outermost_frame, step_context
from runbook.engine.items import (
    Beside,
    End,
    ItemsFailedError,
    OneAtATime,
    WorkerInterrupts,
    all_together,
    block_done,
    ended_before,
    worker_services,
)
from runbook.engine.open_changes import left_open
from runbook.engine.outcome import Failure, StoppedError, failure_of
from runbook.engine.plan import Plan, prepare_nested
from runbook.engine.scope import (
    Item,
    extend_scope,
    items_of_step,
    keep_result,
    label_of_steps,
    mark_skipped,
    name_of,
    scope_in_handlers,
    scope_in_round,
    to_plain_data,
)
from runbook.engine.services import RunServices
from runbook.engine.step_rounds import StepDone, bound, run_rounds
from runbook.events import (
    Event,
    ItemCompleted,
    ItemFailed,
    PlaybookEntered,
    StepCompleted,
    StepFailed,
    StepSkipped,
    StepStarted,
)
from runbook.label import Label
from runbook.playbook.expressions.model import UNKNOWN
from runbook.playbook.model import Playbook, StepSpec, Value
from runbook.run_state import RunState
from runbook.shadow_events import labelled
from runbook.steps.base import StepResult
from runbook.steps.context import StepContext
from runbook.steps.registry import body_of
from runbook.text import NOT_KNOWN, is_known

# They know better when they change something, and what.
ASKS_ITSELF = frozenset({"raft.remove_peer", "raft.restore_snapshot", "raft.stop_frozen", "raft.transfer_leadership"})


class PlaybookRunner:
    """One process of one run. What it does, it emits; what was done, it reads from the run's state."""

    def __init__(self, services: RunServices, state: RunState, *, changes: bool, done: frozenset[Key]) -> None:
        """``changes``: a step may change something. ``done`` are the changes of which a person has said so."""
        self._emitting = OneAtATime(services.emit)
        self._services = services = replace(services, emit=self._emitting)
        self._state = state
        self._done = done
        self._guards = ChangeGuards(services, state, changes=changes)
        self._nested = NestedPlaces()
        self._interrupted = False

    def run(self, plan: Plan) -> Failure | None:
        """To its end; how the first step failed that did."""
        frame = outermost_frame(plan, self._services.folder, str((self._state.started or {}).get("at", "")))
        failure = begin_held(frame, self._services, self._guards) or self._run_playbook(frame)
        return failure or self._interruption(self._state.step)

    def _run_playbook(self, frame: Frame) -> Failure | None:
        deadline = self._deadline(frame.playbook.timeout, frame, f"the playbook {frame.playbook.name}")
        failure = self._run_steps(frame.playbook.steps, replace(frame, deadline=deadline))
        return self._run_handlers(frame.playbook, frame, failure, self._state.resumed)

    def _run_steps(self, steps: Sequence[StepSpec], frame: Frame) -> Failure | None:
        for spec in steps:
            failure = self._interruption(frame.prefix + spec.id) or self._run_step(spec, frame)
            if failure is not None and not (failure.outcome == "failed" and spec.continue_on_failure):
                return failure
        return None

    def _run_handlers(
        self, of: Playbook | StepSpec, frame: Frame, failure: Failure | None, generation: int
    ) -> Failure | None:
        """In the time of nobody's ``timeout``, and also after a signal. The first failure is the one that counts."""
        pending, self._interrupted = self._interrupted or self._services.interrupts.pending(), False
        prefix = f"{frame.prefix}~{generation}." if generation else frame.prefix
        scope = scope_in_handlers(frame.scope, failure)
        inner = replace(frame, prefix=prefix, scope=scope, deadline=NO_DEADLINE, in_handler=True)
        if failure is not None and failure.outcome != "interrupted":
            self._run_steps(of.on_failure, inner)  # its own failure is told, and hides nothing
        later = self._run_steps(of.finally_, replace(inner, scope=scope_in_handlers(frame.scope, failure)))
        self._interrupted |= pending
        return failure or later

    # -- one step and its handlers

    def _run_step(self, spec: StepSpec, frame: Frame) -> Failure | None:
        """For the first time, or for as much of it as an earlier process has left: its handlers may be missing."""
        place, generation = frame.prefix + spec.id, self._state.resumed
        before, end = self._state.steps.get(place), self._state.ends.get(place)
        failure: Failure | None = None
        is_over = end is not None and not left_open(self._state, spec, place, frame.prefix)
        if end is not None and is_over and before == "succeeded":
            keep_result(spec, frame.scope, self._state.outputs[place])
            generation = end.generation
        elif end is not None and is_over and before == "failed" and spec.continue_on_failure:
            failure, generation = Failure("failed", place, end.code, end.message), end.generation
            if place in self._state.outputs:  # of the items that have not failed
                frame.scope[spec.id] = self._state.outputs[place]
        else:
            items, failure = self._items(spec, frame, place)
            if not items and failure is None:
                return None
            failure = failure or self._run_body(spec, frame, place, items)
        if failure is not None:
            frame.scope["outcomes"][spec.id] = failure.outcome
        return self._run_handlers(spec, frame, failure, generation)

    def _items(self, spec: StepSpec, frame: Frame, place: str) -> tuple[list[Item], Failure | None]:
        """What it is to be done for; nothing where it is skipped, or may be, which is then on record."""
        try:
            items, why = items_of_step(spec, frame.scope)
        except Exception as error:
            return [], self._failure(place, error)
        if items is not UNKNOWN and items:
            return items, None
        label = mark_skipped(spec, frame.scope, known=items is not UNKNOWN)
        if self._state.steps.get(place) != "skipped":
            self._emit(labelled(StepSkipped(place, why), label))
        return [], None

    def _run_body(self, spec: StepSpec, frame: Frame, place: str, items: list[Item]) -> Failure | None:
        self._emit(StepStarted(place, spec.uses or "block", spec.effect.value))
        try:
            inner = replace(frame, deadline=self._deadline(spec.timeout, frame, f"step {place}"))
            done = self._do(spec, inner, place, items)
            keep_result(spec, frame.scope, done.output, done.label)
            told = StepCompleted(place, done.message, to_plain_data(done.output), done.undo)
            self._emit(labelled(told, done.label, done.waits))
        except (Exception, KeyboardInterrupt) as error:
            failure = self._failure(place, error)
            kept = error.done if isinstance(error, ItemsFailedError) else StepDone("", {})
            if kept.output:
                frame.scope[spec.id] = kept.output
            if failure.outcome != "interrupted":
                goes_on = failure.outcome == "failed" and spec.continue_on_failure and not frame.in_handler
                end = failure.outcome, failure.message, goes_on, failure.code
                self._emit(StepFailed(place, *end, to_plain_data(kept.output), kept.undo))
            return failure
        return None

    def _do(self, spec: StepSpec, frame: Frame, place: str, items: list[Item]) -> StepDone:
        """Once, or once for each item; those that an earlier process was done with are not done again."""
        if spec.for_each is None:
            return self._do_item(spec, frame, place, None)
        over = ended_before(self._state, place)
        left = [item for item in items if item[0] not in over]
        workers = bound(spec.parallel, frame.scope) or 1
        if workers > 1 and len(left) > 1 and not self._services.dry_run:
            ends = self._do_beside(spec, frame, place, left, workers)
        else:
            ends = {}
            for item in left:
                ends[item[0]] = self._do_item_or_go_on(spec, frame, place, item)
                if self._interrupted and not spec.steps:
                    self._interrupted = False
                    raise KeyboardInterrupt
        return all_together(spec, place, items, {**over, **ends})

    def _do_beside(self, spec: StepSpec, frame: Frame, place: str, items: list[Item], workers: int) -> dict[int, End]:
        """Some items at a time. What a person is asked before a change is asked here, and not in the midst of it."""
        if spec.guarded:
            context = step_context(spec, frame, place, self._services, self._guards)
            with self._services.interrupts.allowed():
                self._guards.allow(context, (place, items[0][0] - 1), spec.uses or "block")

        def work(interrupts: WorkerInterrupts, item: Item) -> End:
            return copy(self).do_as_worker(spec, frame, place, item, interrupts)

        return Beside(items, work).run(workers, self._services.interrupts, self._emitting)

    def do_as_worker(self, spec: StepSpec, frame: Frame, place: str, item: Item, interrupts: WorkerInterrupts) -> End:
        """One item, by a copy of the runner in a thread of its own. What is known in one round, no other one knows."""
        self._services = worker_services(self._services, interrupts)
        own = extend_scope(frame.scope, {"outcomes": dict(frame.scope["outcomes"])})
        end = self._do_item_or_go_on(spec, replace(frame, scope=own), place, item)
        if self._interrupted:  # by a signal that came as it wrote
            raise KeyboardInterrupt
        return end

    def _do_item_or_go_on(self, spec: StepSpec, frame: Frame, place: str, item: Item) -> End:
        """How it failed, where that does not keep the rest from being done; a refusal and a signal do."""
        number, value = item
        inner = replace(frame, scope=scope_in_round(spec, frame.scope, value, number))
        try:
            done = self._do_item(spec, inner, place, number)
        except Exception as error:
            failure = self._failure(place, error)
            if failure.outcome != "failed" or not spec.continue_on_failure:
                raise
            self._emit(ItemFailed(place, number - 1, name_of(item), failure.message, failure.code))
            return failure
        if not spec.steps:
            told = ItemCompleted(place, number - 1, done.message, to_plain_data(done.output), done.undo)
            self._emit(labelled(told, done.label))
        return done

    def _do_item(self, spec: StepSpec, frame: Frame, place: str, number: int | None) -> StepDone:
        """In the scope of its round. ``number`` is that of the item, where there is ``for_each``."""
        if spec.steps:
            inner = frame if number is None else replace(frame, prefix=f"{place}.{number}.")
            failure = self._run_steps(spec.steps, inner)
            if failure is not None:
                raise StoppedError(failure)
            return block_done(spec, inner.scope)
        key = (place, None if number is None else number - 1)
        if self._guards.was_done(key, self._done):
            return StepDone("done before, according to a person", {})
        act = partial(self._act, spec, frame, key)
        context = replace(step_context(spec, frame, place, self._services, self._guards), item=key[1])
        return run_rounds(spec, context, frame.scope, frame.playbook, self._services, act)

    def _act(
        self, spec: StepSpec, frame: Frame, key: Key, context: StepContext, arguments: dict[str, Any]
    ) -> StepResult:
        """One attempt."""
        if spec.uses == "playbook.run":
            return self._run_nested(spec, frame, key[0], arguments)
        act: Callable[[], StepResult] = partial(body_of(spec.uses), context, arguments)
        with self._services.interrupts.allowed():
            if spec.guarded and spec.uses not in ASKS_ITSELF:
                return self._guards.change(context, key, spec.uses, act, known=is_known(arguments))
            return act()

    # -- a playbook within a step

    def _run_nested(self, spec: StepSpec, frame: Frame, place: str, arguments: Mapping[str, Any]) -> StepResult:
        """Raises StepError where it cannot begin, and what stopped it where it did not reach its end."""
        if not is_known(arguments):
            return StepResult(f"would run a playbook that is {NOT_KNOWN[1:-1]}", {}, Label.UNKNOWN)
        run = str(frame.scope["run"]["id"])
        path, playbook, plan = prepare_nested(spec, frame.paths, run, frame.policy, arguments)
        own = self._nested.place_for(f"{place}.{frame.scope['loop']['index']}" if spec.for_each else place)
        self._guards.enter(own, path, playbook)
        self._emit(PlaybookEntered(own, path, playbook.digest, dict(plan.params)))
        inner = nested_frame(frame, plan, path, f"{own}/")
        failure = self._run_playbook(inner)
        if failure is not None:
            raise StoppedError(failure)
        label = label_of_steps(inner.scope, playbook.steps)
        return StepResult(f"{playbook.name} ended well", {"outcome": "success"}, label)

    # -- what every step needs

    def _deadline(self, timeout: Value | None, frame: Frame, whose: str) -> Deadline:
        """The time of the innermost ``timeout`` that ends first."""
        seconds, outer = bound(timeout, frame.scope), frame.deadline
        return outer if seconds is None else outer.narrowed(self._services.clock.monotonic() + seconds, whose)

    def _failure(self, place: str, error: BaseException) -> Failure:
        return failure_of(place, error, keep_traceback=self._services.keep_tracebacks)

    def _emit(self, event: Event) -> None:
        """An event of the runner's own. A signal that comes as it is written takes effect before the next step."""
        try:
            self._services.emit(event)
        except KeyboardInterrupt:
            self._interrupted = True

    def _interruption(self, place: str) -> Failure | None:
        self._interrupted |= self._services.interrupts.pending()
        if not self._interrupted:
            return None
        self._interrupted = False
        return self._failure(place, KeyboardInterrupt())
