"""Who hears of a run while it goes on: a person at a terminal, a file or a pipe, a log collector, or nobody."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TextIO

from runbook.report import colour
from runbook.report.screen import Screen, wrapped

Write = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Telling:
    """``write`` tells one event. Inside ``aside()`` a person can be asked: nothing else is written meanwhile."""

    write: Write
    aside: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext


@contextlib.contextmanager
def telling(form: str, run: str) -> Iterator[Telling]:
    """On stderr, as long as the run goes on. ``form`` is text, json or none."""
    if form == "none":
        yield Telling(lambda _record: None)
    elif form == "json":
        from runbook.report.log import json_log

        yield Telling(json_log(sys.stderr, run))
    elif colour.can_rewrite(sys.stderr, os.environ):
        from runbook.report.live import LiveScreen

        with LiveScreen(sys.stderr, lambda text: painted(text, sys.stderr)) as screen:
            yield Telling(screen.tell, screen.aside)
    else:
        yield Telling(_plain(Screen()))


def _plain(screen: Screen) -> Write:
    def show(record: Mapping[str, Any]) -> None:
        for line in screen.lines(record):
            print(line, file=sys.stderr, flush=True)

    return show


def fitted(lines: Iterable[str], stream: TextIO, indent: int) -> str:
    """For this stream: on a terminal broken between words, and in colour where its owner wants that."""
    if not colour.can_rewrite(stream, os.environ):
        return "\n".join(lines)
    from runbook.report.live import columns_of

    columns = columns_of(stream) - 1
    return painted("\n".join(part for line in lines for part in wrapped(line, columns, indent)), stream)


def painted(text: str, stream: TextIO) -> str:
    """For this stream: in colour on a terminal whose owner wants it."""
    return colour.paint(text) if colour.is_wanted(stream, os.environ) else text
