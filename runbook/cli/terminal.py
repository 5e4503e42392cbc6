"""The one question a run may ask: a yes of the person at this terminal, in time, or nothing goes on."""

from __future__ import annotations

import select
import termios
from dataclasses import dataclass
from typing import TextIO

from runbook.playbook.durations import format_duration
from runbook.raft.removal import Unsafe
from runbook.steps.base import RefusedError

ANSWER = 1000  # characters of an answer that are read
YES = ("y", "yes")


@dataclass(frozen=True)
class Terminal:
    """What ``Context.ask`` is made of. ``agreed_before`` says that --yes was given; ``who`` is told as who agreed."""

    who: str
    agreed_before: bool
    answers: TextIO
    questions: TextIO

    def ask(self, prompt: str, seconds: float) -> str:
        """Who said yes. Raises RefusedError after another answer, after none in time, and where nobody can be asked."""
        if self.agreed_before:
            return f"{self.who} (--yes)"
        if not (self.answers.isatty() and self.questions.isatty()):
            hint = "Run it at a terminal, or with --yes where this is agreed on beforehand"
            raise _refused(f"there is no terminal to ask at: {prompt}", hint)
        # What was typed before the question is no answer to it.
        termios.tcflush(self.answers.fileno(), termios.TCIFLUSH)
        print(f"{prompt} [y/N] ", end="", file=self.questions, flush=True)
        return self._answered(prompt, seconds)

    def _answered(self, prompt: str, seconds: float) -> str:
        ready, _, _ = select.select([self.answers], [], [], seconds)
        if not ready:
            print(file=self.questions)
            raise _refused(f"nobody answered within {format_duration(seconds)}: {prompt}", "Run it again")
        if self.answers.readline(ANSWER).strip().lower() not in YES:
            raise _refused(f"the answer was no: {prompt}", "Nothing was changed by this step")
        return self.who


def _refused(what: str, next_action: str) -> RefusedError:
    return RefusedError(Unsafe("NotApproved", what, next_action))
