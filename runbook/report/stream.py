"""Stdout and stderr as a command may rely on them: one that is closed, full or broken ends nothing, and one that nobody
reads holds no run up. And on a terminal, colour for the few words that one looks for in a hurry: without it the text is
the same, character by character.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import time
from collections.abc import Mapping
from typing import Protocol, TextIO

from runbook.printable import plain_ascii

UNTOLD = 80, 24  # columns and lines


class Stream:
    """One of the process's streams, which may be missing, and may fail at any time. ``write`` never raises.

    ``patience`` are the seconds for which whoever reads may stop reading (a full pipe, Ctrl-S at a terminal). From then
    on what they do not read is left out, until they read again. Without it they may take for ever.
    """

    def __init__(self, stream: TextIO | None, patience: float | None = None) -> None:
        self._stream = stream
        self._ascii = is_terminal(stream) and wants_ascii(os.environ)
        self._patience = patience
        self._left = patience or 0.0  # seconds that are left of it
        self._rest = b""  # of a line that is cut through

    def say(self, text: str) -> bool:
        """Write what a person reads: on a terminal that knows only ASCII, in ASCII."""
        return self.write(plain_ascii(text) if self._ascii else text)

    def write(self, text: str) -> bool:
        """Whether it took the text. One that fails takes nothing more: its buffer would fail again."""
        if self._stream is None:
            return False
        try:
            if self._patience is not None and _has_descriptor(self._stream):
                coded = text.encode(self._stream.encoding or "utf-8", "backslashreplace")
                return self._write_in_time(self._stream.fileno(), coded)
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self.give_up()
            return False
        return True

    def _write_in_time(self, descriptor: int, text: bytes) -> bool:
        data, at, until = self._rest + text, 0, time.monotonic() + self._left
        while at < len(data):
            if not select.select([], [descriptor], [], max(0.0, until - time.monotonic()))[1]:
                self._left = 0.0
                cut_through = self._rest if at == 0 else b"" if data[:at].endswith(b"\n") else data[at:]
                self._rest = b"".join(cut_through.splitlines(keepends=True)[:1])  # so that no line is of two halves
                return False
            at += os.write(descriptor, data[at : at + select.PIPE_BUF])  # a pipe that is ready takes as much at once
        self._left, self._rest = self._patience or 0.0, b""
        return True

    def flush(self) -> None:
        """Nothing is ever left in it."""

    def isatty(self) -> bool:
        """Whether somebody may sit there."""
        return is_terminal(self._stream)

    def fileno(self) -> int:
        """Raises OSError where it is none of the system's."""
        if self._stream is None:
            raise OSError("no stream")
        return self._stream.fileno()

    def give_up(self) -> None:
        """Take nothing more. At the end of the process its buffer is flushed once more, and that must not fail."""
        stream, self._stream = self._stream, None
        if stream is None:
            return
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def _has_descriptor(stream: TextIO) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return stream.fileno() >= 0
    return False


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody may sit there; nobody at a stream that is closed."""
    with contextlib.suppress(OSError, ValueError):
        return stream is not None and stream.isatty()
    return False


_RESET, _BOLD, _RED, _GREEN, _YELLOW = "\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m"
_WORDS = {
    "CRITICAL": _BOLD + _RED,
    "WARNING": _BOLD + _YELLOW,
    "REFUSED": _BOLD + _YELLOW,
    "INTERRUPTED": _BOLD + _YELLOW,
    "FAILED": _BOLD + _RED,
    "OUTCOME NOT KNOWN": _BOLD + _RED,
    "NOT KNOWN": _BOLD + _RED,
    "would recover the cluster": _GREEN,
    "recovered": _BOLD + _GREEN,
    "nothing to do": _GREEN,
    "ok": _GREEN,
    "alive": _GREEN,
    "dead": _RED,
    "unknown": _YELLOW,
}
# Not inside remove-dead-peers, nor in a file's name, nor where a line names its step.
_WORD = rf"(?<![\w./-])(?<!\d\d:\d\d  )(?:{'|'.join(_WORDS)})(?![\w/-])"  # compiled where there is colour


class MayBeTerminal(Protocol):
    def isatty(self) -> bool: ...


def wants_colour(stream: MayBeTerminal, environment: Mapping[str, str]) -> bool:
    """On a terminal that knows colours, unless its owner asks for none (no-color.org)."""
    return can_rewrite(stream, environment) and not environment.get("NO_COLOR")


def wants_live_screen(stream: MayBeTerminal, environment: Mapping[str, str]) -> bool:
    """Whether what is drawn there is seen as drawn: not where there is no colour, in the log of a CI, or where a screen
    reader speaks it, whose user sets ``TERM=dumb``.
    """
    return wants_colour(stream, environment) and not environment.get("CI")


def can_rewrite(stream: MayBeTerminal, environment: Mapping[str, str]) -> bool:
    """Whether what was written there can be written over."""
    return stream.isatty() and environment.get("TERM", "dumb") != "dumb"


def wants_ascii(environment: Mapping[str, str]) -> bool:
    """Whether the locale is C, in which nothing but ASCII is letters.

    Python itself sets ``LC_CTYPE`` to a C locale of its own then, so that this alone says nothing.
    """
    ours = "" if environment.get("LC_CTYPE") in ("C.UTF-8", "C.utf8", "UTF-8") else environment.get("LC_CTYPE", "")
    return (environment.get("LC_ALL") or ours or environment.get("LANG") or "C") in ("C", "POSIX")


def size_of(stream: Stream) -> os.terminal_size:
    """As large as the terminal is now; 80 by 24 where it does not say (a serial line, a container's)."""
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        columns = lines = 0
    return os.terminal_size((columns or UNTOLD[0], lines or UNTOLD[1]))


def paint(text: str) -> str:
    """The same text with its telling words in colour."""
    return re.sub(_WORD, lambda word: f"{_WORDS[word[0]]}{word[0]}{_RESET}", text)
