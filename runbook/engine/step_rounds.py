"""One item of a step of a type: rounds until its condition holds, attempts until one succeeds, and what is asserted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from runbook.dataclass import dataclass
from runbook.engine.scope import Scope, extend_scope
from runbook.engine.services import RunServices
from runbook.errors import ClusterError, ErrorKind, ExpressionError, StepError, TimeIsUpError, unexpected
from runbook.events import AttemptFailed, Waiting
from runbook.label import Label
from runbook.playbook.expressions.evaluate import describe_reads, evaluate_condition, resolve
from runbook.playbook.expressions.model import UNKNOWN
from runbook.playbook.model import RETRYABLE, Effect, Playbook, Retry, Secret, StepSpec, Value
from runbook.playbook.types import format_duration, parse_wait
from runbook.steps.base import StepResult
from runbook.steps.context import StepContext
from runbook.steps.registry import CATALOG

if TYPE_CHECKING:
    from tenacity import RetryCallState


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


T = TypeVar("T")
Act = Callable[[StepContext, "dict[str, Any]"], StepResult]  # one attempt, with these arguments


@dataclass(frozen=True)
class StepDone:
    """What a step said at its end, its result, and how a person takes it back; ``label`` and ``waits`` as in
    :class:`StepResult`.
    """

    message: str
    output: Any
    undo: str = ""
    label: Label | None = None
    waits: float = 0.0


def run_rounds(
    spec: StepSpec, context: StepContext, scope: Scope, playbook: Playbook, services: RunServices, act: Act
) -> StepDone:
    """Until ``until`` holds, within its time. Raises whatever ends the step."""
    clock, began = context.clock, context.clock.monotonic()
    while True:
        result, waits = _round(spec, context, scope, playbook, services, act), 0.0
        after = extend_scope(scope, {"result": result.output})
        holds = True if spec.until is None else evaluate_condition(spec.until.condition, after)
        within = (bound(spec.until.within, scope) or 0.0) if spec.until else 0.0
        if holds is UNKNOWN:
            waits = within
        if spec.until is None or holds in (True, UNKNOWN):
            break
        now = describe_reads(spec.until.condition, after)
        if services.dry_run:
            return _not_waited_for(spec, result, within, now)
        left = began + within - clock.monotonic()
        if left <= 0:
            what = f"still false after {format_duration(within)}: {spec.until.condition.text}{now}"
            raise StepError(ErrorKind.TIMEOUT, f"{what}; last result: {result.message}")
        pause = min(bound(spec.until.every, scope) or 0.0, left)
        services.emit(Waiting(context.step, round(pause, 1), f"until {spec.until.condition.text}"))
        clock.sleep(pause)
    is_so = _asserted(spec, after)
    undo = resolve(spec.undo, _with_secrets(playbook, services, spec, [spec.undo], after)) if spec.undo else ""
    undone = "" if services.dry_run else str(undo)  # nobody has to take back what was never done
    label = Label.UNKNOWN if UNKNOWN in (holds, is_so) else result.label
    return StepDone(result.message, result.output, undone, label, result.waits + waits)


def _asserted(spec: StepSpec, after: Scope) -> Any:
    """True, or UNKNOWN; raises StepError where it is not so."""
    if spec.assertion is None:
        return True
    told, condition = spec.assertion.message, spec.assertion.condition
    holds = evaluate_condition(condition, after)
    if holds in (True, UNKNOWN):
        return holds
    otherwise = f"the condition is false: {condition.text}{describe_reads(condition, after)}"
    raise unexpected(str(resolve(told, after)) if told else otherwise)


def _not_waited_for(spec: StepSpec, result: StepResult, within: float, now: str) -> StepDone:
    """In a dry run one round is all: only the world can make it so, and what it would be then is not known."""
    text = spec.until.condition.text if spec.until else ""
    message = f"would wait until {text}, for {format_duration(within)} at most{now}: {result.message}"
    unknown = {field.name: UNKNOWN for field in CATALOG[spec.uses].results}
    return StepDone(message, unknown, label=Label.UNKNOWN, waits=within)


def _round(
    spec: StepSpec, context: StepContext, scope: Scope, playbook: Playbook, services: RunServices, act: Act
) -> StepResult:
    """All attempts together: one result."""
    declaration = CATALOG[spec.uses]
    arguments = {field.name: field.default for field in declaration.parameters}
    known = _with_secrets(playbook, services, spec, spec.arguments.values(), scope)
    arguments |= {name: resolve(value, known) for name, value in spec.arguments.items()}
    work, retry = partial(act, context, arguments), retry_policy(spec.retry, scope)
    done = retry_attempts(context, work, retry, services) if retry else work()
    output = done.output
    if services.dry_run and done.label is Label.UNKNOWN:  # what the step would have given, a dry run cannot know
        output = {**{field.name: UNKNOWN for field in declaration.results}, **output}
    hidden = services.secret_store.hide(output)  # before any other step reads it, or writes it to a file
    return replace(done, output=hidden) if services.dry_run else StepResult(done.message, hidden)


def _with_secrets(
    playbook: Playbook, services: RunServices, spec: StepSpec, values: Iterable[Value], scope: Scope
) -> Scope:
    """Just those that are read, just before they are; a step that a dry run only foretells needs none."""
    is_done = not services.dry_run or (spec.effect is Effect.READ and services.run_reads)
    fetch = services.secret_store.fetch if is_done else services.secret_store.foretell
    wanted = {name for value in values for name in value.secrets}
    declared: dict[str, Secret] = {secret.name: secret for secret in playbook.secrets}
    return extend_scope(scope, {"secrets": {name: fetch(declared[name]) for name in sorted(wanted)}})


# To a playbook, a change without an answer is a time-out: every attempt begins with a look, which settles it.
_WORDS = {ErrorKind.AMBIGUOUS: "timeout"}


def retry_attempts(context: StepContext, work: Callable[[], T], retry: RetryPolicy, services: RunServices) -> T:
    """The result of the first attempt that succeeds, or what the last one raised. Each that failed is an event.

    A refusal is never retried. No pause outlives ``within`` or the step's deadline, at which its clock wakes.
    """
    from tenacity import Retrying, retry_if_exception

    step, clock = context.step, context.clock
    until = clock.monotonic() + retry.within if retry.within is not None else float("inf")

    def wait(state: RetryCallState) -> float:
        """Doubled each time from the shortest to the longest; jitter takes a part away, never below the shortest."""
        longest = min(retry.wait_max, retry.wait_min * float(2 ** min(state.attempt_number - 1, 30)))
        jittered = retry.wait_min + (longest - retry.wait_min) * services.random_fraction()
        return max(0.0, min(jittered if retry.jitter else longest, until - clock.monotonic()))

    def is_over(state: RetryCallState) -> bool:
        enough = retry.times is not None and state.attempt_number >= retry.times
        return enough or clock.monotonic() >= until

    def record_failure(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, ClusterError | StepError):
            services.emit(AttemptFailed(step, state.attempt_number, error.kind.value, str(error), context.item))

    def record_pause(state: RetryCallState) -> None:
        seconds = state.next_action.sleep if state.next_action else 0.0
        services.emit(Waiting(step, round(seconds, 1), f"attempt {state.attempt_number + 1} follows"))

    return Retrying(
        retry=retry_if_exception(lambda error: _is_retried(error, retry)),
        stop=is_over,
        wait=wait,
        sleep=clock.sleep,
        after=record_failure,
        before_sleep=record_pause,
        reraise=True,
    )(work)


def _is_retried(error: BaseException, retry: RetryPolicy) -> bool:
    wanted = retry.only_on if retry.only_on is not None else frozenset(RETRYABLE)
    if isinstance(error, ClusterError):
        return _WORDS.get(error.kind, error.kind.value) in wanted
    return isinstance(error, StepError) and not isinstance(error, TimeIsUpError) and error.kind.value in wanted
