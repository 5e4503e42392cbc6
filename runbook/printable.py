"""Words of others, as servers, commands and files have them: escaped before they meet a terminal, a log or a report.

A control character, one that turns the direction of what follows, a line break where a line is expected: each is shown
as its escape, as ``\\x1b`` or ``\\u202e``. So nothing is obeyed, and no line is forged.
"""

from __future__ import annotations

import re

_ODD = re.compile(r"[^\n\t -~]")  # what is to be looked at; letters of all scripts are good
_ODD_IN_A_LINE = re.compile(r"[^ -~]")

_TYPED = str.maketrans({"…": "...", "→": "->", "–": "-", "×": "x", "≥": ">=", "“": '"', "”": '"', "’": "'"})


def printable(text: str) -> str:
    """The same text with nothing in it that a terminal obeys; its line breaks and tabs stay."""
    return text if text.isprintable() else _ODD.sub(_escape, text)


def printable_line(text: str) -> str:
    """The same, with its line breaks and tabs escaped too."""
    return text if text.isprintable() else _ODD_IN_A_LINE.sub(_escape, text)


def plain_ascii(text: str) -> str:
    """The same text in ASCII: our own signs as what is typed for them, letters of other scripts as their escapes."""
    return text if text.isascii() else text.translate(_TYPED).encode("ascii", "backslashreplace").decode("ascii")


def printable_json(text: str) -> str:
    """A JSON text that means the same: what a terminal obeys stands there as an escape of JSON."""
    return text if text.isprintable() else _ODD.sub(_escape_for_json, text)


def _escape(found: re.Match[str]) -> str:
    return found[0] if found[0].isprintable() else found[0].encode("unicode_escape").decode()


def _escape_for_json(found: re.Match[str]) -> str:
    if found[0].isprintable():
        return found[0]
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
