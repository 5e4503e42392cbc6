"""The one door to time, so that a test can let an hour pass in a microsecond."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Protocol


def seconds() -> float:
    """Seconds that only rise, and go on while the machine sleeps: a look from before that is an old one.

    Linux's usual monotonic clock stands still in a suspended laptop or virtual machine; others' does not.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


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


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        return seconds()

    def now(self) -> str:
        """Wall time in UTC, ISO 8601 with milliseconds."""
        return datetime.now(timezone.utc).isoformat(timespec="milliseconds")

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
