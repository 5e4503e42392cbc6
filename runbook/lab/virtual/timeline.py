"""Virtual time: what is due happens in one fixed order, and whoever waits lets it happen."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Protocol

from runbook.errors import LabError
from runbook.lab.virtual.messages import PendingResult

FOREVER = float("inf")


class Model(Protocol):
    """What moves as time goes on."""

    def advance(self, now: float) -> None:
        """Let its time pass until ``now``, in seconds since its start."""


class Timeline:
    """The model's clock, and the actions that are due on it. ``now`` is in seconds since its beginning."""

    def __init__(self, model: Model, moved: Callable[[], None] = lambda: None) -> None:
        """``moved`` is told whenever time went on."""
        self.now = 0.0
        self.pace: Callable[[float], None] = lambda _seconds: None  # told of so many seconds before they pass
        self._model = model
        self._moved = moved
        self._due: list[tuple[float, int, Callable[[], None], PendingResult | None]] = []
        self._count = 0

    def at(self, when: float, action: Callable[[], None], unless: PendingResult | None = None) -> None:
        """Those of one moment happen in the order in which they were planned. A time-out says ``unless`` what is
        finished: for one that nobody waits for any more no time passes in the model.
        """
        self._count += 1
        heapq.heappush(self._due, (max(when, self.now), self._count, action, unless))

    def after(self, seconds: float, action: Callable[[], None], unless: PendingResult | None = None) -> None:
        self.at(self.now + seconds, action, unless)

    def wait(self, when: float, done: Callable[[], bool] = lambda: False) -> None:
        """Let time go on until ``when``, or until ``done``. Raises LabError where neither would ever be."""
        while not done():
            if self._is_idle_until(when):
                self._advance(when)
                return
            self._do_next()

    def _is_idle_until(self, when: float) -> bool:
        while self._due and (errand := self._due[0][3]) is not None and errand.finished:
            heapq.heappop(self._due)
        return not self._due or self._due[0][0] > when

    def _do_next(self) -> None:
        when, _, action, _ = heapq.heappop(self._due)
        self._advance(when)
        action()

    def _advance(self, when: float) -> None:
        if when == FOREVER:
            raise LabError("somebody waits for ever and nothing is due")
        if when > self.now:
            self.pace(when - self.now)
            self.now = when
        self._model.advance(self.now)
        self._moved()
