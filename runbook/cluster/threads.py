"""Threads that cannot hold anybody up: a time-out for one piece of work, and many pieces of work at once."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from runbook.doors import with_doors

T = TypeVar("T")
Key = TypeVar("Key")


class Begun(Generic[T]):
    """Work that goes on in a thread of its own, a daemon, so that a hung server cannot hold the exit."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._results: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()
        _begin(lambda: self._results.put(_outcome(work)))

    def result(self, seconds: float) -> T:
        """What came of it, to be asked for once, or ``TimeoutError``."""
        try:
            result, error = self._results.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError from None
        if error is not None:
            raise error
        return result  # type: ignore[return-value]


def within(seconds: float, work: Callable[[], T]) -> T:
    """The result of ``work``, or ``TimeoutError``."""
    return Begun(work).result(seconds)


def gather(
    first: Iterable[Key], ask: Callable[[Key], T], follow: Callable[[T], Iterable[Key]], seconds: float
) -> dict[Key, T | None]:
    """``ask`` of every key at once, and of each one that ``follow`` draws from an answer as soon as it is known.

    In the order of asking; ``None`` for what did not come in time. One hung server does not make the others slow.
    """
    asked: dict[Key, T | None] = {}
    results: queue.SimpleQueue[tuple[Key, T | None, BaseException | None]] = queue.SimpleQueue()

    def start(key: Key) -> None:
        asked[key] = None
        _begin(lambda: results.put((key, *_outcome(lambda: ask(key)))))

    for key in dict.fromkeys(first):
        start(key)
    until = time.monotonic() + seconds
    waiting = len(asked)
    while waiting and (left := until - time.monotonic()) > 0:
        try:
            key, result, error = results.get(timeout=left)
        except queue.Empty:
            break
        if error is not None:
            raise error
        asked[key] = result
        news = [key for key in follow(result) if key not in asked]  # type: ignore[arg-type]
        for key in dict.fromkeys(news):
            start(key)
        waiting += len(dict.fromkeys(news)) - 1
    return asked


class _WorkerThread:
    """A daemon thread that is used again, as starting one costs as much as the request it is for."""

    def __init__(self) -> None:
        self.tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="worker", daemon=True).start()

    def _work(self) -> None:
        while True:
            self.tasks.get()()
            _idle.append(self)


_idle: deque[_WorkerThread] = deque()  # one that hangs never comes back to it, so it holds nobody up


def _begin(task: Callable[[], None]) -> None:
    """At once, in a thread of its own: an idle one, or a new one. ``task`` does not raise."""
    try:
        worker = _idle.pop()
    except IndexError:
        worker = _WorkerThread()
    worker.tasks.put(with_doors(task))


def _outcome(work: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    try:
        return work(), None
    except BaseException as error:
        return None, error
