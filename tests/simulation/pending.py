"""Many questions at once without threads: whoever has to wait steps aside for the others, always in the same order.

A question is a function that asks the network one thing after another. It runs in a greenlet of its own until it needs
an answer that has not come, and goes on from there when it has; so the questions of one look really wait side by side
in virtual time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from greenlet import getcurrent, greenlet

T = TypeVar("T")


class PendingResult(Protocol):
    """Something on its way that will be finished, well or badly."""

    finished: bool

    def outcome(self) -> Any:
        """The answer. Raises what went wrong instead."""


class _NotBegun:
    finished = True

    def outcome(self) -> None:
        """Never asked for."""


class Question(Generic[T]):
    """One question, what it waits for, and its answer once it is over."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self.answer: T | None = None
        self.over = False
        self.waits_for: PendingResult = _NotBegun()
        self._greenlet = greenlet(lambda: self._run(ask))

    def go_on(self) -> None:
        """Until it is over or has to wait. Raises what the question raises."""
        self._greenlet.switch()

    def drop(self) -> None:
        """Nobody waits for it any more: in the middle of it, it would keep its whole world in memory."""
        if not self._greenlet.dead:
            self._greenlet.throw()

    def wait_for(self, pending: PendingResult) -> None:
        """To be called from within the question."""
        self.waits_for = pending
        while not pending.finished:
            getcurrent().parent.switch()

    def _run(self, ask: Callable[[], T]) -> None:
        self.answer = ask()
        self.over = True
