"""The one door to time, so that a test can let an hour pass in a microsecond."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Protocol


def seconds() -> float:
    """Seconds that only rise, and go on while the machine sleeps: a look from before that is an old one.

    Linux's usual monotonic clock stands still in a suspended laptop or virtual machine; others' does not.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


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
