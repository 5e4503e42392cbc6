"""Stdout and stderr as a command may rely on them: one that is closed, full or broken ends nothing."""

from __future__ import annotations

import contextlib
import os
from typing import TextIO


class Stream:
    """One of the process's streams, which may be missing, and may fail at any time. ``write`` never raises."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> bool:
        """Whether it took the text. One that did not takes nothing more: its buffer would fail again."""
        if self._stream is None:
            return False
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self.give_up()
            return False
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


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody may sit there; nobody at a stream that is closed."""
    with contextlib.suppress(OSError, ValueError):
        return stream is not None and stream.isatty()
    return False
