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

from runbook.engine.world import AGREE_WITHIN


def person() -> str:
    """Behind sudo it is the person that counts; a container may have no name for its user."""
    user = os.environ.get("SUDO_USER") or os.environ.get("LOGNAME") or f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


@dataclass(frozen=True)
class Asking:
    """``at_terminal``: there is somebody to ask. ``yes``: they agreed to everything beforehand, by ``--yes``.

    Nothing else is written inside ``aside()``.
    """

    at_terminal: bool
    yes: bool
    aside: Callable[[], AbstractContextManager[None]]

    def approve(self, sentence: str, seconds: float) -> str | None:
        """Before the first change: who said yes, None for no; empty where nobody is there, as a timer may run it."""
        return self._agreed(sentence, seconds) if self.at_terminal else ""

    def agree(self, sentence: str, seconds: float) -> str | None:
        """For the step ``approve``: without a terminal only ``--yes`` agrees."""
        if self.at_terminal:
            return self._agreed(sentence, seconds)
        return f"{person()} (--yes)" if self.yes else None

    def choose(self, question: str, answers: tuple[str, ...]) -> str | None:
        """One of the answers, as typed; None without a terminal, for any other answer, and for none in ten minutes."""
        return self._answer(question, answers, AGREE_WITHIN) if self.at_terminal else None

    def _agreed(self, sentence: str, seconds: float) -> str | None:
        return person() if self._answer(sentence, ("y", "N"), seconds) == "y" else None

    def _answer(self, question: str, answers: tuple[str, ...], seconds: float) -> str | None:
        with self.aside():
            # What was typed before the question is no answer to it.
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
            print(f"{question} [{'/'.join(answers)}] ", end="", file=sys.stderr, flush=True)
            ready, _, _ = select.select([sys.stdin], [], [], seconds)
            typed = sys.stdin.readline().strip().lower() if ready else ""
        answer = {"yes": "y"}.get(typed, typed)
        return answer if answer in answers else None
