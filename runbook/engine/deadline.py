"""A step's own time: whatever sleeps in it wakes at its end, and is told so."""

from __future__ import annotations

from runbook.clock import Clock
from runbook.steps.trouble import StepError, StepTrouble


class TimeIsUpError(StepError):
    """The step's ``timeout`` is over. No attempt follows."""

    def __init__(self, step: str) -> None:
        super().__init__(StepTrouble.TIMEOUT, f"the time of step {step} is over", "Give it a longer timeout")


class BoundedClock:
    """A clock on which nobody sleeps past ``until`` (seconds of its ``monotonic``)."""

    def __init__(self, clock: Clock, until: float, step: str) -> None:
        self._clock = clock
        self._until = until
        self._step = step

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def now(self) -> str:
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        """Raises :class:`TimeIsUpError` at the end of the step's time, and at once when it is over already."""
        left = self._until - self._clock.monotonic()
        if left > seconds:
            self._clock.sleep(seconds)
            return
        self._clock.sleep(max(0.0, left))
        raise TimeIsUpError(self._step)
