"""``file.prune`` deletes the oldest of a kind of files, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runbook.errors import StepError
from runbook.playbook.expressions.model import UNKNOWN
from tests.steps.world import World


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    """Five snapshots, the first the oldest; and what only looks like one."""
    folder = tmp_path / "backups"
    folder.mkdir()
    for age, name in enumerate(("e.snap", "d.snap", "c.snap", "b.snap", "a.snap", "other.txt")):
        (folder / name).write_text(name)
        os.utime(folder / name, (1000 + age, 1000 + age))
    (folder / "folder.snap").mkdir()
    (folder / "link.snap").symlink_to(folder / "other.txt")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_the_newest_are_kept_and_the_rest_is_deleted(world: World, backups: Path) -> None:
    """Links and folders are neither counted nor touched. A second time there is nothing to do."""
    message, output = world.run("file.prune", folder=str(backups), glob="*.snap", keep=2)
    assert output == {"removed": ["e.snap", "d.snap", "c.snap"], "kept": 2}
    assert message == f"{backups}: 2 kept, 3 deleted"
    assert names(backups) == ["a.snap", "b.snap", "folder.snap", "link.snap", "other.txt"]
    assert world.run("file.prune", folder=str(backups), glob="*.snap", keep=2)[1] == {"removed": [], "kept": 2}


def test_a_dry_run_tells_which(world: World, backups: Path) -> None:
    before = names(backups)
    message, output = world.dry("file.prune", folder=str(backups), glob="*.snap", keep=4)
    assert (message, output["removed"]) == (f"would delete e.snap in {backups}", ["e.snap"])
    assert world.dry("file.prune", folder=UNKNOWN, glob="*.snap", keep=4)[0] == "would keep 4 of *.snap"
    assert names(backups) == before


@pytest.mark.parametrize(
    ("folder", "glob", "words"),
    [
        ("backups", "*.snap", "is no folder named from the root"),
        ("BASE/nobody", "*.snap", "is no folder named from the root"),
        ("BASE/backups/a.snap", "*.snap", "is no folder named from the root"),
        ("BASE/backups", "*", "names no kind of file"),
        ("BASE/backups", "*.*", "names no kind of file"),
        ("BASE/backups", "../*.snap", "names no kind of file"),
        ("BASE", "journal*", "holds the records of runs"),
        ("BASE/a\0b", "*.snap", "is no path of a folder"),
    ],
)
def test_what_is_refused(world: World, backups: Path, folder: str, glob: str, words: str) -> None:
    """In a sentence, with nothing deleted."""
    before = names(backups)
    with pytest.raises(StepError) as caught:
        world.run("file.prune", folder=folder.replace("BASE", str(backups.parent)), glob=glob, keep=1)
    assert words in str(caught.value)
    assert names(backups) == before
