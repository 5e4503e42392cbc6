"""Text with nothing in it that a terminal obeys: a server's name, a file or a reply may hold anything (I17)."""

from __future__ import annotations

_OBEYED = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """The text with a replacement character for each that moves, hides or colours others; line breaks and tabs stay."""
    import re

    return re.sub(_OBEYED, _REPLACEMENT, text)


def printable_line(text: str) -> str:
    """The same in one line, as a line break in a name would forge a line of its own."""
    return printable(text.replace("\n", " "))
