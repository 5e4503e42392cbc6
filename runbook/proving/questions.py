"""The questions of :mod:`runbook.lab.virtual.questions` without threads, so that a process with some of them under way
can be forked: a question that has to wait is left, and asked again from its beginning with what it was told so far.

That holds because a question is a function of the answers that it gets: it asks, and keeps nothing but what it returns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from runbook.lab.virtual.messages import PendingResult
from runbook.lab.virtual.questions import NotBegun

T = TypeVar("T")


class _NotYetError(BaseException):
    """Not an Exception: no handler of the question may catch it and go on."""


class ReplayedQuestion(Generic[T]):
    """One question, what it waits for, and its answer once it is over."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self.answer: T | None = None
        self.over = False
        self.waits_for: PendingResult = NotBegun()
        self._ask = ask
        self._told: list[Any] = []
        self._at = 0

    def go_on(self) -> None:
        """Until it is over or has to wait. Raises what the question raises."""
        self._at = 0
        try:
            self.answer = self._ask()
        except _NotYetError:
            return
        self.over = True

    def drop(self) -> None:
        """Nothing of it is kept anywhere."""

    def wait_for(self, pending: PendingResult) -> None:
        """Nothing where it is finished."""
        self.waits_for = pending
        if not pending.finished:
            raise _NotYetError

    def once(self, tell: Callable[[], Any]) -> Any:
        """What it was told at this place before, or is told now for the first time."""
        if self._at == len(self._told):
            self._told.append(tell())
        self._at += 1
        return self._told[self._at - 1]
