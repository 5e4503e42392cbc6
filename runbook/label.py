"""Where a value or an outcome of a dry run is from. Light, as ``validate`` loads it."""

from __future__ import annotations

from enum import Enum


class Label(Enum):
    """Every event of a dry run has one."""

    LIVE = "live"  # read just now
    SIMULATED = "simulated"  # what it would be, if the world stands still
    UNKNOWN = "unknown"  # only the real run can tell
