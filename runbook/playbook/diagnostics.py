"""What is wrong with a playbook: every error with its place, its line and what was probably meant.

All of it is bounded, as a file may be hostile, and nothing that a terminal would obey is ever shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import NoReturn

from runbook.errors import Diagnostic, Mark, PlaybookError

MAX_DIAGNOSTICS = 100
"""Nobody reads more, and each costs a search for what was meant."""
MAX_SOURCE = 160
"""Characters of a source line worth printing; a caret further right helps nobody."""
MAX_CANDIDATES = 200
"""Names compared with a misspelt one: a few milliseconds."""

_CREDENTIALS = re.compile(r"(?<=//)[^/?#\s]*(?=@)")  # the user and password of a URL (I13)
_LINE_BREAK = re.compile(r"\r\n|\r|\n")


class Diagnostics:
    """The errors found so far in one file."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.lines = _LINE_BREAK.split(text)
        self._found: dict[tuple[Mark, str], Diagnostic] = {}
        self._hidden_lines: set[int] = set()
        self._warnings: list[Diagnostic] = []

    def mark(self, line: int, column: int) -> Mark:
        """The place at ``line`` and ``column``, both counted from 1."""
        return Mark(self.path, line, column)

    def source(self, mark: Mark) -> str:
        """The line of ``mark`` fit for a terminal: one column a character; empty where the caret would be far off."""
        if mark.line > len(self.lines) or mark.column > MAX_SOURCE or mark.line in self._hidden_lines:
            return ""
        line = _CREDENTIALS.sub(lambda found: "*" * len(found[0]), self.lines[mark.line - 1][:MAX_SOURCE])
        return "".join(c if c.isprintable() else " " if c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in line)

    def hide_line(self, mark: Mark) -> None:
        """Show the line of ``mark`` nowhere and forget what was said of this place: a secret may stand there (I13)."""
        self._hidden_lines.add(mark.line)
        for key, diagnostic in list(self._found.items()):
            if diagnostic.mark == mark:
                del self._found[key]
            elif diagnostic.mark.line == mark.line:
                self._found[key] = replace(diagnostic, source="")

    def add(self, mark: Mark, message: str, suggestion: str | None = None) -> None:
        """Keep one error; at :data:`MAX_DIAGNOSTICS` the reading ends and all of them are raised."""
        self._found.setdefault((mark, message), Diagnostic(mark, message, self.source(mark), suggestion))
        if len(self._found) >= MAX_DIAGNOSTICS:
            last = f"there are {MAX_DIAGNOSTICS} errors or more; the rest was not checked"
            self._found[(mark, last)] = Diagnostic(mark, last)
            raise self._error()

    def warn(self, mark: Mark, message: str, suggestion: str | None = None) -> None:
        """Keep what is no error, and is hardly meant."""
        if len(self._warnings) < MAX_DIAGNOSTICS:
            self._warnings.append(Diagnostic(mark, message, self.source(mark), suggestion, warning=True))

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """All that was warned of, in the order of reading."""
        return tuple(self._warnings)

    def fail(self, mark: Mark, message: str, suggestion: str | None = None) -> NoReturn:
        """Keep one error after which nothing more can be checked, and raise all of them."""
        self.add(mark, message, suggestion)
        raise self._error()

    def raise_if_any(self) -> None:
        """Raise :class:`PlaybookError` with everything found, in file order, if anything was."""
        if self._found:
            raise self._error()

    def _error(self) -> PlaybookError:
        in_file_order = sorted(self._found.values(), key=lambda found: (found.mark.line, found.mark.column))
        return PlaybookError(tuple(in_file_order))


def quoted(text: str, limit: int = 60) -> str:
    """``text`` in double quotes on one line, shortened, with nothing in it that a terminal would obey."""
    if len(text) <= limit and text.isprintable():
        return f'"{text}"'
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[: limit + 1])
    return f'"{shown}"' if len(text) <= limit else f'"{shown[: limit - 1]}…"'


def describe_value(value: object) -> str:
    """What a value is, in words that fit after *not*: ``the string "3"``, ``true``, ``a list``."""
    if isinstance(value, str):
        return f"the string {quoted(value)}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return f"{value}" if abs(value) < 1e18 else "a number too large to show"
    return "a list" if isinstance(value, list | tuple) else "a mapping"


def closest_match(word: str, known: Iterable[str]) -> str | None:
    """The one of ``known`` that was probably meant by ``word``, or nothing."""
    if len(word) > 100:
        return None
    from difflib import get_close_matches

    by_lower = {name.lower(): name for name in islice(known, MAX_CANDIDATES)}
    found = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """``Did you mean "x"?``, or nothing where nothing is near."""
    found = closest_match(word, known)
    return f"Did you mean {quoted(found)}?" if found else None
