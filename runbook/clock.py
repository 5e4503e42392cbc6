"""The one door to time, so that a test can let an hour pass in a microsecond."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Protocol, TypeVar

from runbook.dataclass import dataclass

T = TypeVar("T")


def seconds() -> float:
    """Seconds that only rise, and go on while the machine sleeps: a look from before that is an old one.

    Linux's usual monotonic clock stands still in a suspended laptop or virtual machine; others' does not.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def wall_seconds() -> float:
    """This machine's idea of the time, in seconds since 1970, to be held against that of others."""
    return time.time()


@dataclass(frozen=True)
class Deadline:
    """The moment by which a step must end, in seconds of the clock's ``monotonic``; and whose time that is."""

    at: float = float("inf")
    whose: str = ""

    def narrowed(self, at: float, whose: str) -> Deadline:
        """The earlier of the two."""
        return Deadline(at, whose) if at < self.at else self


NO_DEADLINE = Deadline()


class Clock(Protocol):
    """Seconds that only rise, a wall time for the record, and a sleep."""

    def monotonic(self) -> float: ...

    def now(self) -> str: ...

    def sleep(self, seconds: float) -> None: ...


def wait(
    clock: Clock,
    condition: Callable[[], T | None],
    *,
    every: Callable[[float, int], float],
    within: float,
    successes: int = 1,
) -> T | None:
    """Ask until the condition gives the same value several times in a row, or until its time is over.

    Args:
        condition: gives ``None`` where it does not hold; what it raises ends the wait.
        every: the pause before it is asked again, in seconds, from the seconds waited so far and the times in a row
            that it has held; cut short at the limit.
        within: the limit, in seconds. It is asked once more at the limit, so at least once, even within 0 s.
        successes: how many times in a row it must give the same value.

    Returns:
        The value, or ``None`` where the limit was reached first.
    """
    began, last, held = clock.monotonic(), None, 0
    while True:
        value = condition()
        held = 0 if value is None else held + 1 if value == last else 1
        if value is not None and held >= successes:
            return value
        last, waited = value, clock.monotonic() - began
        if waited >= within:
            return None
        clock.sleep(min(every(waited, held), within - waited))


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        return seconds()

    def now(self) -> str:
        """Wall time in UTC, ISO 8601 with milliseconds."""
        return datetime.now(timezone.utc).isoformat(timespec="milliseconds")

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
