"""The one way a file of ours is written, whole or not there at all and for this user alone; and read, with a limit."""

from __future__ import annotations

import os
from pathlib import Path

READ_LIMIT = 1024 * 1024 + 1  # bytes of a playbook: one past what the parser takes, so that a larger one is refused


def write_private(path: Path, data: bytes) -> None:
    """Replace the file in one step, mode 0600. Raises OSError, with nothing left behind."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def read_limited(path: Path) -> bytes:
    """A playbook, or as much of it as shows that it is too large. Raises OSError."""
    with path.open("rb") as file:
        return file.read(READ_LIMIT)
