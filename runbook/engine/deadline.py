"""A step's own time: whatever sleeps in it wakes at its end, and is told so."""

from __future__ import annotations

from runbook.clock import Clock, Deadline
from runbook.engine.services import Interrupts
from runbook.errors import TimeIsUpError


class BoundedClock:
    """A clock on which nobody sleeps past the deadline, and from which a signal wakes whoever does."""

    def __init__(self, clock: Clock, deadline: Deadline, interrupts: Interrupts) -> None:
        self._clock = clock
        self._deadline = deadline
        self._interrupts = interrupts

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def now(self) -> str:
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        """Raises :class:`TimeIsUpError` at the end of the step's time, and at once when it is over already."""
        left = self._deadline.at - self._clock.monotonic()
        with self._interrupts.allowed():
            self._clock.sleep(min(seconds, max(0.0, left)))
        if left <= seconds:
            raise TimeIsUpError(self._deadline.whose)
