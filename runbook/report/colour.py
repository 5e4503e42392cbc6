"""Colour for the few words that one looks for in a hurry. Without it the text is the same, character by character."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

_RESET, _BOLD, _RED, _GREEN, _YELLOW = "\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m"
_WORDS = {
    "REFUSED": _BOLD + _YELLOW,
    "INTERRUPTED": _BOLD + _YELLOW,
    "FAILED": _BOLD + _RED,
    "OUTCOME NOT KNOWN": _BOLD + _RED,
    "NOT KNOWN": _BOLD + _RED,
    "would be recovered": _GREEN,
    "recovered": _BOLD + _GREEN,
    "nothing to do": _GREEN,
    "ok": _GREEN,
    "alive": _GREEN,
    "dead": _RED,
    "unknown": _YELLOW,
}
# Not inside remove-dead-peers, nor in a file's name, nor where a line names its step.
_WORD = re.compile(rf"(?<![\w./-])(?<!\d\d:\d\d  )(?:{'|'.join(_WORDS)})(?![\w/-])")


class MayBeTerminal(Protocol):
    def isatty(self) -> bool: ...


def is_wanted(stream: MayBeTerminal, environment: Mapping[str, str]) -> bool:
    """On a terminal that knows colours, unless its owner asks for none (no-color.org)."""
    return can_rewrite(stream, environment) and not environment.get("NO_COLOR")


def can_rewrite(stream: MayBeTerminal, environment: Mapping[str, str]) -> bool:
    """Whether what was written there can be written over."""
    return stream.isatty() and environment.get("TERM", "dumb") != "dumb"


def paint(text: str) -> str:
    """The same text with its telling words in colour."""
    return _WORD.sub(lambda word: f"{_WORDS[word[0]]}{word[0]}{_RESET}", text)
