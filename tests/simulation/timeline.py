"""Virtual time: what is due happens in one fixed order, and whoever waits gets the turn when its moment has come."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass

from greenlet import getcurrent, greenlet

from runbook.simulation.cluster import SimulatedCluster

FOREVER = float("inf")


@dataclass(eq=False)
class Waiter:
    """An actor who waits: until a moment, or until something is done."""

    when: float
    done: Callable[[], bool]
    actor: greenlet


class Timeline:
    """The model's clock, the actions that are due on it, and the actors who wait. One actor has the turn at a time."""

    def __init__(self, model: SimulatedCluster, moved: Callable[[], None]) -> None:
        """``moved`` is told whenever time went on."""
        self.now = 0.0
        self._model = model
        self._moved = moved
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._waiting: list[Waiter] = []

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Those of one moment happen in the order in which they were planned."""
        self._count += 1
        heapq.heappush(self._due, (max(when, self.now), self._count, action))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self.at(self.now + seconds, action)

    def wait(self, when: float, done: Callable[[], bool] = lambda: False) -> None:
        """Give the turn away until ``when``, or until ``done``."""
        me = Waiter(when, done, getcurrent())
        self._waiting.append(me)
        while me in self._waiting:  # again where the other actor has come to its end
            ready = self._next_ready()
            self._waiting.remove(ready)
            if ready is not me:
                ready.actor.switch()

    def start(self, work: Callable[[], None]) -> Callable[[], bool]:
        """A second actor; it gets its first turn when the first one waits. Returns whether it has ended."""
        actor = greenlet(work)
        self._waiting.append(Waiter(self.now, lambda: True, actor))
        return lambda: bool(actor.dead)

    def _next_ready(self) -> Waiter:
        """Let time go on until somebody's wait is over; of two at once, who began to wait first."""
        while True:
            for waiter in self._waiting:
                if waiter.done():
                    return waiter
            first = min(self._waiting, key=lambda waiter: waiter.when)
            if not self._due or self._due[0][0] > first.when:
                self._advance(first.when)
                return first
            when, _, action = heapq.heappop(self._due)
            self._advance(when)
            action()

    def _advance(self, when: float) -> None:
        if when == FOREVER:
            raise AssertionError("somebody waits for ever and nothing is due")
        self.now = max(self.now, when)
        self._model.advance(self.now)
        self._moved()
