"""Files of a lab: for this user only, whole or not there at all, and the end of a log for an error message."""

from __future__ import annotations

from pathlib import Path

from runbook import files
from runbook.lab.errors import LabError

TAIL_BYTES = 2000


def write_private(path: Path, text: str) -> None:
    """Replace the file in one step, mode 0600. Raises LabError."""
    try:
        files.write_private(path, text.encode())
    except OSError as error:
        raise LabError(f"cannot write {path}: {error.strerror}") from None


def tail(path: Path) -> str:
    """The last lines, or why they cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            return file.read(TAIL_BYTES).decode("utf-8", "replace").rstrip()
    except OSError as error:
        return f"({path}: {error.strerror})"
