"""Odd JSON to a value, or to nothing where it is none: numbers, durations and texts as programs in Go write them."""

from __future__ import annotations

import json
import re
from typing import Any

from runbook.errors import ClusterError, ErrorKind

ODD = (KeyError, IndexError, TypeError, AttributeError, ValueError)  # what a reply of another shape raises
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)(s|ms|us|µs|μs|ns))?")
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
_DIGITS = re.compile(r"[0-9]{1,19}")
_TOO_LARGE = 10**19


def decode(body: bytes, url: str) -> Any:
    """By content, never by Content-Type: a 429 with JSON comes as text/plain."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        shown = " ".join(body[:80].decode("utf-8", "replace").split())
        raise ClusterError(
            ErrorKind.BAD_REPLY, f"{url} did not answer JSON but: {shown}", "Is a proxy between?"
        ) from None


def number(told: Any) -> int | None:
    """Raft numbers come as strings, of 19 digits at most. ``int`` would raise for thousands of them, and
    for ``²``, which ``isdigit`` takes for a digit.
    """
    if type(told) is int:
        return told if 0 <= told < _TOO_LARGE else None
    return int(told) if isinstance(told, str) and _DIGITS.fullmatch(told) else None


def go_seconds(told: Any) -> float | None:
    """A duration as Go writes it, ``1m2.5s`` or ``15.357523ms``, in seconds; None for anything else, as ``-1ns``."""
    found = _DURATION.fullmatch(told) if isinstance(told, str) and len(told) < 40 else None
    if not told or found is None:
        return None
    hours, minutes, rest, unit = found.groups()
    return int(hours or 0) * 3600.0 + int(minutes or 0) * 60.0 + float(rest or 0) * _SECONDS.get(unit or "s", 1.0)


def text_of(told: Any) -> str | None:
    """The text, or nothing where it is none or empty."""
    return told if isinstance(told, str) and told else None
