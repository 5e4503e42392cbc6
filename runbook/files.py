"""The one way a file of ours is written, whole or not there at all; and read: with a limit, and only a regular file.

A pipe or a device that stands where a file is wanted is refused at once, as reading it could wait for ever.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from runbook.doors import check_file

if TYPE_CHECKING:
    from pathlib import Path

PRIVATE, PRIVATE_FOLDER = 0o600, 0o700
SHARED, SHARED_FOLDER = 0o660, 0o2770  # in a folder that a team shares: its group's, and so is all that comes into it
PIECE = 1024 * 1024
LONGEST = 8 * 1024**3  # bytes that are read for a digest; the state of a cluster is kept up to half of it
RUNS = "runs"  # in the state folder, with a folder a run
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a link",
}


def is_shared(folder: Path) -> bool:
    """Whether a team shares this folder: its group may write in it, and what comes into it belongs to that group."""
    try:
        mode = folder.stat().st_mode
    except OSError:
        return False
    return stat.S_ISDIR(mode) and bool(mode & stat.S_IWGRP) and bool(mode & stat.S_ISGID)


def make_folder(folder: Path) -> None:
    """With those above it, for this user alone, or for the team that shares the one around it. Raises OSError."""
    if folder.is_dir():
        return
    check_file(folder)
    make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):  # somebody else was faster
        folder.mkdir(mode=PRIVATE_FOLDER)
        folder.chmod(SHARED_FOLDER if is_shared(folder.parent) else PRIVATE_FOLDER)  # mkdir's own is cut by the umask


def file_mode(folder: Path) -> int:
    """Of a file of ours in this folder."""
    return SHARED if is_shared(folder) else PRIVATE


def replace_file(path: Path, data: bytes, *, mode: int | None = None, keep_owner: bool = False) -> None:
    """Put ``data`` where ``path`` is, in one step and on disk. Raises OSError, which names ``path``."""
    try:
        wanted = file_mode(path.parent) if mode is None else mode
        with replacing(path, mode=wanted, keep_owner=keep_owner) as file:
            file.write(data)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


@contextlib.contextmanager
def replacing(path: Path, *, mode: int = PRIVATE, keep_owner: bool = False) -> Iterator[IO[bytes]]:
    """A new file that takes the place of ``path`` at the end of the block, whole and on disk.

    Where anything is raised, nothing is left of it. It has a name of its own, so one that was given up cannot spoil
    the next. ``keep_owner``: as far as this user may, the file belongs to whom the old one belonged. Raises OSError,
    at once where something stands there that is no regular file.
    """
    import tempfile

    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(mode_there := path.stat().st_mode):
            raise _not_regular(path, mode_there)
    check_file(path)
    handle, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")  # 0600
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            if keep_owner:
                with contextlib.suppress(FileNotFoundError, PermissionError):
                    old = path.stat()
                    os.fchown(file.fileno(), old.st_uid, old.st_gid)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)  # noqa: PTH105 -- mkstemp gives a name
        sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh)  # noqa: PTH108
        raise


def delete_file(path: Path) -> None:
    """If it is there. Raises OSError."""
    check_file(path)
    path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """A new name is only safe when its folder is on disk. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_limited(path: str | Path, limit: int) -> bytes:
    """The file, or one byte more than ``limit`` of it: as much as shows that it is too large. Raises OSError.

    A path that leads into a file leads nowhere, unless that file is this program.
    """
    try:
        handle = open_regular(path)
    except NotADirectoryError:
        from runbook.package_data import read_packed

        packed = read_packed(str(path))
        if packed is None:
            raise
        return packed[: limit + 1]
    with os.fdopen(handle, "rb") as file:
        data = file.read(limit + 1)
    if data is None:  # a file of the kernel's that has nothing to say yet
        raise OSError(errno.EAGAIN, "not a regular file but one that waits", str(path))
    return data


def sha256_of(path: str | Path) -> str:
    """The digest (hex) of a file of at most 8 GiB. Raises OSError."""
    import hashlib

    digest = hashlib.sha256()
    with os.fdopen(open_regular(path), "rb") as file:
        if os.fstat(file.fileno()).st_size > LONGEST:
            raise OSError(errno.EFBIG, f"more than {LONGEST // 1024**3} GiB", str(path))
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def open_regular(path: str | Path, flags: int = os.O_RDONLY) -> int:
    """A handle on a regular file. Raises OSError, at once, where something else stands there."""
    try:
        handle = os.open(path, flags | os.O_NONBLOCK, PRIVATE)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket, or a pipe that nobody reads
            raise _not_regular(path, os.stat(path).st_mode) from None  # noqa: PTH116
        if error.errno == errno.ELOOP and flags & os.O_NOFOLLOW:
            raise _not_regular(path, stat.S_IFLNK) from None
        raise
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        raise _not_regular(path, mode)
    return handle


def _not_regular(path: str | Path, mode: int) -> OSError:
    if stat.S_ISDIR(mode):
        return IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    kind = _KINDS.get(stat.S_IFMT(mode), "something else")
    return OSError(errno.EINVAL, f"not a regular file but {kind}", str(path))
