"""The screen on a terminal: the plain lines, and below them one that is rewritten in place and says what is awaited."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from runbook.printable import printable_line
from runbook.report.screen import Screen, wrap_line
from runbook.report.stream import Stream

if TYPE_CHECKING:
    from typing_extensions import Self

EVERY = 1.0  # seconds between two drawings: enough to show that the tool is alive
UNTOLD = 80  # columns
ERASE = "\r\x1b[2K"
_WAITS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "step.started": lambda r: f"at work: {r['uses']}",
    "step.waiting": lambda r: f"waiting: {r['reason']}",
    "removal.requested": lambda r: f"waiting until every server agrees that {r['name']} is gone",
}
_OVER = frozenset({"removal.confirmed", "step.completed", "step.failed"})


class LiveScreen:
    """Give it the records; it writes to the terminal. What is awaited is not repeated as lines of its own."""

    def __init__(
        self,
        stream: Stream,
        paint: Callable[[str], str] = str,
        monotonic: Callable[[], float] = time.monotonic,
        columns: Callable[[Stream], int] | None = None,
    ) -> None:
        self._stream, self._paint, self._monotonic = stream, paint, monotonic
        self._columns = columns or columns_of
        self._screen = Screen()
        self._began = monotonic()
        self._awaited = self._step = ""
        self._since = self._began
        self._lock = threading.Lock()  # the run tells, and the ticker redraws
        self._over = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._tick, name="live line", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """The live line goes; what follows begins at the left."""
        self._over.set()
        with self._lock:
            self._put(ERASE)

    def write(self, record: Mapping[str, Any]) -> None:
        """Print the lines of this event, and say from now on what the run waits for."""
        lines = [] if record["kind"] == "step.waiting" else self._screen.format_event(record)
        columns, indent = self._columns(self._stream), self._screen.indent
        shown = [part for line in lines for part in wrap_line(line, columns - 1, indent)]
        with self._lock:
            self._note(record)
            self._put(ERASE + "".join(f"{self._paint(line)}\n" for line in shown) + self._line())

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        """No live line meanwhile: a person is asked, and types."""
        with self._lock:
            self._put(ERASE)
            yield
            self._since = self._monotonic()

    def _note(self, record: Mapping[str, Any]) -> None:
        kind = str(record["kind"])
        if kind in _OVER or kind.startswith("run."):
            self._awaited = ""
        if kind not in _WAITS:
            return
        step, awaited = str(record["step"]), printable_line(_WAITS[kind](record))
        if (step, awaited) != (self._step, self._awaited):
            self._step, self._awaited, self._since = step, awaited, self._monotonic()

    def _line(self) -> str:
        if not self._awaited:
            return ""
        now = self._monotonic()
        minutes, seconds = divmod(int(now - self._began), 60)
        step = f"{self._step:<{self._screen.step_width}}"
        line = printable_line(f"{minutes:02}:{seconds:02}  {step} … {int(now - self._since)} s {self._awaited}")
        return line[: max(0, self._columns(self._stream) - 1)]  # a longer one would wrap, and could not be erased

    def _tick(self) -> None:
        while not self._over.wait(EVERY):
            with self._lock:
                if self._awaited and not self._over.is_set():
                    self._put(ERASE + self._line())

    def _put(self, text: str) -> None:
        self._stream.write(text)


def columns_of(stream: Stream) -> int:
    """As wide as the terminal is now; 80 where it does not say (a serial line, a container's)."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or UNTOLD
    except (OSError, ValueError):
        return UNTOLD
