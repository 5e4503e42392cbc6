"""One run a cluster at a time, whatever address it was given: the lock is held on every peer of the configuration.

The kernel frees a lock when its holder dies, but the holder's name stays in the file until its run wipes it: so a lock
that somebody died with is told apart from a free one. Whoever comes next decides by that run's record whether to pass.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

from runbook.errors import LockedError
from runbook.files import file_mode, make_folder, open_regular

LONGEST_WORD = 300  # characters
UNREADABLE_NAME = "nobody that can be read"
TRIES, TRY_AGAIN = 5, 0.05  # how often, and after how many seconds, a file is tried that is held without a name


class Lock:
    """Held from :meth:`acquire` to :meth:`release`, or to the death of this process."""

    def __init__(self, folder: Path, holder: Mapping[str, str]) -> None:
        """``holder`` must name its ``run``; the rest (who, since) is for people."""
        self._folder = folder
        self._holder = dict(holder)
        self._handles: list[int] = []

    def acquire(
        self, kind: str, peers: Iterable[str], *, may_take: Callable[[str], bool] = lambda _run: False
    ) -> tuple[str, ...]:
        """Hold all peers or none. Returns the runs that died and left their names, from which ``may_take`` let it go.

        Raises :class:`LockedError` at once, OSError for the disk. What this run itself died with is its own.
        """
        make_folder(self._folder)
        with ExitStack() as undo:
            undo.callback(self._close)
            for peer in sorted(peers):
                self._handles.append(self._open(f"{kind}:{peer}"))
            dead = {left["run"]: left for left in map(_read_holder, self._handles) if left}
            dead.pop(self._holder["run"], None)
            barred = next((left for run, left in dead.items() if not may_take(run)), None)
            if barred is not None:
                raise LockedError(barred, dead=True)
            for handle in self._handles:
                _write(handle, json.dumps(self._holder).encode())
            undo.pop_all()
        return tuple(dead)

    def find_holder(
        self, kind: str, peers: Iterable[str], *, may_take: Callable[[str], bool] = lambda _run: False
    ) -> LockedError | None:
        """What :meth:`acquire` would raise just now. Nothing is held or written; an odd file bars nobody yet."""
        for peer in sorted(peers):
            try:
                handle = self._open(f"{kind}:{peer}", create=False, how=fcntl.LOCK_SH)
            except LockedError as error:
                return error if error.holder.get("run") != self._holder["run"] else None
            except OSError:
                continue
            left = _read_holder(handle)
            os.close(handle)
            if left and left["run"] != self._holder["run"] and not may_take(left["run"]):
                return LockedError(left, dead=True)
        return None

    def release(self) -> None:
        """The run has its ending: whoever comes next needs to know nothing of it."""
        for handle in self._handles:
            _write(handle, b"")
        self._close()

    def remove_name(self, kind: str, peers: Iterable[str]) -> int:
        """In how many files an earlier process of this run had left its name; it stands there no more.

        A file that another run holds, or has its name in, is left alone. Raises OSError for the disk.
        """
        wiped = 0
        for peer in sorted(peers):
            with contextlib.suppress(LockedError, FileNotFoundError):
                handle = self._open(f"{kind}:{peer}", create=False)
                try:
                    if _read_holder(handle).get("run") == self._holder["run"]:
                        _write(handle, b"")
                        wiped += 1
                finally:
                    os.close(handle)
        return wiped

    def _open(self, name: str, *, create: bool = True, how: int = fcntl.LOCK_EX) -> int:
        path = self._folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.lock"
        handle = open_regular(path, os.O_RDWR | os.O_NOFOLLOW | (os.O_CREAT if create else 0))
        with contextlib.suppress(PermissionError):  # another's file of a shared folder has its mode already
            os.fchmod(handle, file_mode(self._folder))
        for tries_left in reversed(range(TRIES)):
            try:
                fcntl.flock(handle, how | fcntl.LOCK_NB)
                return handle
            except BlockingIOError:
                holder = _read_holder(handle)
            if holder or not tries_left:
                break
            time.sleep(TRY_AGAIN)  # it has no name in it yet: somebody may only be asking whether it is free
        os.close(handle)
        raise LockedError(holder, dead=False)

    def _close(self) -> None:
        while self._handles:
            os.close(self._handles.pop())


def _read_holder(handle: int) -> Mapping[str, str]:
    """Who wrote its name there; empty for a free lock. A torn or odd name may be any run's."""
    data = os.pread(handle, 64 * 1024, 0)
    if not data:
        return {}
    try:
        found = json.loads(data)
        holder = {key: found[key] for key in ("run", "who", "since") if isinstance(found.get(key), str)}
        plain = all(map(_is_word, holder.values())) and re.fullmatch(r"[^/.][^/]*", holder["run"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        plain = None
    return holder if plain else {"run": UNREADABLE_NAME}


def _is_word(text: str) -> bool:
    return text.isprintable() and len(text) <= LONGEST_WORD


def _write(handle: int, data: bytes) -> None:
    """The new name first: where the disk does not take it, the one that stood there stands there still."""
    os.pwrite(handle, data, 0)
    os.ftruncate(handle, len(data))
    os.fsync(handle)
