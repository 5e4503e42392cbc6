"""Collects every fault of one file, with its line and what was probably meant; bounded, as a file may be hostile."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import NoReturn

from runbook.playbook.model import Fault, Mark, PlaybookError

MAX_FAULTS = 100
"""Nobody reads more, and each costs a search for what was meant."""
MAX_SOURCE = 160
"""Characters of a source line worth printing; a caret further right helps nobody."""
MAX_KNOWN = 200
"""Names compared with a misspelt one: a few milliseconds."""

_PASSWORD = re.compile(r"(?<=//)[^/?#\s]*(?=@)")  # with the user of a URL (I13)
_LINE_BREAK = re.compile(r"\r\n|\r|\n")


def quoted(text: str, limit: int = 60) -> str:
    """``text`` in double quotes on one line, shortened, with nothing in it that a terminal would obey."""
    if len(text) <= limit and text.isprintable():
        return f'"{text}"'
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[: limit + 1])
    return f'"{shown}"' if len(text) <= limit else f'"{shown[: limit - 1]}…"'


def describe(value: object) -> str:
    """What a value is, in words that fit after *not*: ``the string "3"``, ``true``, ``a list``."""
    if isinstance(value, str):
        return f"the string {quoted(value)}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return f"{value}" if abs(value) < 1e18 else "a number beyond all use"
    return "a list" if isinstance(value, list | tuple) else "a mapping"


def closest(word: str, known: Iterable[str]) -> str | None:
    """The one of ``known`` that was probably meant by ``word``, or nothing."""
    if len(word) > 100:
        return None
    from difflib import get_close_matches

    by_lower = {name.lower(): name for name in islice(known, MAX_KNOWN)}
    found = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """``Did you mean "x"?``, or nothing where nothing is near."""
    found = closest(word, known)
    return f"Did you mean {quoted(found)}?" if found else None


class Faults:
    """The faults found so far in one file."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.lines = _LINE_BREAK.split(text)
        self._found: dict[tuple[Mark, str], Fault] = {}
        self._concealed: set[int] = set()

    def mark(self, line: int, column: int) -> Mark:
        """The place at ``line`` and ``column``, both counted from 1."""
        return Mark(self.path, line, column)

    def source(self, mark: Mark) -> str:
        """The line of ``mark`` fit for a terminal: one column a character; nothing where the caret would be far off."""
        if mark.line > len(self.lines) or mark.column > MAX_SOURCE or mark.line in self._concealed:
            return ""
        line = _PASSWORD.sub(lambda found: "*" * len(found[0]), self.lines[mark.line - 1][:MAX_SOURCE])
        return "".join(c if c.isprintable() else " " if c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in line)

    def conceal(self, mark: Mark) -> None:
        """Show the line of ``mark`` nowhere, and forget what was told at this place: a secret may stand there (I13)."""
        self._concealed.add(mark.line)
        for key, fault in list(self._found.items()):
            if fault.mark == mark:
                del self._found[key]
            elif fault.mark.line == mark.line:
                self._found[key] = replace(fault, source="")

    def add(self, mark: Mark, message: str, suggestion: str | None = None) -> None:
        """Keep one fault; ends the reading by raising everything when there are :data:`MAX_FAULTS`."""
        self._found.setdefault((mark, message), Fault(mark, message, self.source(mark), suggestion))
        if len(self._found) >= MAX_FAULTS:
            last = f"there are {MAX_FAULTS} faults or more; the rest was not looked at"
            self._found[(mark, last)] = Fault(mark, last)
            self.raise_if_any()

    def fail(self, mark: Mark, message: str, suggestion: str | None = None) -> NoReturn:
        """Keep one fault after which nothing more can be told, and raise everything."""
        self.add(mark, message, suggestion)
        self.raise_if_any()
        raise AssertionError  # pragma: no cover (there is one fault at least)

    def raise_if_any(self) -> None:
        """Raise :class:`PlaybookError` with everything found, in file order, if anything was."""
        if self._found:
            raise PlaybookError(tuple(sorted(self._found.values(), key=lambda f: (f.mark.line, f.mark.column))))
