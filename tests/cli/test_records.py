"""`runbook export` and `prune`: what is handed to others, and what is removed and what never is."""

from __future__ import annotations

import os
import stat
import subprocess
import tarfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from runbook.session.history import PastRun
from runbook.session.prune import plan_pruning
from tests.cli.test_history import COMPLETED, LOST, NAMES, lay
from tests.command_line import runbook

SECRET = "a-token-of-the-cluster"


@pytest.fixture
def folder(state_dir: Path) -> Path:
    """A run that kept a state snapshot and wrote a file of its own."""
    folder = lay(state_dir, NAMES[0], COMPLETED)
    (folder / "files").mkdir()
    for name in ("playbook.yaml", "snapshot.json", "snapshot.2.json", "report.html"):
        (folder / name).write_text(f"this is {name}\n", encoding="utf-8")
    for name in ("state.snap", "state.2.snap", "files/secret", "process.json", ".hidden", "odd.json"):
        (folder / name).write_text(SECRET, encoding="utf-8")
    return folder


def test_an_export_is_one_private_file_that_others_can_check(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the usual tool, with nothing in it that the cluster keeps secret; and what is left behind is named."""
    monkeypatch.chdir(tmp_path)
    done = runbook(dict(os.environ), "export", "last")
    target = tmp_path / f"{folder.name}.tar.gz"
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, target.name)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with tarfile.open(target) as tar:
        names = tar.getnames()
        assert {member.isfile() for member in tar.getmembers()} == {True}
    known = ["SHA256SUMS", "journal.jsonl", "playbook.yaml", "report.html", "snapshot.2.json", "snapshot.json"]
    assert names == [f"{folder.name}/{name}" for name in known]
    subprocess.run(["tar", "-xzf", target], check=True, cwd=tmp_path, timeout=60)
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], check=True, cwd=tmp_path / folder.name, capture_output=True
    )
    assert checked.stdout.count(b": OK") == 5
    assert SECRET not in "".join(path.read_text() for path in (tmp_path / folder.name).iterdir())
    assert "files, odd.json, process.json, state.2.snap, state.snap; they may hold secrets" in done.stderr


def test_the_same_record_gives_the_same_file_and_none_is_overwritten(folder: Path, tmp_path: Path) -> None:
    """Two people can compare what they have."""
    first, second = tmp_path / "first", tmp_path / "second"
    for target in (first, second):
        assert runbook(dict(os.environ), "export", "last", "-o", str(target)).returncode == 0
    assert first.read_bytes() == second.read_bytes()
    again = runbook(dict(os.environ), "export", "last", "-o", str(first))
    assert (again.returncode, "is there already. Name another file" in again.stderr) == (2, True)


def test_of_a_journal_that_is_being_written_the_whole_lines_are_handed_on(folder: Path, tmp_path: Path) -> None:
    """Half a line would be read as a crash."""
    whole = (folder / "journal.jsonl").read_bytes()
    (folder / "journal.jsonl").write_bytes(whole + b'{"index": 2, "ki')
    runbook(dict(os.environ), "export", "last", "-o", str(tmp_path / "out"))
    with tarfile.open(tmp_path / "out") as tar:
        inside = tar.extractfile(f"{folder.name}/journal.jsonl")
        assert inside is not None
        assert inside.read() == whole


def test_what_is_no_file_of_ours_is_not_handed_on(folder: Path, tmp_path: Path) -> None:
    """What a link leads to is no part of the record; a pipe in a file's place is refused at once."""
    (folder / "report.html").unlink()
    (folder / "report.html").symlink_to(folder / "state.snap")
    done = runbook(dict(os.environ), "export", "last", "-o", str(tmp_path / "linked"))
    assert (done.returncode, "report.html" in done.stdout, "report.html" in done.stderr) == (0, False, True)
    (folder / "report.html").unlink()
    os.mkfifo(folder / "report.html")
    done = runbook(dict(os.environ), "export", "last", "-o", str(tmp_path / "out"))
    assert (done.returncode, "not a regular file but a pipe" in done.stderr) == (1, True)
    assert not (tmp_path / "out").exists()


# -- pruning

NOW = datetime(2026, 11, 26, tzinfo=timezone.utc)


def of_age(days: float, outcome: str = "completed", **more: object) -> PastRun:
    name = (NOW - timedelta(days=days)).strftime("%Y%m%dT%H%M%S000Z-mine-abcd")
    return PastRun(Path(name), outcome, **more)  # type: ignore[arg-type]


OLD = of_age(100)
STAYS = [
    (of_age(100, "unreadable", trouble="changed"), "cannot be read"),
    (of_age(100, "unfinished", pending="it is unfinished"), "it is unfinished"),
    (of_age(100, "failed", pending="nobody has seen the end"), "nobody has seen the end"),
    (of_age(20, unacknowledged=True), "nobody has acknowledged it"),
]


def test_runs_go_that_are_old_enough_and_not_among_the_newest() -> None:
    """The newest never goes, however old it is; a name that tells of the future is no old one."""
    runs = [of_age(100), of_age(91), of_age(89), of_age(1)]
    ninety = timedelta(days=90)
    assert plan_pruning(runs, NOW, ninety, 1).remove == (runs[0], runs[1])
    assert plan_pruning(runs, NOW, ninety, 3).remove == (runs[0],)
    assert plan_pruning([OLD], NOW, timedelta(0), 0).remove == ()
    assert plan_pruning([of_age(-5000), of_age(1)], NOW, ninety, 1).remove == ()
    assert plan_pruning([of_age(31, unacknowledged=True), of_age(1)], NOW, timedelta(0), 1).remove != ()


@pytest.mark.parametrize(("run", "why"), STAYS, ids=[why for _, why in STAYS])
def test_a_run_that_somebody_may_still_need_stays_and_is_named(run: PastRun, why: str) -> None:
    """Its cool-down holds, it can be resumed, or a person has to look into it."""
    pruning = plan_pruning([run, of_age(1)], NOW, timedelta(days=1), 1)
    assert (pruning.remove, [stays for stays, _ in pruning.stay]) == ((), [run])
    assert why in pruning.stay[0][1]


def test_nothing_is_removed_that_nobody_agreed_to(state_dir: Path) -> None:
    """It is listed first. The newest, and one without an ending, are there afterwards."""
    old, open_, newest = (lay(state_dir, NAMES[number], *ends) for number, ends in ((0, LOST), (1, ()), (2, LOST)))
    (old / "files").mkdir()
    (old.parent / ".pruned-of-an-earlier-call").mkdir()
    asked = runbook(dict(os.environ), "prune", "--keep", "1")
    assert (asked.returncode, old.exists()) == (3, True)
    assert f"to be removed: {old.name}\n" in asked.stdout
    assert f"{open_.name} stays: it is unfinished" in asked.stdout
    assert "nobody agreed, so nothing was removed; without a terminal add --yes" in asked.stderr
    done = runbook(dict(os.environ), "prune", "--keep", "1", "--yes")
    assert (done.returncode, sorted(path.name for path in old.parent.iterdir())) == (0, [open_.name, newest.name])
    assert "1 run removed" in done.stdout
    again = runbook(dict(os.environ), "prune", "--keep", "1", "--yes")
    assert (again.returncode, "there is nothing to remove" in again.stdout) == (0, True)
