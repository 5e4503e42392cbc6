"""The one way a file of ours is written, whole or not there at all and for this user alone; and read, with a limit."""

from __future__ import annotations

import os
from pathlib import Path


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


def read_limited(path: Path, limit: int) -> bytes:
    """The file, or one byte more than ``limit`` of it: as much as shows that it is too large. Raises OSError."""
    with path.open("rb") as file:
        return file.read(limit + 1)
