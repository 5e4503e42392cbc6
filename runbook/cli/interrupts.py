"""Ctrl-C, SIGTERM and a lost terminal end a run at once, yet never in the middle of a line of its journal."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Turns the signals into KeyboardInterrupt; inside :meth:`held` they wait until what is being written is whole."""

    def __init__(self) -> None:
        self._holding = False
        self._came = False

    @contextmanager
    def caught(self) -> Iterator[None]:
        """For the time of a run. The signals' old handlers come back afterwards."""
        old = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """What is done inside is done whole. A signal that came meanwhile takes effect when it is left."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self._came:
            self._came = False
            raise KeyboardInterrupt

    def _on_signal(self, _number: int, _frame: FrameType | None) -> Any:
        if self._holding:
            self._came = True
            return
        raise KeyboardInterrupt
