"""Durations as people write them (``500ms``, ``30s``, ``5m``, ``1h30m``) to float seconds and back."""

from __future__ import annotations

import re

MAX_DURATION = 366 * 86400.0
"""Seconds. Nothing in an incident waits a year, and the platform's sleeps overflow far above it."""

_DURATION = re.compile(
    r"(?:(?P<h>[0-9]{1,9})h)?(?:(?P<m>[0-9]{1,9})m)?(?:(?P<s>[0-9]{1,9}(?:\.[0-9]{1,9})?)s)?(?:(?P<ms>[0-9]{1,9})ms)?"
)
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def parse_duration(text: str) -> float:
    """Seconds of ``500ms``, ``30s``, ``1.5s``, ``5m``, ``1h``, ``1h30m``; ``ValueError`` with a sentence otherwise."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not match.group():
        raise ValueError("a duration is written like 500ms, 30s, 5m or 1h")
    seconds = sum(float(number) * _SECONDS[unit] for unit, number in match.groupdict().items() if number)
    if seconds > MAX_DURATION:
        raise ValueError("a duration may be a year at most")
    return seconds


def format_duration(seconds: float) -> str:
    """The shortest text that :func:`parse_duration` reads back, to the millisecond: ``90.0`` is ``1m30s``."""
    milliseconds = round(abs(seconds) * 1000)
    sign = "-" if seconds < 0 and milliseconds else ""
    if milliseconds < 1000:
        return f"{sign}{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes else "")
    return sign + text + (f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s" if rest else "")
