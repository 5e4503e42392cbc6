"""Many questions at once, one at a time: whoever has to wait steps aside for the others, always in the same order.

A question is a function that asks the network one thing after another. It goes on until it needs an answer that has not
come, and goes on from there when it has; so the questions of one look really wait side by side in virtual time. Each
has a thread of its own, and only one of all has the turn, so nothing here runs beside anything else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from runbook.doors import with_doors
from runbook.lab.virtual.messages import PendingResult

T = TypeVar("T")


class Question(Protocol[T]):
    """One question, what it waits for, and its answer once it is over."""

    answer: T | None
    over: bool
    waits_for: PendingResult

    def go_on(self) -> None:
        """Until it is over or has to wait. Raises what the question raises."""

    def drop(self) -> None:
        """Nobody waits for it any more."""

    def wait_for(self, pending: PendingResult) -> None:
        """To be called from within the question."""


class NotBegun:
    """What a question waits for that has never had the turn."""

    finished = True

    def outcome(self) -> None:
        """Never asked for."""


class _DroppedError(BaseException):
    """Not an Exception: no handler of the question may catch it and go on."""


class ThreadQuestion(Generic[T]):
    """A question with a thread of its own."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self.answer: T | None = None
        self.over = False
        self.waits_for: PendingResult = NotBegun()
        self._error: BaseException | None = None
        self._dropped = False
        self._its_turn, self._our_turn = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=with_doors(lambda: self._run(ask)), name="question", daemon=True)

    def go_on(self) -> None:
        if self._thread.ident is None:
            self._thread.start()
        self._its_turn.release()
        self._our_turn.acquire()
        if self._error is not None:
            raise self._error

    def drop(self) -> None:
        """In the middle of it, its thread would stay for ever."""
        if self._thread.is_alive():
            self._dropped = True
            self._its_turn.release()
            self._thread.join()

    def wait_for(self, pending: PendingResult) -> None:
        self.waits_for = pending
        while not pending.finished:
            self._our_turn.release()
            self._its_turn.acquire()
            if self._dropped:
                raise _DroppedError

    def _run(self, ask: Callable[[], T]) -> None:
        self._its_turn.acquire()
        try:
            self.answer, self.over = ask(), True
        except BaseException as error:
            self._error = error
        self._our_turn.release()
