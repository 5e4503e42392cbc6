"""Many questions at once without threads: each is asked again from its start with the answers it already had.

A question is a function that asks the network one thing after another. The first thing without an answer ends it for
now; when the answer has come it runs again from the beginning and gets that much further. So the questions of one look
really wait side by side in virtual time, and always in the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")


class Errand(Protocol):
    """Something on its way that will be finished, well or badly."""

    finished: bool

    def outcome(self) -> Any:
        """The answer. Raises what went wrong instead."""


class UnansweredError(BaseException):
    """Not an error of the question: it waits. No ``except Exception`` of the code under test sees it."""


@dataclass
class Question(Generic[T]):
    """One question, what it was told so far, and what it waits for."""

    ask: Callable[[], T]
    told: list[Errand | float] = field(default_factory=list)
    place: int = 0
    over: bool = False
    answer: T | None = None

    @property
    def waits(self) -> bool:
        last = self.told[-1] if self.told else None
        return not self.over and last is not None and not isinstance(last, float) and not last.finished

    def go_on(self) -> None:
        """As far as the answers reach. Raises what the question raises."""
        self.place = 0
        try:
            self.answer = self.ask()
            self.over = True
        except UnansweredError:
            return

    def errand(self, start: Callable[[], Errand]) -> Any:
        """The outcome of the next thing asked for, which is started if this is the first time."""
        errand = self._next(start)
        if not errand.finished:
            raise UnansweredError
        return errand.outcome()

    def time(self, now: Callable[[], float]) -> float:
        """The time as it was when this place was first reached."""
        moment: float = self._next(now)
        return moment

    def _next(self, make: Callable[[], Any]) -> Any:
        if self.place == len(self.told):
            self.told.append(make())
        self.place += 1
        return self.told[self.place - 1]
