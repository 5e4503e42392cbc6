"""The cluster's own minimum of voters where it cannot be read: what is answered in its place, from when, how long."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from random import Random

from runbook.simulation.api_call import TEXT, ApiReply
from runbook.simulation.state import ClusterState

PATH = "/v1/operator/autopilot/configuration"
LATE = 10.0  # seconds; longer than a look waits for it
RATE = 0.15
FOREVER = 1e9


class OddMinimum(Enum):
    """One answer in the place of the settings."""

    FORBIDDEN = "unreadable minimum: 403"
    NOT_THERE = "unreadable minimum: 404"
    NOT_READY = "unreadable minimum: 500"
    NULL = "unreadable minimum: null"
    PAGE = "unreadable minimum: a page"
    INFINITE = "unreadable minimum: 1e999"
    LONG = "unreadable minimum: 5,000 digits"
    NEGATIVE = "unreadable minimum: negative"
    TRUTH = "unreadable minimum: true"
    WORDS = "unreadable minimum: a string"
    LATE = "unreadable minimum: late"


_REFUSALS = {
    OddMinimum.FORBIDDEN: ApiReply(403, b"Permission denied", TEXT),
    OddMinimum.NOT_THERE: ApiReply(404, b"Invalid method", TEXT),
    OddMinimum.NOT_READY: ApiReply(500, b"autopilot config not initialized yet", TEXT),
    OddMinimum.NULL: ApiReply(200, b"null"),
    OddMinimum.PAGE: ApiReply(200, b"<html>Log in</html>", "text/html"),
}
_NUMBERS = {
    OddMinimum.INFINITE: "1e999",
    OddMinimum.LONG: "9" * 5000,
    OddMinimum.NEGATIVE: "-3",
    OddMinimum.TRUTH: "true",
    OddMinimum.WORDS: '"three"',
}


@dataclass(frozen=True)
class Unreadable:
    """``by_word``: in this incident the person who runs the tool sets the minimum aside where it cannot be read."""

    what: OddMinimum
    at: float
    lasts: float
    by_word: bool

    def answer(self, state: ClusterState, given: ApiReply) -> ApiReply:
        if self.what in _REFUSALS:
            return _REFUSALS[self.what]
        if self.what not in _NUMBERS:
            return given
        text = json.dumps({**state.autopilot, "MinQuorum": "HERE"}).replace('"HERE"', _NUMBERS[self.what])
        return replace(given, body=text.encode())


def unreadable(chance: Random, run_at: float) -> Unreadable | None:
    """Now and then: from before the run or during it, for a moment, a while, or for good."""
    if chance.random() >= RATE:
        return None
    at = chance.choice((0.0, 0.0, run_at + chance.uniform(0.0, 120.0)))
    lasts = chance.choice((20.0, 120.0, FOREVER, FOREVER))
    return Unreadable(chance.choice(tuple(OddMinimum)), at, lasts, chance.random() < 0.3)


def plan_minimum(
    found: Unreadable | None,
    at: Callable[[float, Callable[[], None]], None],
    put: Callable[[Unreadable | None], None],
) -> None:
    """When it begins, and when it is over."""
    if found is not None:
        at(found.at, lambda: put(found))
        if found.lasts < FOREVER:
            at(found.at + found.lasts, lambda: put(None))
