"""The ends of the rounds of a step with ``for_each``: what a resumed run need not do again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runbook.events import Event


@dataclass(frozen=True)
class ItemCompleted(Event):
    """One round has ended well. ``item`` counts from 0, in the list as ``for_each`` gives it."""

    kind = "item.completed"
    step: str
    item: int
    message: str
    output: Mapping[str, Any]


@dataclass(frozen=True)
class ItemFailed(Event):
    """One round has failed, and the step goes on with the others. ``name`` tells which it was."""

    kind = "item.failed"
    step: str
    item: int
    name: str
    message: str
    code: str = ""
