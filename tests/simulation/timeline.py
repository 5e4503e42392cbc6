"""Virtual time: what is due happens in one fixed order, and whoever waits gets the turn when its moment has come."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from runbook.simulation.cluster import SimulatedCluster

FOREVER = float("inf")


@dataclass
class Waiter:
    """Somebody who waits: until a moment, or until something is done. ``go`` is locked until it has the turn."""

    when: float
    done: Callable[[], bool]
    go: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.go.acquire()


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
        self._broken: BaseException | None = None

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Those of one moment happen in the order in which they were planned."""
        self._count += 1
        heapq.heappush(self._due, (max(when, self.now), self._count, action))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self.at(self.now + seconds, action)

    def wait(self, when: float, done: Callable[[], bool] = lambda: False) -> None:
        """Give the turn away until ``when``, or until ``done``."""
        me = Waiter(when, done)
        self._waiting.append(me)
        if self._pass_the_turn() is not me:
            me.go.acquire()
        if self._broken is not None:
            raise AssertionError("the other actor broke") from self._broken

    def start(self, work: Callable[[], None]) -> Callable[[], bool]:
        """A second actor; it gets its first turn when the first one waits. Returns whether it has ended."""
        ended: list[bool] = []
        first = Waiter(self.now, lambda: True)
        self._waiting.append(first)

        def run() -> None:
            first.go.acquire()
            try:
                work()
                ended.append(True)
                self._pass_the_turn()
            except BaseException as error:
                self._broken = error
                for waiter in self._waiting:
                    waiter.go.release()

        threading.Thread(target=run, daemon=True).start()
        return lambda: bool(ended)

    def _pass_the_turn(self) -> Waiter | None:
        """Let time go on until somebody's wait is over, and hand the turn to them; None if nobody waits."""
        while self._waiting:
            ready = self._ready()
            if ready is not None:
                self._waiting.remove(ready)
                ready.go.release()
                return ready
            when, _, action = heapq.heappop(self._due)
            self._advance(when)
            action()
        return None

    def _ready(self) -> Waiter | None:
        for waiter in self._waiting:
            if waiter.done():
                return waiter
        first = min(self._waiting, key=lambda waiter: waiter.when)
        if self._due and self._due[0][0] <= first.when:
            return None
        self._advance(first.when)
        return first

    def _advance(self, when: float) -> None:
        if when == FOREVER:
            raise AssertionError("somebody waits for ever and nothing is due")
        self.now = max(self.now, when)
        self._model.advance(self.now)
        self._moved()
