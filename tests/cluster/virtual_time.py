"""What every cluster in virtual time shares: its clock, and questions that are asked one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
Key = TypeVar("Key")


class VirtualTime:
    """The part of a network that knows no server. ``now`` is in seconds, and only a sleep moves it."""

    now: float

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def gather(
        self, first: Iterable[Key], ask: Callable[[Key], T], follow: Callable[[T], Iterable[Key]], seconds: float
    ) -> dict[Key, T | None]:
        answers: dict[Key, T | None] = {}
        waiting = list(first)
        while waiting:
            key = waiting.pop(0)
            if key not in answers:
                answers[key] = answer = ask(key)
                waiting += follow(answer)
        return answers
