"""Ctrl-C, SIGTERM and a lost terminal end a run at once, yet never in the middle of a line of its journal."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SignalInterrupts:
    """Turns the signals into KeyboardInterrupt inside :meth:`allowed`. Elsewhere, and inside :meth:`held`, they wait:
    what the engine notes between two steps and what is being written is whole.
    """

    def __init__(self) -> None:
        self._allowed = self._holding = self._came = False

    @contextmanager
    def caught(self) -> Iterator[None]:
        """For the time of a run. The signals' old handlers come back afterwards.

        One that is ignored already stays so: a run under ``nohup`` is to outlive its terminal.
        """
        heeded = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        old = {number: signal.signal(number, self._on_signal) for number in heeded}
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Inside, a signal takes effect at once, and one that came before takes it on entry."""
        outer, self._allowed = self._allowed, True
        try:
            self._raise_if_it_came()
            yield
        finally:
            self._allowed = outer

    @contextmanager
    def held(self) -> Iterator[None]:
        """What is done inside is done whole. A signal that came meanwhile takes effect when it is left, if it may."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self._allowed:
            self._raise_if_it_came()

    def pending(self) -> bool:
        """Whether a signal came that has had no effect yet; asked once, it is forgotten."""
        came, self._came = self._came, False
        return came

    def _raise_if_it_came(self) -> None:
        if self.pending():
            raise KeyboardInterrupt

    def _on_signal(self, _number: int, _frame: FrameType | None) -> Any:
        if self._allowed and not self._holding:
            raise KeyboardInterrupt
        self._came = True
