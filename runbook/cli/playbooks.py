"""``runbook playbooks``: what is shipped, and what each of them does."""

from __future__ import annotations

from pathlib import Path

from runbook.files import read_limited
from runbook.playbook.parser import parse_playbook
from runbook.playbook.reader import MAX_BYTES
from runbook.shipped_playbooks import names, path_of
from runbook.steps.registry import CATALOG


def listed() -> list[str]:
    """A line for each: its name and its summary."""
    wide = max(map(len, names()), default=0)
    return [
        f"{name:<{wide}}  {parse_playbook(_read(name), path_of(name), CATALOG).summary}".rstrip() for name in names()
    ]


def text_of(name: str) -> str:
    """The whole file, from which one of your own can begin. Raises NoPlaybookError."""
    return _read(name).decode()


def _read(name: str) -> bytes:
    return read_limited(Path(path_of(name)), MAX_BYTES)
