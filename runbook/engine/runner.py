"""Runs a playbook in reading order. A block, a handler and a playbook within it are run by the same code, in a narrower
frame; :class:`runbook.playbook.model.StepSpec` says what each word means.

Every step has a place, which is its name in the record: its id, behind what it is inside of where that may happen more
than once (``rolling.2.drain`` in the second round of the block ``rolling``, ``check/before`` in the playbook that the
step ``check`` runs, ``~1.tell`` in a handler of a run that was resumed once).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from runbook.changes import Key
from runbook.clock import NO_DEADLINE, Deadline
from runbook.engine.change_guards import ChangeGuards
from runbook.engine.outcome import Failure, StoppedError, failure_of
from runbook.engine.plan import Plan, bind_nested, read_nested, stricter
from runbook.engine.scope import Scope, items_of_step, result_of_block, scope_in_handlers, scope_in_round, to_plain_data
from runbook.engine.services import BoundedClock, RunServices
from runbook.engine.step_rounds import StepDone, run_rounds
from runbook.errors import unexpected
from runbook.events import Event, ItemCompleted, PlaybookEntered, StepCompleted, StepFailed, StepSkipped, StepStarted
from runbook.playbook.model import Effect, Playbook, StepSpec
from runbook.raft.diagnosis.findings import format_count
from runbook.raft.removal import Policy
from runbook.run_state import RunState
from runbook.steps.base import StepResult
from runbook.steps.context import StepContext
from runbook.steps.flow import refuse_recursion
from runbook.steps.registry import body_of
from runbook.text import NOT_KNOWN, is_known

ASKS_ITSELF = frozenset({"raft.remove_peer"})  # it knows better when it changes something, and what


@dataclass(frozen=True)
class Frame:
    """Where the runner is. ``paths`` are the playbooks that run within each other, the outermost first.

    ``in_handler``: each process that comes here runs it anew, whatever became of it before.
    """

    playbook: Playbook
    scope: Scope
    policy: Policy
    prefix: str
    deadline: Deadline
    paths: tuple[str, ...]
    in_handler: bool = False


class PlaybookRunner:
    """One process of one run. What it does, it emits; what was done, it reads from the run's state."""

    def __init__(self, services: RunServices, state: RunState, *, changes: bool, done: frozenset[Key]) -> None:
        """``changes``: a step may change something. ``done`` are the changes of which a person has said so."""
        self._services = services
        self._state = state
        self._done = done
        self._guards = ChangeGuards(services, state, changes=changes)
        self._times: Counter[str] = Counter()
        self._interrupted = False

    def run(self, plan: Plan) -> Failure | None:
        """To its end; how the first step failed that did."""
        paths = (plan.playbook.path,)
        failure = self._run_playbook(Frame(plan.playbook, plan.scope, plan.policy, "", NO_DEADLINE, paths))
        return failure or self._interruption(self._state.step)

    def _run_playbook(self, frame: Frame) -> Failure | None:
        deadline = self._deadline(frame.playbook.timeout, frame.deadline, f"the playbook {frame.playbook.name}")
        failure = self._run_steps(frame.playbook.steps, replace(frame, deadline=deadline))
        generation = self._state.resumed
        return self._run_handlers(frame.playbook.on_failure, frame.playbook.finally_, frame, failure, generation)

    def _run_steps(self, steps: Sequence[StepSpec], frame: Frame) -> Failure | None:
        for spec in steps:
            failure = self._interruption(frame.prefix + spec.id) or self._run_step(spec, frame)
            if failure is not None and not (failure.outcome == "failed" and spec.continue_on_failure):
                return failure
        return None

    def _run_handlers(
        self,
        on_failure: Sequence[StepSpec],
        finally_: Sequence[StepSpec],
        frame: Frame,
        failure: Failure | None,
        generation: int,
    ) -> Failure | None:
        """In the time of nobody's ``timeout``, and also after a signal. The first failure is the one that counts."""
        pending, self._interrupted = self._interrupted or self._services.interrupts.pending(), False
        prefix = f"{frame.prefix}~{generation}." if generation else frame.prefix
        scope = scope_in_handlers(frame.scope, failure)
        inner = replace(frame, prefix=prefix, scope=scope, deadline=NO_DEADLINE, in_handler=True)
        if failure is not None and failure.outcome != "interrupted":
            self._run_steps(on_failure, inner)  # its own failure is told, and hides nothing
        later = self._run_steps(finally_, replace(inner, scope=scope_in_handlers(frame.scope, failure)))
        self._interrupted |= pending
        return failure or later

    # -- one step and its handlers

    def _run_step(self, spec: StepSpec, frame: Frame) -> Failure | None:
        """For the first time, or for as much of it as an earlier process has left: its handlers may be missing."""
        place, generation = frame.prefix + spec.id, self._state.resumed
        before, end = self._state.steps.get(place), self._state.ends.get(place)
        failure: Failure | None = None
        is_over = end is not None and not self._left_open(spec, place, frame.prefix)
        if end is not None and is_over and before == "succeeded":
            self._keep(spec, frame.scope, self._state.outputs[place])
            generation = end.generation
        elif end is not None and is_over and before == "failed" and spec.continue_on_failure:
            failure, generation = Failure("failed", place, end.code, end.message), end.generation
        else:
            items, failure = self._items(spec, frame, place)
            if items is None and failure is None:
                return None
            failure = failure or self._run_body(spec, frame, place, items or [])
        if failure is not None:
            frame.scope["outcomes"][spec.id] = failure.outcome
        return self._run_handlers(spec.on_failure, spec.finally_, frame, failure, generation)

    def _left_open(self, spec: StepSpec, place: str, prefix: str) -> bool:
        """Whether a removal in it may yet be done, past which an earlier process went on: that is looked at again."""
        steps = [removal.step for removal in self._state.removals if removal.may_yet_be_done]
        within = {prefix + step.id for step in spec.inner()} if steps else set()
        return any(step in within or step.startswith((f"{place}.", f"{place}/")) for step in steps)

    def _items(self, spec: StepSpec, frame: Frame, place: str) -> tuple[list[Any] | None, Failure | None]:
        """What it is to be done for; nothing where it is skipped, which is then on record."""
        try:
            items, why = items_of_step(spec, frame.scope)
        except Exception as error:
            return None, self._failure(place, error)
        if items:
            return items, None
        frame.scope["outcomes"][spec.id] = "skipped"
        if self._state.steps.get(place) != "skipped":
            self._emit(StepSkipped(place, why))
        return None, None

    def _run_body(self, spec: StepSpec, frame: Frame, place: str, items: list[Any]) -> Failure | None:
        self._emit(StepStarted(place, spec.uses or "block", spec.effect.value))
        inner = replace(frame, deadline=self._deadline(spec.timeout, frame.deadline, f"step {place}"))
        try:
            done = self._run_block(spec, inner, place, items) if spec.steps else self._do(spec, inner, place, items)
            self._keep(spec, frame.scope, done.output)
            self._emit(StepCompleted(place, done.message, to_plain_data(done.output), done.undo))
        except (Exception, KeyboardInterrupt) as error:
            failure = self._failure(place, error)
            if failure.outcome != "interrupted":
                goes_on = failure.outcome == "failed" and spec.continue_on_failure and not frame.in_handler
                self._emit(StepFailed(place, failure.outcome, failure.message, goes_on, failure.code))
            return failure
        return None

    def _run_block(self, spec: StepSpec, frame: Frame, place: str, items: list[Any]) -> StepDone:
        results = []
        for number, item in enumerate(items, start=1):
            prefix = f"{place}.{number}." if spec.for_each else frame.prefix
            inner = replace(frame, scope=scope_in_round(spec, frame.scope, item, number), prefix=prefix)
            failure = self._run_steps(spec.steps, inner)
            if failure is not None:
                raise StoppedError(failure)
            results.append({step.id: inner.scope[step.id] for step in spec.steps if step.id in inner.scope})
        message = (
            f"{format_count(len(items), 'round')} of {format_count(len(spec.steps), 'step')}" if spec.for_each else ""
        )
        return StepDone(message, result_of_block(spec, results))

    def _do(self, spec: StepSpec, frame: Frame, place: str, items: list[Any]) -> StepDone:
        """A step of a type, once for each item; those that an earlier process finished are not done again."""
        records = self._state.items.get(place, ())
        done = [StepDone(str(record["message"]), dict(record["output"])) for record in records]
        for number, item in enumerate(items[len(done) :], start=len(done) + 1):
            inner = replace(frame, scope=scope_in_round(spec, frame.scope, item, number))
            key = (place, None if spec.for_each is None else number - 1)
            if self._guards.was_done(key, self._done):
                done.append(StepDone("done before, by a person's word", {}))
            else:
                act, context = partial(self._act, spec, inner, key), self._context(spec, inner, place)
                done.append(run_rounds(spec, context, inner.scope, inner.playbook, self._services, act))
            if spec.for_each is not None:
                self._emit(ItemCompleted(place, number - 1, done[-1].message, to_plain_data(done[-1].output)))
                if self._interrupted:
                    self._interrupted = False
                    raise KeyboardInterrupt
        if spec.for_each is None:
            return done[0]
        results = [each.output for each in done]
        undo = "\n".join(each.undo for each in done if each.undo)
        return StepDone("\n".join(each.message for each in done), {"results": results, "count": len(results)}, undo)

    def _act(
        self, spec: StepSpec, frame: Frame, key: Key, context: StepContext, arguments: dict[str, Any]
    ) -> StepResult:
        """One attempt."""
        if spec.uses == "playbook.run":
            return self._run_nested(spec, frame, key[0], arguments)
        act: Callable[[], StepResult] = partial(body_of(spec.uses), context, arguments)
        with self._services.interrupts.allowed():
            if spec.guarded and spec.uses not in ASKS_ITSELF:
                return self._guards.change(context, key, spec.uses, act)
            return act()

    # -- a playbook within a step

    def _run_nested(self, spec: StepSpec, frame: Frame, place: str, arguments: Mapping[str, Any]) -> StepResult:
        """Raises StepError where it cannot begin, and what stopped it where it did not reach its end."""
        if not is_known(arguments):
            return StepResult(f"would run a playbook that is {NOT_KNOWN[1:-1]}", {})
        path = refuse_recursion(frame.paths, arguments["playbook"])
        playbook = read_nested(path)
        if spec.effect is Effect.READ and any(step.effect is not Effect.READ for step in playbook.every_step()):
            raise unexpected(f"{path} holds a step that changes something, and this step says effect: read")
        plan = bind_nested(playbook, str(frame.scope["run"]["id"]), arguments["params"] or {}, frame.policy)
        own = self._nested_place(spec, frame, place)
        if self._state.entered.get(own, playbook.digest) != playbook.digest:
            raise unexpected(f"{path} is not what it was when this run began", "Run the playbook again")
        self._emit(PlaybookEntered(own, path, playbook.digest, dict(plan.params)))
        policy, paths = stricter(frame.policy, plan.policy), (*frame.paths, path)
        inner = Frame(playbook, plan.scope, policy, f"{own}/", frame.deadline, paths, frame.in_handler)
        failure = self._run_playbook(inner)
        if failure is not None:
            raise StoppedError(failure)
        return StepResult(f"{playbook.name} ended well", {"outcome": "success"})

    def _nested_place(self, spec: StepSpec, frame: Frame, place: str) -> str:
        """A place of its own for each item and for each time that ``until`` does it again: no step begins twice."""
        own = f"{place}.{frame.scope['loop']['index']}" if spec.for_each else place
        self._times[own] += 1
        return f"{own}.{self._times[own]}" if self._times[own] > 1 else own

    # -- what every step needs

    def _deadline(self, timeout: float | None, outer: Deadline, whose: str) -> Deadline:
        """The time of the innermost ``timeout`` that ends first."""
        return outer if timeout is None else outer.narrowed(self._services.clock.monotonic() + timeout, whose)

    def _context(self, spec: StepSpec, frame: Frame, place: str) -> StepContext:
        services, guards = self._services, self._guards
        return StepContext(
            cluster=services.cluster,
            clock=BoundedClock(services.clock, frame.deadline, services.interrupts),
            emit=services.emit,
            folder=services.folder,
            step=place,
            policy=frame.policy,
            dry_run=services.dry_run,
            state=self._state,
            deadline=frame.deadline,
            reads=spec.effect is Effect.READ,
            observed=guards.observed,
            acquire=guards.acquire,
            permit=guards.permit,
            choose=services.choose,
            answers=services.answers,
            set_aside=services.set_aside,
            ask=guards.agreed,
            hosts=services.hosts,
        )

    def _keep(self, spec: StepSpec, scope: Scope, result: Any) -> None:
        scope[spec.id] = result
        scope["outcomes"][spec.id] = "success"

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
