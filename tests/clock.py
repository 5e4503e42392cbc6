"""Time in which nobody has to wait: the machine's own, and whoever sleeps leaps over what they would have slept."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, timezone
from unittest.mock import patch

from runbook import clock
from runbook.cluster.network import SystemNetwork

STEP = 0.25  # seconds that are leapt at once
MOST_STEPS = 200  # of one sleep; a long one has longer steps
MOMENT = 0.001  # seconds of real time after each step, in which other threads may do what has become due


class LeapingClock:
    """The clock of the tool and of the simulated labs of this process. Requests and their time-outs take real time."""

    def __init__(self) -> None:
        self._leapt = 0.0

    def reset(self) -> None:
        """Tell the machine's time again: nobody is left who was told another."""
        self._leapt = 0.0

    def monotonic(self) -> float:
        return clock.seconds() + self._leapt

    def now(self) -> str:
        return (datetime.now(timezone.utc) + timedelta(seconds=self._leapt)).isoformat(timespec="milliseconds")

    def sleep(self, seconds: float) -> None:
        """Leap, in the main thread; any other waits until that one has leapt, or until the time has really passed."""
        until = self.monotonic() + seconds
        while (left := until - self.monotonic()) > 0:
            if threading.current_thread() is threading.main_thread():
                self._leapt += min(left, max(STEP, seconds / MOST_STEPS))
            time.sleep(MOMENT)


CLOCK = LeapingClock()


@contextmanager
def leaping() -> Iterator[None]:
    """What is run inside, as by the command line, has the leaping clock and no other."""
    with ExitStack() as patches:
        for name in ("monotonic", "now", "sleep"):
            patches.enter_context(patch.object(clock.SystemClock, name, getattr(CLOCK, name)))
        patches.enter_context(patch.object(SystemNetwork, "monotonic", CLOCK.monotonic))
        patches.enter_context(patch.object(SystemNetwork, "sleep", CLOCK.sleep))
        yield
