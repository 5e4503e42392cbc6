"""``file.write``: whole or not at all, for its owner alone, inside the run's files, and never over the record."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from runbook.errors import StepError
from runbook.playbook.expressions.model import UNKNOWN
from tests.steps.world import World


def write(world: World, path: object, content: str = "text", **more: Any) -> dict[str, Any]:
    return world.run("file.write", path=str(path), content=content, **more)[1]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_relative_path_is_inside_the_runs_files_and_for_its_owner_alone(world: World) -> None:
    output = write(world, "deep/er/x.json", "é\n")
    target = world.folder / "files" / "deep" / "er" / "x.json"
    assert (target.read_text(encoding="utf-8"), mode_of(target)) == ("é\n", 0o600)
    assert mode_of(target.parent) == mode_of(world.folder / "files") == 0o700
    digest = hashlib.sha256("é\n".encode()).hexdigest()
    assert output == {"path": str(target), "bytes": 3, "sha256": digest, "changed": True}


def test_an_absolute_path_is_what_it_says_and_the_mode_too(world: World, tmp_path: Path) -> None:
    write(world, tmp_path / "x", mode="0640")
    assert mode_of(tmp_path / "x") == 0o640


def test_what_is_so_already_is_not_touched(world: World) -> None:
    """I9: a second run changes nothing."""
    target = Path(write(world, "x")["path"])
    before = target.stat()
    assert write(world, "x")["changed"] is False
    assert (target.stat().st_mtime_ns, target.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert write(world, "x", "other")["changed"] is True
    assert write(world, "x", "other", mode="644")["changed"] is True
    assert mode_of(target) == 0o644


@pytest.mark.parametrize("path", ["../journal.jsonl", "../../x", "a/../../b", ".", "..", ""])
def test_no_relative_path_leads_out_of_the_runs_files(world: World, path: str) -> None:
    """The record beside them is the source of truth."""
    with pytest.raises(StepError):
        write(world, path)
    assert sorted(world.folder.parent.rglob("*.jsonl")) == []


def test_no_absolute_path_and_no_link_leads_to_the_record(world: World) -> None:
    record = world.folder / "journal.jsonl"
    record.write_text("the truth")
    for path in (record, world.folder / "new", world.folder / "files" / ".." / "journal.jsonl"):
        with pytest.raises(StepError, match="leads out of the run's files"):
            write(world, path)
    write(world, "x")
    (world.folder / "files" / "link").symlink_to(world.folder)
    with pytest.raises(StepError, match="leads out of the run's files"):
        write(world, "link/journal.jsonl")
    assert record.read_text() == "the truth"


def test_a_link_is_followed_and_stays_a_link(world: World, tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write(world, tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_disk_that_takes_no_more_leaves_what_was_there(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Atomic: no half file, and no leftover beside it."""
    target = tmp_path / "x"
    target.write_text("old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StepError, match="No space left"):
        write(world, target, "new")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_that_is_there_keeps_its_owner(world: World, tmp_path: Path) -> None:
    """A server must still be able to read what root has written for it."""
    (tmp_path / "x").write_text("old")
    os.chown(tmp_path / "x", 12345, 23456)
    write(world, tmp_path / "x", "new")
    assert ((tmp_path / "x").stat().st_uid, (tmp_path / "x").stat().st_gid) == (12345, 23456)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"path": "/no/such/folder/x"}, "its folder is not there"),
        ({"path": "/"}, "is a folder"),
        ({"path": "x", "mode": "600x"}, "mode 600x is not one"),
        ({"path": "x", "mode": "04755"}, "mode 04755 is not one"),
        ({"path": "x", "content": "x" * (1024 * 1024 + 1)}, "more than 1 MiB"),
        ({"path": "x" * 300}, "File name too long"),
        ({"path": "/proc/x"}, "/proc/x: "),
    ],
)
def test_what_cannot_be_written_is_said(world: World, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(StepError) as caught:
        world.run("file.write", **{"content": "", **arguments})
    assert words in str(caught.value)


def test_a_dry_run_writes_nothing_and_tells_it_all(world: World) -> None:
    message, output = world.dry("file.write", path="x", content="a\nb", mode="0644")
    assert message == "would write x, mode 0644\na\nb"
    assert world.dry("file.write", path=UNKNOWN, content=UNKNOWN)[1] == {}
    assert not list(world.folder.rglob("x"))
    assert world.run("file.write", path="x", content="a\nb", mode="0644")[1] == output


@pytest.mark.parametrize("kind", ["pipe", "device", "socket"])
def test_what_is_no_regular_file_is_not_replaced(world: World, tmp_path: Path, kind: str) -> None:
    """A device in its place would be gone for the whole machine."""
    odd = tmp_path / "odd"
    if kind == "pipe":
        os.mkfifo(odd)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(os.path.relpath(odd))
    else:
        odd.symlink_to("/dev/null")
    before = odd.lstat()
    with pytest.raises(StepError, match="not a regular file"):
        write(world, odd)
    assert odd.lstat().st_ino == before.st_ino


def test_nothing_is_written_among_the_records_of_other_runs(tmp_path: Path) -> None:
    """Nor over the locks; a link does not help."""
    runs = tmp_path / "state" / "runs"
    (runs / "own").mkdir(parents=True)
    (runs / "other").mkdir()
    (tmp_path / "state" / "locks").mkdir()
    (tmp_path / "link").symlink_to(runs / "other")
    world = World(runs / "own")
    for path in (
        runs / "other" / "x",
        tmp_path / "state" / "locks" / "x.lock",
        tmp_path / "state" / "x",
        tmp_path / "link" / "x",
    ):
        with pytest.raises(StepError, match="leads out of the run's files"):
            write(world, path)
    write(world, runs / "own" / "files" / "x")
    write(world, tmp_path / "x")
