"""The person at the terminal: who they are, and what they are asked."""

from __future__ import annotations

import select
import sys
import termios
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from runbook.engine.services import AGREE_WITHIN
from runbook.session.open_run import user_name
from runbook.steps.context import Agreement
from runbook.steps.text import clean


@dataclass(frozen=True)
class Person:
    """``at_terminal``: there is somebody to ask. ``yes``: they agreed to every change beforehand, by ``--yes``.

    Nothing else is written inside ``aside()``.
    """

    name: str
    at_terminal: bool
    yes: bool
    aside: Callable[[], AbstractContextManager[None]]

    @classmethod
    def here(cls, environment: Mapping[str, str], at_terminal: bool, yes: bool, aside: Callable[[], Any]) -> Person:
        """Whoever typed the command."""
        return cls(user_name(environment), at_terminal, yes, aside)

    def approve(self, sentence: str, seconds: float) -> Agreement | None:
        """Who said yes, beforehand or now. Without a terminal nobody is asked, and only ``--yes`` agrees."""
        if self.yes:
            return Agreement(self.name, "by --yes")
        if self.at_terminal and self._answer(sentence, ("y", "N"), seconds) in ("y", "yes"):
            return Agreement(self.name, "at the terminal")
        return None

    def choose(self, question: str, answers: tuple[str, ...]) -> str | None:
        """One of the answers, typed as a word; what is none of them is asked once more.

        None without a terminal, for a second wrong word, and for none in ten minutes. ``--yes`` is no answer.
        """
        if not self.at_terminal:
            return None
        typed = self._answer(question, answers, AGREE_WITHIN)
        if typed not in answers:
            typed = self._answer(f"Type one of the words {' '.join(answers)}:", answers, AGREE_WITHIN)
        return typed if typed in answers else None

    def _answer(self, question: str, answers: tuple[str, ...], seconds: float) -> str:
        """What was typed after the question; nothing where nobody typed in time."""
        with self.aside():
            # What was typed before the question is no answer to it.
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
            print(f"{clean(question)} [{'/'.join(answers)}] ", end="", file=sys.stderr, flush=True)
            ready, _, _ = select.select([sys.stdin], [], [], seconds)
            return sys.stdin.readline().strip().lower() if ready else ""
