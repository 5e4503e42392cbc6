"""The terminal of a run: how its events are printed while it goes on, and the person who is asked before a change."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from runbook.engine.services import AGREE_WITHIN
from runbook.printable import printable
from runbook.report import colour
from runbook.report.screen import LABEL_WIDTH, Screen, wrap_line
from runbook.steps.context import Agreement

if TYPE_CHECKING:
    from runbook.session.run_session import EventWriter

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
            typed = self._answer(f"Type one of the words {' '.join(answers)}:", answers, AGREE_WITHIN)
        return typed if typed in answers else None

    def _answer(self, question: str, answers: tuple[str, ...], seconds: float) -> str:
        """What was typed after the question; nothing where nobody typed in time."""
        with self.pause():
            # What was typed before the question is no answer to it.
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
            print(f"{printable(question)} [{'/'.join(answers)}] ", end="", file=sys.stderr, flush=True)
            ready, _, _ = select.select([sys.stdin], [], [], seconds)
            return sys.stdin.readline().strip().lower() if ready else ""


@contextlib.contextmanager
def open_event_writer(form: str, run: str) -> Iterator[tuple[EventWriter, Pause]]:
    """What prints the events of this run on stderr, in the form that :class:`Terminal` names."""
    if form == "none":
        yield lambda _event: None, contextlib.nullcontext
    elif form == "json":
        from runbook.report.log import json_log

        yield json_log(sys.stderr, run), contextlib.nullcontext
    elif colour.can_rewrite(sys.stderr, os.environ):
        from runbook.report.live import LiveScreen

        with LiveScreen(sys.stderr, lambda text: colour_for(text, sys.stderr)) as live:
            yield live.write, live.pause
    else:
        screen = Screen()

        def write(event: Mapping[str, Any]) -> None:
            for line in screen.format_event(event):
                print(line, file=sys.stderr, flush=True)

        yield write, contextlib.nullcontext


def format_for(stream: TextIO, lines: Iterable[str]) -> str:
    """The lines as this stream shows them: on a terminal broken between words, and in colour where that is wanted."""
    if not colour.can_rewrite(stream, os.environ):
        return "\n".join(lines)
    from runbook.report.live import columns_of

    columns = columns_of(stream) - 1
    return colour_for("\n".join(part for line in lines for part in wrap_line(line, columns, LABEL_WIDTH)), stream)


def colour_for(text: str, stream: TextIO) -> str:
    """The text in colour, where the stream is a terminal whose owner wants it."""
    return colour.paint(text) if colour.is_wanted(stream, os.environ) else text
