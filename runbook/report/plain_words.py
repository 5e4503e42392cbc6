"""Words of others in Markdown: nothing of them is taken for a heading, a link, a cell or HTML."""

from __future__ import annotations

import re

from runbook.printable import printable_line

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!@&]|:(?=//)|(?<=www)\.)")  # the last two would become links


def plain_words(text: str) -> str:
    """In one line, and plain text to every reader of Markdown."""
    return _SPECIAL.sub(r"\\\1", printable_line("; ".join(filter(None, text.splitlines()))))
