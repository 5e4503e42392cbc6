"""Moments and durations of a record, as people read them."""

from __future__ import annotations

from datetime import datetime, timezone

FINE = 10.0  # seconds; of what takes longer nobody asks for tenths
DAY = 86_400


def utc(at: str) -> datetime:
    """The moment of an event; of one at the very edge of the calendar, which no clock of ours tells, as it stands."""
    moment = datetime.fromisoformat(at)
    try:
        return moment.astimezone(timezone.utc)
    except OverflowError:
        return moment.replace(tzinfo=timezone.utc)


def format_moment(at: str) -> str:
    """As ``2026-11-26 05:37:36``, in UTC."""
    return utc(at).strftime("%Y-%m-%d %H:%M:%S")


def format_clock(at: str) -> str:
    """The time of day of it, in UTC."""
    return utc(at).strftime("%H:%M:%S")


def seconds_between(begin: str, end: str) -> float:
    """By the wall clock; 0 where it was set back meanwhile."""
    return max(0.0, (utc(end) - utc(begin)).total_seconds())


def format_seconds(seconds: float) -> str:
    """As ``0.4 s``, ``14 s``, ``2 min 5 s``, ``3 h 20 min``, ``2 d 4 h``: what one says of it."""
    if seconds < FINE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, name, smaller, lesser in ((DAY, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= unit:
            rest = whole % unit // smaller
            return f"{whole // unit} {name} {rest} {lesser}" if rest else f"{whole // unit} {name}"
    return f"{whole} s"
