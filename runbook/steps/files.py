"""Where a step may write, and how: whole or not at all, for its owner alone, and never over the run's own record."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from runbook.steps.trouble import unexpected

FILES = "files"  # the folder of a run that belongs to its playbook; what lies beside it is the record


def place_for(run: Path, path: str) -> Path:
    """The absolute path meant; its folder exists if it is the run's. Raises StepError."""
    base = (run / FILES).resolve()
    target = (base / path).resolve()
    inside = base in target.parents
    if not inside and (not Path(path).is_absolute() or run.resolve() in target.parents):
        raise unexpected(f"{path} leads out of the run's files", "Use a relative path without .., or an absolute one")
    try:
        if inside:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if target.is_dir() or not target.parent.is_dir():
            raise unexpected(f"{path} is a folder, or its folder is not there", "Name a file in a folder that exists")
    except OSError as error:
        raise unexpected(f"{path}: {error.strerror}") from None
    return target


def write_whole(target: Path, data: bytes, mode: int) -> None:
    """Atomically and on disk; a file that is there keeps its owner. Raises OSError."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # 0600 from the beginning
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            _keep_owner(target, file.fileno())
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)  # noqa: PTH105 -- mkstemp gives a name
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)  # noqa: PTH108
        raise
    _sync(target.parent)


def _keep_owner(target: Path, handle: int) -> None:
    with contextlib.suppress(FileNotFoundError, PermissionError):
        owner = target.stat()
        os.fchown(handle, owner.st_uid, owner.st_gid)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
