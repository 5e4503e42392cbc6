"""The journal: JSON lines, each fsynced before the caller goes on, each chained to the one before by SHA-256.

A torn last line is what a crash leaves, and is told apart from a changed line in the middle, which is refused.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runbook.dataclass import dataclass
from runbook.errors import AtWorkError, JournalError
from runbook.files import file_mode, make_folder, open_regular, sync_folder

START = "0" * 64
LINE_LIMIT = 64 * 1024 * 1024  # bytes; a view of a thousand servers stays far below
FILE_LIMIT = 8 * LINE_LIMIT
LEVELS = 100  # of lists and mappings within each other; what a step returns has at most 60


@dataclass(frozen=True)
class Record:
    """What was read back: the events in order with the hash of each, and how much of a last line a crash has left."""

    events: tuple[Mapping[str, Any], ...] = ()
    hashes: tuple[str, ...] = ()
    length: int = 0  # bytes of the whole lines
    torn_bytes: int = 0

    @property
    def torn(self) -> bool:
        """Whether there is a last line that is not whole."""
        return self.torn_bytes > 0

    @property
    def head(self) -> str:
        """The hash of the last whole line, in which all lines before it have a share."""
        return self.hashes[-1] if self.hashes else START


class Journal:
    """Appends events: a durable one is on disk when ``append`` returns, so intents precede acts. One writer a file."""

    def __init__(self, path: Path, handle: int, before: Record) -> None:
        """See :meth:`begin` and :meth:`reopen`; ``before`` is what the file holds already."""
        self._path = path
        self._handle = handle
        self._index, self._previous = len(before.events), before.head

    @classmethod
    def begin(cls, path: Path) -> Journal:
        """A new file. Raises :class:`JournalError`."""
        try:
            make_folder(path.parent)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            os.fchmod(handle, file_mode(path.parent))
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            sync_folder(path.parent)
        except OSError as error:
            raise JournalError(f"{path}: {error.strerror}. Nothing was started; name another state folder") from None
        return cls(path, handle, Record())

    @classmethod
    def reopen(cls, path: Path) -> tuple[Journal, Record]:
        """Go on with a file that is there; a torn last line is cut off first. Raises :class:`JournalError`.

        Its subclass :class:`AtWorkError` says that the run is not over.
        """
        try:
            handle = open_regular(path, os.O_WRONLY | os.O_APPEND)
        except OSError as error:
            raise JournalError(f"{path}: {error.strerror}") from None
        try:
            record = _taken_up(path, handle)
        except BaseException:
            os.close(handle)
            raise
        return cls(path, handle, record), record

    def append(self, event: Mapping[str, Any], *, durable: bool = True) -> None:
        """Write one event; where it is not ``durable`` it is on disk with the next one that is.

        Raises :class:`JournalError` when the disk does not take it: then nothing may be changed.
        """
        line = {"index": self._index, **event, "previous": self._previous}
        digest = _digest(line)
        data = json.dumps({**line, "hash": digest}, separators=(",", ":")).encode() + b"\n"
        if len(data) > LINE_LIMIT:
            what = f"{event.get('kind')} has {len(data) // 1024**2} MiB, more than {LINE_LIMIT // 1024**2}"
            raise JournalError(f"{self._path}: {what}. Keep less of what the step returns")
        before = os.fstat(self._handle).st_size
        try:
            if os.write(self._handle, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if durable:
                os.fsync(self._handle)
        except OSError as error:
            with contextlib.suppress(OSError):  # a part of a line must not stand in the middle, should room be made
                os.ftruncate(self._handle, before)
            raise JournalError(f"{self._path}: {error.strerror}. No further change will be made") from None
        self._previous = digest
        self._index += 1

    @property
    def head(self) -> str:
        """The hash of the last event."""
        return self._previous

    def close(self) -> None:
        os.close(self._handle)


def _taken_up(path: Path, handle: int) -> Record:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        record = read(path)
        if record.torn:
            os.ftruncate(handle, record.length)
            os.fsync(handle)
    except BlockingIOError:
        raise AtWorkError(f"{path}: its run is still at work. Wait for it, or end it") from None
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror}") from None
    return record


def read(path: Path) -> Record:
    """Read a journal back. Raises :class:`JournalError` naming the first line that does not follow, and OSError."""
    events: list[Mapping[str, Any]] = []
    hashes: list[str] = []
    length = 0
    with os.fdopen(open_regular(path), "rb") as file:
        while data := file.readline(LINE_LIMIT):
            if length + len(data) > FILE_LIMIT:
                raise JournalError(f"{path} has more than {FILE_LIMIT // 1024**2} MiB", events)
            event = _parsed(data) if data.endswith(b"\n") else None
            if event is None and not file.readline(1):
                return Record(tuple(events), tuple(hashes), length, torn_bytes=len(data))
            line = {key: value for key, value in (event or {}).items() if key != "hash"}
            previous = hashes[-1] if hashes else START
            chained = line.get("index") == len(events) and line.get("previous") == previous
            if event is None or not chained or event.get("hash") != _digest(line):
                what = f"{path}:{len(events) + 1}: this line was changed, or one before it was removed"
                raise JournalError(what, events)
            hashes.append(str(event["hash"]))
            length += len(data)
            events.append({key: value for key, value in line.items() if key != "previous"})
    return Record(tuple(events), tuple(hashes), length)


def _parsed(data: bytes) -> dict[str, Any] | None:
    """Nothing where it is none of ours: what is nested deeply could neither be hashed nor shown."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict):
        return None
    return event if data.count(b"[") + data.count(b"{") <= LEVELS or _is_flat(event) else None


def _is_flat(event: dict[str, Any]) -> bool:
    level: list[Any] = [event]
    for _ in range(LEVELS):
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return True
    return False


def _digest(line: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(line, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
