"""All that a package with steps of its own imports. What is not here may change with every release."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from runbook.clock import Clock
from runbook.errors import ErrorKind, StepError
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import StepResult
from runbook.text import shown

__all__ = ["Effect", "ErrorKind", "ExtensionContext", "Field", "StepDeclaration", "StepError", "StepResult", "shown"]


class ExtensionContext(Protocol):
    """What a step is given beside its arguments.

    ``step`` is where it stands in the playbook, for messages. ``folder`` is the run's own, which stays after it; a file
    there is for this user alone. To wait is ``clock.sleep``, so that a test need not.
    """

    @property
    def dry_run(self) -> bool:
        """Whether nothing may be changed: the step returns the words for what it would do."""

    @property
    def step(self) -> str: ...

    @property
    def folder(self) -> Path: ...

    @property
    def clock(self) -> Clock: ...

    def left(self, seconds: float) -> float:
        """``seconds``, or what is left before the step's own end. Raises :class:`StepError` when nothing is."""
