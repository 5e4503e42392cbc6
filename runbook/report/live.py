"""The screen on a terminal: the plain lines, and below them a picture of the run that is drawn anew in place."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from runbook.report.live_draw import frame_lines
from runbook.report.live_view import LiveFold
from runbook.report.screen import Screen, wrap_line
from runbook.report.stream import Stream, size_of
from runbook.report.times import utc
from runbook.run_state import RunState

if TYPE_CHECKING:
    from typing_extensions import Self

EVERY = 1.0  # seconds between two drawings while nothing happens: its clock shows that the tool is alive
AT_MOST = 0.25  # seconds between two drawings, however much happens
UP, BELOW, LINE_END = "\x1b[{}A", "\x1b[J", "\x1b[K\n"
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


class LiveScreen:
    """Give it the records; it writes to the terminal. What is awaited is not repeated as lines of its own.

    No mode of the terminal is changed and its cursor stays to be seen, so whatever ends the process leaves it sane.
    """

    def __init__(
        self,
        stream: Stream,
        paint: Callable[[str], str] = str,
        monotonic: Callable[[], float] = time.monotonic,
        size: Callable[[Stream], os.terminal_size] = size_of,
        *,
        ascii_only: bool = False,
    ) -> None:
        self._stream, self._paint, self._monotonic = stream, paint, monotonic
        self._size, self._ascii = size, ascii_only
        self._screen, self._fold = Screen(), LiveFold()
        self._frame: list[str] = []  # as it stands on the terminal, above the cursor
        self._happened = 0.0  # the newest event, in seconds since the epoch
        self._told: float | None = None  # when it was told
        self._drawn = -EVERY
        self._due = False
        self._lock = threading.Lock()  # the run tells, and the ticker redraws
        self._over = threading.Event()

    def begin(self, state: RunState) -> None:
        """With what earlier processes did of a run that is resumed."""
        self._fold.begin(state)

    def __enter__(self) -> Self:
        threading.Thread(target=self._tick, name="live screen", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """The picture goes; what follows begins at the left."""
        self._over.set()
        with self._lock:
            self._put(self._erased())

    def write(self, record: Mapping[str, Any]) -> None:
        """Print the lines of this event, and draw what is so after it."""
        lines = [] if record["kind"] == "step.waiting" else self._screen.format_event(record)
        size, indent = self._size(self._stream), self._screen.indent
        shown = [part for line in lines for part in wrap_line(line, size.columns - 1, indent)]
        with self._lock:
            self._take(record)
            if shown:  # the picture as it was goes below them, until it is drawn anew
                kept = self._frame
                self._put(self._erased() + "".join(f"{self._paint(line)}\n" for line in shown) + _written(kept))
                self._frame = kept
            self._due = True
            if self._fold.view() is None or self._monotonic() - self._drawn >= AT_MOST:
                self._draw()

    def _take(self, record: Mapping[str, Any]) -> None:
        try:
            self._fold.take(record)
            self._happened, self._told = utc(str(record["at"])).timestamp(), self._monotonic()
        except Exception:
            self._fold = LiveFold()  # no picture is worth a run: from now on there are only the lines

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        """No picture meanwhile: a person is asked, and types."""
        with self._lock:
            self._put(self._erased())
            yield
            self._due = True

    def _tick(self) -> None:
        while not self._over.wait(AT_MOST):
            with self._lock:
                passed = self._monotonic() - self._drawn
                if not self._over.is_set() and (self._due or passed >= EVERY):
                    self._draw()

    def _draw(self) -> None:
        """Over the picture that stands there, line by line, so that nothing flickers."""
        view, self._due, self._drawn = self._fold.view(), False, self._monotonic()
        if view is None or self._told is None:
            self._put(self._erased())
            return
        now = self._happened + self._drawn - self._told
        try:
            lines = frame_lines(view, now, self._size(self._stream), ascii_only=self._ascii)
        except Exception:
            self._fold, lines = LiveFold(), []  # as above
        begin = UP.format(self._rows()) if self._frame else ""
        self._put("\r" + begin + _written(lines) + BELOW)
        self._frame = lines

    def _erased(self) -> str:
        """What takes the picture off the terminal."""
        if not self._frame:
            return ""
        text = "\r" + UP.format(self._rows()) + BELOW
        self._frame = []
        return text

    def _rows(self) -> int:
        """How many the picture takes: more than it has lines where the terminal has become narrower since."""
        columns = self._size(self._stream).columns
        widths = (cell_len(_ESCAPE.sub("", line)) for line in self._frame)
        return sum(max(1, -(-width // columns)) for width in widths)

    def _put(self, text: str) -> None:
        if text:
            self._stream.say(text)


def _written(frame: list[str]) -> str:
    return "".join(f"{line}{LINE_END}" for line in frame)
