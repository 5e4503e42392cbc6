"""How far a command is that does the same to many clusters, on a terminal, below whatever else it says."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from runbook.report.stream import Stream, wants_live_screen

if TYPE_CHECKING:
    from rich.progress import Progress


class ProgressBar:
    """Nothing where nobody sits at a terminal."""

    def __init__(self, progress: Progress | None, total: int, what: str) -> None:
        self._progress = progress
        self._task = progress.add_task(what, total=total) if progress else None

    def advance(self) -> None:
        """One more is done."""
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task)

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """It stands below what is printed inside."""
        if self._progress is not None:
            self._progress.stop()
        yield
        if self._progress is not None:
            self._progress.start()


@contextlib.contextmanager
def progress_bar(stream: Stream | None, total: int, what: str) -> Iterator[ProgressBar]:
    """On stderr, where the ``stream`` to it is a terminal; it goes with the block."""
    if stream is None or not wants_live_screen(stream, os.environ):
        yield ProgressBar(None, total, what)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    class SaneConsole(Console):
        def show_cursor(self, show: bool = True) -> bool:
            """It stays to be seen, so whatever ends the process leaves the terminal sane."""
            return show

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=SaneConsole(file=sys.stderr), transient=True) as progress:
        yield ProgressBar(progress, total, what)
