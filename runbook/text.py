"""Values as people read them, with nothing in them that a terminal obeys.

Redaction finds a secret by its value, so a value is shown verbatim (never escaped, quoted or joined anew), and where a
text is cut, the word that the cut goes through is left out with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runbook.playbook.expressions.model import UNKNOWN
from runbook.printable import printable

NOT_KNOWN = "(known when it runs)"
WORD = 4096  # characters; a longer word is no secret


def is_known(value: Any) -> bool:
    """Whether nothing in ``value`` waits for a step that a dry run does not do."""
    if isinstance(value, Mapping):
        return all(is_known(item) for item in value.values())
    if isinstance(value, list | tuple):
        return all(is_known(item) for item in value)
    return value is not UNKNOWN


def shown(value: Any) -> str:
    """Any value in one form: texts bare, lists in ``[]``, mappings in ``{}``."""
    if value is UNKNOWN:
        return NOT_KNOWN
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return printable(str(value))


def beginning(text: str, limit: int) -> str:
    """The first ``limit`` characters, less the word that is cut through; ``…`` says that there is more."""
    if len(text) <= limit:
        return text
    least = max(0, limit - WORD)
    at = max((text.rfind(space, least, limit) for space in " \n\t"), default=-1)
    return text[: at if at > 0 else least] + "…"


def ending(text: str, limit: int) -> str:
    """The last ``limit`` characters, less the word that is cut through; ``…`` says that there is more."""
    return beginning(text[::-1], limit)[::-1]


def last_line(text: str) -> str:
    """The last line that says something, fit for a sentence."""
    lines = text.split("\n")
    return ending(printable(next((line.strip() for line in reversed(lines) if line.strip()), "")), 300)
