"""One run a cluster at a time. The kernel frees the lock when its holder dies, so it is never stolen."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


class LockedError(Exception):
    """Another run holds the cluster; the message says who, and since when."""


@contextmanager
def hold(folder: Path, cluster: str, holder: Mapping[str, str]) -> Iterator[None]:
    """Hold the lock of one cluster. Raises :class:`LockedError` at once when another run has it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(cluster.encode()).hexdigest()[:16]}.lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(f"{cluster} is held by another run: {_told(path)}. Wait for it, or end it") from None
        os.ftruncate(handle, 0)
        os.write(handle, json.dumps(dict(holder)).encode())
        os.fsync(handle)
        yield
    finally:
        os.close(handle)


def _told(path: Path) -> str:
    return " ".join(path.read_text(encoding="utf-8", errors="replace").split()) or "it has not said who it is"
