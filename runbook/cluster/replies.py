"""What the servers answer, handed to whoever keeps a record of it: by the thread that asked, and those it works for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

from runbook.dataclass import dataclass

SECRET_PATHS = ("/auth/",)  # what is answered there is a secret, or tells of one


@dataclass(frozen=True)
class Exchange:
    """One request and what came back. ``status`` is 0 where nothing did, and ``error`` says why.

    Of what went into a file, ``length`` bytes, there is no ``body``.
    """

    method: str
    url: str
    status: int
    body: bytes = b""
    length: int = 0
    changes: bool = False
    error: str = ""


Take = Callable[[Exchange], None]  # called by any thread
_TAKER: ContextVar[Take | None] = ContextVar("taker of replies", default=None)


@contextlib.contextmanager
def handing_replies_to(take: Take) -> Iterator[None]:
    """Inside, every request to the cluster by this thread, and by those that it gives work to, is handed over."""
    token = _TAKER.set(take)
    try:
        yield
    finally:
        _TAKER.reset(token)


def hand_over(exchange: Exchange) -> None:
    """To whoever keeps it, but for what holds a secret that nobody knows yet."""
    take = _TAKER.get()
    if take is not None and not any(part in exchange.url for part in SECRET_PATHS):
        take(exchange)
