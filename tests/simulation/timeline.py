"""Virtual time with several actors: whoever waits gets the turn when their moment has come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from greenlet import getcurrent, greenlet

from runbook.lab.virtual.timeline import Timeline
from runbook.simulation.cluster import SimulatedCluster


@dataclass(eq=False)
class Waiter:
    """An actor who waits: until a moment, or until something is done."""

    when: float
    done: Callable[[], bool]
    actor: greenlet


class ActorsTimeline(Timeline):
    """The actors who wait beside it, one of whom has the turn at a time."""

    def __init__(self, model: SimulatedCluster, moved: Callable[[], None]) -> None:
        super().__init__(model, moved)
        self._waiting: list[Waiter] = []

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
            first = self._waiting[0]
            for waiter in self._waiting[1:]:
                first = waiter if waiter.when < first.when else first
            if self._is_idle_until(first.when):
                self._advance(first.when)
                return first
            self._do_next()
