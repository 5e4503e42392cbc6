"""Which records of fleets are removed, and which stay."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from runbook.fleet.execute import FleetPolicy
from runbook.fleet.prune import old_fleets, remove_fleets
from runbook.fleet.record import FLEETS, FleetRecord, FleetTold
from runbook.fleet.requests import ClusterRunResult
from tests.engine.fake import FakeClock

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
FLEET = ("20260101T000000000Z-mine-ab12", "20260102T000000000Z-mine-ab12", "20260228T000000000Z-mine-ab12")


def lay(state: Path, name: str, run: str) -> Path:
    """The record of a fleet of one run, with its page and a record that a worker sent home."""
    began = datetime.strptime(name[:15] + "+0000", "%Y%m%dT%H%M%S%z").isoformat()
    row = ClusterRunResult("a", "completed", "", 0, run)
    told = FleetTold(name, "me", "mine", "clusters.yaml", False, FleetPolicy(), began, began, "", 0, (row,))
    path = state / FLEETS / f"{name}.json"
    (state / FLEETS / name / run).mkdir(parents=True)
    path.with_suffix(".html").touch()
    FleetRecord(path, told, FakeClock()).save()
    return path


def old(state: Path, *runs: str, keep: int = 1, days: int = 30) -> list[str]:
    return [path.stem for path in old_fleets(state, runs, NOW, timedelta(days=days), keep)]


def test_the_old_ones_go_but_for_the_newest_and_those_of_whose_runs_there_is_one_yet(tmp_path: Path) -> None:
    for name, run in zip(FLEET, ("one", "two", "three"), strict=True):
        lay(tmp_path, name, run)
    assert old(tmp_path) == list(FLEET[:2])
    assert old(tmp_path, days=0) == list(FLEET[:2])
    assert old(tmp_path, keep=2) == [FLEET[0]]
    assert old(tmp_path, days=58) == [FLEET[0]]
    assert old(tmp_path, "one", "three") == [FLEET[1]]


def test_what_cannot_be_read_stays(tmp_path: Path) -> None:
    for name in FLEET:
        lay(tmp_path, name, "one")
    (tmp_path / FLEETS / f"{FLEET[0]}.json").write_text("{", encoding="utf-8")
    assert old(tmp_path) == [FLEET[1]]


def test_all_of_it_goes(tmp_path: Path) -> None:
    """A link in the place of a folder is left, and what it leads to is untouched."""
    first, second, _ = (lay(tmp_path, name, "one") for name in FLEET)
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (second.with_suffix("") / "one").rmdir()
    second.with_suffix("").rmdir()
    second.with_suffix("").symlink_to(elsewhere)
    gone = f"fleets/{first.name} cannot be removed whole: No such file or directory"
    assert remove_fleets([first, second, first]) == [gone]
    assert elsewhere.is_dir()
    left = sorted(path.name for path in (tmp_path / FLEETS).iterdir())
    assert left == [FLEET[1], FLEET[2], f"{FLEET[2]}.html", f"{FLEET[2]}.json"]
