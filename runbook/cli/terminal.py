"""The terminal of a run: how its events are printed while it goes on, and the person who is asked before a change."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from runbook.cli.output import Output
from runbook.dataclass import dataclass
from runbook.engine.services import AGREE_WITHIN
from runbook.printable import printable
from runbook.report.screen import Screen
from runbook.report.stream import Stream, paint, wants_ascii, wants_live_screen
from runbook.steps.context import Agreement

if TYPE_CHECKING:
    from runbook.session.run_session import EventWriter, RunSession

Pause = Callable[[], AbstractContextManager[None]]
"""Inside it a person can be asked, as no event is written meanwhile."""


@dataclass(frozen=True)
class Terminal:
    """How a run is shown and who may be asked.

    Args:
        attended: Somebody sits at the terminal and can be asked.
        yes: They agreed to every change beforehand, by ``--yes``.
        form: How events are printed while the run goes on: text, json or none.
    """

    attended: bool = False
    yes: bool = False
    form: str = "text"


@dataclass(frozen=True)
class Person:
    """Whoever typed the command, and whether they can be asked, or agreed beforehand."""

    name: str
    terminal: Terminal
    output: Output
    pause: Pause = contextlib.nullcontext

    def approve(self, sentence: str, seconds: float) -> Agreement | None:
        """Who said yes, beforehand or now. Without a terminal nobody is asked, and only ``--yes`` agrees."""
        if self.terminal.yes:
            return Agreement(self.name, "by --yes")
        if self.terminal.attended and self._answer(sentence, ("y", "N"), seconds) in ("y", "yes"):
            return Agreement(self.name, "at the terminal")
        return None

    def choose(self, question: str, answers: tuple[str, ...]) -> str | None:
        """One of the answers, typed as a word; what is none of them is asked once more.

        None without a terminal, for a second wrong word, and for none in ten minutes. ``--yes`` is no answer.
        """
        if not self.terminal.attended:
            return None
        typed = self._answer(question, answers, AGREE_WITHIN)
        if typed not in answers:
            words = f"one of the words {' '.join(answers)}" if len(answers) > 1 else f"the word {answers[0]}"
            typed = self._answer(f"Type {words}:", answers, AGREE_WITHIN)
        return typed if typed in answers else None

    def would_approve(self, _sentence: str, _seconds: float) -> Agreement | None:
        """What :meth:`approve` gives if whoever is asked agrees."""
        if self.terminal.yes:
            return Agreement(self.name, "by --yes")
        return Agreement(self.name, "at the terminal") if self.terminal.attended else None

    def would_choose(self, _question: str, answers: tuple[str, ...]) -> str | None:
        """What :meth:`choose` gives if the first of the answers is typed."""
        return answers[0] if self.terminal.attended else None

    def _answer(self, question: str, answers: tuple[str, ...], seconds: float) -> str:
        """What was typed after the question; nothing where nobody typed in time, or the terminal is gone."""
        asked = printable(self.output.redactor.hide(question)).replace("\n", "\n  ")
        # What was typed before the question is no answer to it.
        with self.pause(), contextlib.suppress(OSError, ValueError, termios.error):
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
            was_asked = self.output.err.write(f"{asked} [{'/'.join(answers)}] ")  # else nothing typed is an answer
            if was_asked and select.select([sys.stdin], [], [], seconds)[0]:
                return sys.stdin.readline().strip().lower()
        return ""


@contextlib.contextmanager
def open_event_writer(form: str, session: RunSession, stream: Stream) -> Iterator[tuple[EventWriter, Pause]]:
    """What prints the events of this run there, in the form that :class:`Terminal` names. They hold no secret."""
    if form == "none":
        yield lambda _event: None, contextlib.nullcontext
    elif form == "json":
        from runbook.report.log import json_log

        yield json_log(stream, session.plan.run), contextlib.nullcontext
    elif wants_live_screen(stream, os.environ):
        from runbook.report.live import LiveScreen

        live = LiveScreen(stream, paint, ascii_only=wants_ascii(os.environ))
        live.begin(session.state)
        with live:
            yield live.write, live.pause
    else:
        screen = Screen()

        def write(event: Mapping[str, Any]) -> None:
            for line in screen.format_event(event):
                stream.say(f"{line}\n")

        yield write, contextlib.nullcontext
