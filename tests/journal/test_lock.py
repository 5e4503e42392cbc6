"""One winner a cluster, whatever address each was given; a lock that somebody died with is taken over only by name."""

import errno
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from runbook.errors import LockedError
from runbook.journal.lock import UNREADABLE_NAME, Lock


def lock(folder: Path, run: str) -> Lock:
    return Lock(folder, {"run": run, "who": f"ann@{run}"})


def test_a_second_run_on_any_of_the_peers_is_told_who_holds_them(tmp_path: Path) -> None:
    """Two addresses of one cluster are one cluster: its peers are what is held."""
    first = lock(tmp_path, "first")
    first.acquire("peer", ["a", "b", "c"])
    with pytest.raises(LockedError) as told:
        lock(tmp_path, "second").acquire("peer", ["c", "d"])
    assert (told.value.holder["run"], told.value.dead) == ("first", False)


def test_who_loses_holds_nothing(tmp_path: Path) -> None:
    """A half-taken lock would keep a third run out for no reason."""
    first = lock(tmp_path, "first")
    first.acquire("peer", ["c"])
    with pytest.raises(LockedError):
        lock(tmp_path, "second").acquire("peer", ["a", "b", "c"])
    lock(tmp_path, "third").acquire("peer", ["a", "b"])


def test_another_cluster_is_free_and_so_is_this_one_after_its_release(tmp_path: Path) -> None:
    """The files are this user's alone."""
    first = lock(tmp_path, "first")
    first.acquire("peer", ["a"])
    lock(tmp_path, "second").acquire("peer", ["b"])
    first.release()
    lock(tmp_path, "third").acquire("peer", ["a"])
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in tmp_path.iterdir())


def die_with_it(folder: Path) -> None:
    lock(folder, "dead").acquire("peer", ["a", "b"])
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def died(tmp_path: Path) -> Path:
    process = multiprocessing.get_context("spawn").Process(target=die_with_it, args=(tmp_path,))
    process.start()
    process.join(timeout=30)
    assert process.exitcode == -signal.SIGKILL
    return tmp_path


def test_a_lock_whose_holder_died_is_not_free(died: Path) -> None:
    """Who, and that it is dead; nothing is stolen in silence."""
    with pytest.raises(LockedError) as told:
        lock(died, "second").acquire("peer", ["a"])
    assert (told.value.holder["who"], told.value.dead) == ("ann@dead", True)


def test_taking_over_names_the_dead_run_once_and_the_run_itself_needs_no_leave(died: Path) -> None:
    """The dead run may go on with its own lock; another one takes it over by name, and then holds it."""
    own = lock(died, "dead")
    assert own.acquire("peer", ["a", "b"]) == ()
    own._close()  # as if it had died again
    second = lock(died, "second")
    assert second.acquire("peer", ["a", "b"], may_take=lambda run: run == "dead") == ("dead",)
    second.release()
    assert lock(died, "third").acquire("peer", ["a", "b"]) == ()


ODD = [
    b'{"run": "',
    b"[" * 60_000,
    b"[1]",
    b'{"who": "ann"}',
    b'{"run": "../x"}',
    b'{"run": "a/b"}',
    b'{"run": "\\u001b[2J"}',
]


@pytest.mark.parametrize("data", ODD)
def test_a_holder_that_was_torn_off_in_writing_is_somebody(tmp_path: Path, data: bytes) -> None:
    """Half a name, or one that no run can have, is no free lock; nor does it end the run that reads it."""
    first = lock(tmp_path, "first")
    first.acquire("peer", ["a"])
    first._close()
    next(tmp_path.iterdir()).write_bytes(data)
    with pytest.raises(LockedError) as told:
        lock(tmp_path, "second").acquire("peer", ["a"])
    assert told.value.holder == {"run": UNREADABLE_NAME}


def test_a_disk_that_takes_no_name_leaves_the_one_that_stands_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run is gone on with on a full disk: what it died with is its own still, and nobody else's."""
    first = lock(tmp_path, "first")
    first.acquire("peer", ["a"])
    first._close()
    with monkeypatch.context() as patch:
        patch.setattr("runbook.journal.lock.os.pwrite", raise_full)
        with pytest.raises(OSError, match="No space"):
            lock(tmp_path, "first").acquire("peer", ["a"])
    with pytest.raises(LockedError) as told:
        lock(tmp_path, "second").acquire("peer", ["a"])
    assert (told.value.holder["run"], told.value.dead) == ("first", True)


@pytest.mark.parametrize("text", ["", "precious"])
def test_no_link_leads_a_lock_to_another_file(tmp_path: Path, text: str) -> None:
    """Whoever shares the folder could have somebody else's file written over, or its mode changed."""
    first = lock(tmp_path / "locks", "first")
    first.acquire("peer", ["a"])
    first.release()
    (path,), other = (tmp_path / "locks").iterdir(), tmp_path / "other"
    path.unlink()
    path.symlink_to(other)
    other.write_text(text)
    other.chmod(0o644)
    with pytest.raises(OSError, match="not a regular file but a link") as told:
        lock(tmp_path / "locks", "second").acquire("peer", ["a"])
    assert told.value.filename == str(path)
    assert (other.read_text(), other.stat().st_mode & 0o777) == (text, 0o644)
    assert lock(tmp_path / "locks", "second").find_holder("peer", ["a"]) is None


def raise_full(*_arguments: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")
