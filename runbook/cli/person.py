"""The person at the terminal: who they are, and what they are asked."""

from __future__ import annotations

import os
import select
import socket
import sys
import termios
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from runbook.engine.services import AGREE_WITHIN
from runbook.steps.context import Agreement
from runbook.steps.text import clean


def person() -> str:
    """Behind sudo it is the person that counts; a container may have no name for its user."""
    user = os.environ.get("SUDO_USER") or os.environ.get("LOGNAME") or f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


@dataclass(frozen=True)
class Asking:
    """``at_terminal``: there is somebody to ask. ``yes``: they agreed to every change beforehand, by ``--yes``.

    Nothing else is written inside ``aside()``.
    """

    at_terminal: bool
    yes: bool
    aside: Callable[[], AbstractContextManager[None]]

    def approve(self, sentence: str, seconds: float) -> Agreement | None:
        """Who said yes, beforehand or now. Without a terminal nobody is asked, and only ``--yes`` agrees."""
        if self.yes:
            return Agreement(person(), "by --yes")
        if self.at_terminal and self._answer(sentence, ("y", "N"), seconds) in ("y", "yes"):
            return Agreement(person(), "at the terminal")
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
