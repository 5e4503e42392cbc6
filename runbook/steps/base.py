"""What a step gives back. Light, as ``validate`` loads every step for its declaration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Output = dict[str, Any]


@dataclass(frozen=True)
class StepResult:
    """How a step ended well: the sentence that log, screen and report show, and the data that later steps read.

    ``output`` is plain data (texts, numbers, lists, maps). It is on record, so no secret is in it.
    """

    message: str
    output: Output
