"""When a check is news: once as the state changes, once as it is well again, and once where it changes too often.

A pure function of what was kept of the checks before, so that an hour of them is played in a test.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from runbook.dataclass import dataclass
from runbook.decode import ODD
from runbook.raft.diagnosis.health import CRITICAL, OK, UNKNOWN, WARNING

FLAP_CHANGES = 5  # changes of state within
FLAP_WITHIN = 1800.0  # seconds: nobody wants to be called for each of them
CALM_AFTER = 900.0  # seconds without a change, and it is told how it stands
WORSE = {OK: 0, WARNING: 1, UNKNOWN: 2, CRITICAL: 3}
LONGEST_NAME = 100  # characters


@dataclass(frozen=True)
class CheckState:
    """``level`` and the ``name`` of the finding that it rests on; ``flapping``: as of one that changes too often."""

    level: int
    name: str = ""
    flapping: bool = False


@dataclass(frozen=True)
class WatchedState:
    """What is kept of a cluster between two checks: how it stands since when, which changes there were lately, and what
    was told of it last.
    """

    now: CheckState
    since: float
    changes: tuple[float, ...] = ()
    told: CheckState | None = None

    def record(self) -> dict[str, Any]:
        """As plain data."""
        rows = [None if each is None else [each.level, each.name, each.flapping] for each in (self.now, self.told)]
        return {"now": rows[0], "since": self.since, "changes": list(self.changes), "told": rows[1]}


@dataclass(frozen=True)
class CheckNotice:
    """``kind`` is problem, recovery, flapping, or steady for the end of that."""

    kind: str
    state: CheckState
    was: CheckState | None
    since: float


def read_watched(data: Any) -> WatchedState | None:
    """What was kept; None for whatever else lay there."""
    try:
        changes = tuple(map(float, data["changes"][-FLAP_CHANGES:]))
        now, told = _state(data["now"]), None if data["told"] is None else _state(data["told"])
        return WatchedState(now, float(data["since"]), changes, told)
    except ODD:
        return None


def _state(row: Any) -> CheckState:
    level, name, flapping = row
    if type(level) is not int or level not in WORSE or not isinstance(name, str) or len(name) > LONGEST_NAME:
        raise ValueError("no state of a check")
    return CheckState(level, name if name.isprintable() else "", flapping is True)


def watch(before: WatchedState | None, level: int, name: str, at: float) -> tuple[WatchedState, CheckNotice | None]:
    """How it stands now, and what is to be told of it. Whoever has told it says so by :func:`told`, or it comes again.

    While it flaps nothing is told but what is worse than all that was told since it began.
    """
    if before is None:
        before = WatchedState(CheckState(level, name), at)
    changed = (level, name) != (before.now.level, before.now.name)
    changes = tuple(each for each in before.changes if 0 <= at - each <= FLAP_WITHIN) + ((at,) if changed else ())
    calm = not changes or at - changes[-1] >= CALM_AFTER
    flapping = len(changes) >= FLAP_CHANGES or (before.now.flapping and not calm)
    state = CheckState(level, name, flapping and not calm)
    after = WatchedState(state, at if changed else before.since, changes[-FLAP_CHANGES:], before.told)
    return after, _notice(after)


def _notice(watched: WatchedState) -> CheckNotice | None:
    state, told = watched.now, watched.told
    if state == told or (told is None and state == CheckState(OK)):
        return None
    if state.flapping and told is not None and told.flapping and WORSE[state.level] <= WORSE[told.level]:
        return None
    if state.flapping:
        kind = "flapping"
    elif told is not None and told.flapping:
        kind = "steady"
    else:
        kind = "recovery" if state.level == OK else "problem"
    return CheckNotice(kind, state, told, watched.since)


def told(watched: WatchedState, notice: CheckNotice) -> WatchedState:
    """It reached whoever is to hear of it."""
    return replace(watched, told=notice.state)
