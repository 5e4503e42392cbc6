"""Thresholds in the syntax of the monitoring plugins: ``10``, ``10:``, ``~:10``, ``10:20`` and ``@10:20``.

A range says where a number is well; with ``@`` before it where it is not. Both ends belong to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from math import inf

from runbook.dataclass import dataclass

_NUMBER = r"-?\d{1,15}(?:\.\d{1,9})?"
_RANGE = re.compile(rf"(?P<inside>@)?(?:(?P<low>~|{_NUMBER})?(?P<colon>:))?(?P<high>{_NUMBER})?", re.ASCII)


@dataclass(frozen=True)
class ValueRange:
    """A range as it was written, and what it means. ``inside``: it alerts within, and not outside."""

    text: str
    low: float
    high: float
    inside: bool = False

    def alerts(self, value: float) -> bool:
        return (self.low <= value <= self.high) is self.inside


def parse_range(text: str) -> ValueRange:
    """Raises ValueError, which says what a range looks like."""
    found = _RANGE.fullmatch(text)
    if found is None or not (found["low"] or found["high"]):
        raise ValueError("a range is 10 (0 to 10), 10: (10 and more), ~:10 (10 and less), 10:20, or @10:20 (not these)")
    low = 0.0 if found["low"] is None else -inf if found["low"] == "~" else float(found["low"])
    high = inf if found["high"] is None else float(found["high"])
    if low > high:
        raise ValueError(f"it begins at {low:g}, above its end")
    return ValueRange(text, low, high, found["inside"] is not None)


@dataclass(frozen=True)
class Thresholds:
    """By the name of a metric the range in which it is well; they add an alarm, and silence none of ours."""

    warning: Mapping[str, ValueRange] = field(default_factory=dict)
    critical: Mapping[str, ValueRange] = field(default_factory=dict)

    @property
    def texts(self) -> dict[str, dict[str, str]]:
        """As they were written, by level and name."""
        return {
            level: {name: each.text for name, each in sorted(ranges.items())}
            for level, ranges in (("warning", self.warning), ("critical", self.critical))
        }


NO_THRESHOLDS = Thresholds()
