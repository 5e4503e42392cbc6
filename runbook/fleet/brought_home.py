"""The record of a run that a worker did: packed there, and kept at home under the fleet, where its report is drawn.

It is for reading. The run itself is on the worker's host alone, and so is what can be resumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runbook.errors import NotStartedError
from runbook.files import make_folder, read_limited, replace_file
from runbook.playbook.reader import MAX_BYTES
from runbook.session.run_folders import JOURNAL, PLAYBOOK, began_at

MOST_BYTES = 4 * 1024 * 1024  # of a journal; the longest of a recovery of seven servers has a tenth of that
FILES = {JOURNAL: MOST_BYTES, PLAYBOOK: MAX_BYTES}


def pack_record(folder: Path) -> tuple[dict[str, str], str]:
    """The texts by their names, and why the journal stays where it is; nothing there where it comes along.

    No secret is in them: the journal was written without any.
    """
    texts: dict[str, str] = {}
    for name, limit in FILES.items():
        try:
            data = read_limited(folder / name, limit)
        except OSError as error:
            return {}, f"its journal cannot be read there: {error.strerror}"
        if len(data) > limit:
            return {}, f"its journal has more than {limit // 1024**2} MiB and stays there"
        texts[name] = data.decode("utf-8", "replace")
    return texts, ""


def keep_record(fleets: Path, fleet: str, run: str, texts: Any) -> Path | None:
    """Where it is kept now; None where nothing came. Raises NotStartedError for odd data, and OSError."""
    if not texts:
        return None
    if not _fits(run, texts):
        raise NotStartedError("what a worker sent is no record of a run of this version")
    folder = home_folder(fleets, fleet, run)
    make_folder(folder)
    for name, text in texts.items():
        replace_file(folder / name, text.encode("utf-8", "replace"))
    return folder


def home_folder(fleets: Path, fleet: str, run: str) -> Path:
    """Of the record of a run of this fleet that a worker did."""
    return fleets / fleet / run


def _fits(run: str, texts: Any) -> bool:
    if not began_at(run) or not isinstance(texts, Mapping) or set(texts) != set(FILES):
        return False
    return all(isinstance(text, str) and len(text) <= FILES[name] for name, text in texts.items())
