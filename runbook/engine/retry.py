"""Retries: each attempt is an event, and no sleep outlives the deadline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from runbook.clock import Clock
from runbook.errors import ClusterError, ErrorKind, StepError, TimeIsUpError
from runbook.events import AttemptFailed, Emit, Waiting
from runbook.playbook.model import RETRYABLE, Retry

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")

# To a playbook, a change without an answer is a time-out: every attempt begins with a look, which settles it.
_WORDS = {ErrorKind.AMBIGUOUS: "timeout"}


@dataclass(frozen=True)
class Attempts:
    """How attempts are told and spaced. ``random_fraction`` gives a number from 0 to 1 for the jitter."""

    clock: Clock
    emit: Emit
    random_fraction: Callable[[], float]

    def of(self, step: str, work: Callable[[], T], retry: Retry | None) -> T:
        """The result of the first attempt that succeeds, or what the last one raised; a refusal is never retried."""
        if retry is None:
            return work()
        from tenacity import Retrying, retry_if_exception

        until = self.clock.monotonic() + retry.within if retry.within is not None else float("inf")

        def wait(state: RetryCallState) -> float:
            return max(0.0, min(self._pause(retry, state.attempt_number), until - self.clock.monotonic()))

        def over(state: RetryCallState) -> bool:
            enough = retry.times is not None and state.attempt_number >= retry.times
            return enough or self.clock.monotonic() >= until

        return Retrying(
            retry=retry_if_exception(lambda error: _may_pass(error, retry)),
            stop=over,
            wait=wait,
            sleep=self.clock.sleep,
            after=lambda state: self._tell_failure(step, state),
            before_sleep=lambda state: self._tell_pause(step, state),
            reraise=True,
        )(work)

    def _pause(self, retry: Retry, attempt: int) -> float:
        """Doubled each time from the shortest to the longest; jitter takes a part away, never below the shortest."""
        longest = min(retry.wait_max, retry.wait_min * 2.0 ** min(attempt - 1, 30))
        return retry.wait_min + (longest - retry.wait_min) * self.random_fraction() if retry.jitter else longest

    def _tell_failure(self, step: str, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, ClusterError | StepError):
            self.emit(AttemptFailed(step, state.attempt_number, error.kind.value, str(error)))

    def _tell_pause(self, step: str, state: RetryCallState) -> None:
        seconds = state.next_action.sleep if state.next_action else 0.0
        self.emit(Waiting(step, round(seconds, 1), f"attempt {state.attempt_number + 1} follows"))


def _may_pass(error: BaseException, retry: Retry) -> bool:
    wanted = retry.only_on if retry.only_on is not None else frozenset(RETRYABLE)
    if isinstance(error, ClusterError):
        return _WORDS.get(error.kind, error.kind.value) in wanted
    return isinstance(error, StepError) and not isinstance(error, TimeIsUpError) and error.kind.value in wanted
