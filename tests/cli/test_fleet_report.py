"""`fleet report`: from the record of a fleet to a page that leads to the report of each run."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest

from runbook.cli.fleet_report import write_fleet_page
from runbook.errors import NoRunError
from runbook.fleet.execute import FleetPolicy, execute_fleet
from runbook.fleet.record import FleetRecord, find_fleet, read_fleet
from runbook.fleet.requests import ClusterRunResult
from tests.command_line import runbook
from tests.engine.fake import FakeClock
from tests.fleet.fakes import FakeFleet


@pytest.fixture
def fleet(tmp_path: Path) -> FakeFleet:
    """Of five, with a second one that has no leader; its record is kept."""
    fleet = FakeFleet(tmp_path / "fleet #1?", clock=FakeClock())
    fleet.clusters["b"].leader = None
    policy, requests = FleetPolicy(), [fleet.request(name) for name in fleet.clusters]
    record = FleetRecord.begin(fleet.state / "fleets", requests, policy, "clusters.yaml", fleet.clusters["a"].clock)
    with fleet.behind():
        record.finish(execute_fleet(requests, policy, fleet.run, record))
    return fleet


def links_of(page: Path) -> list[Path]:
    found = re.findall(r'<a href="([^"#]+)">', page.read_text(encoding="utf-8"))
    return [page.parent / unquote(link) for link in found]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_every_tile_leads_to_the_report_of_its_run(fleet: FakeFleet, tmp_path: Path, elsewhere: bool) -> None:
    """Worst first; beside the record or anywhere; a report that is not there is written. For this user alone."""
    runs = {row.cluster: row.run for row in read_fleet(find_fleet(fleet.state, "last")).rows}
    missing = fleet.state / "runs" / runs["b"] / "report.html"
    missing.unlink()
    target = tmp_path / "a folder" / "fleet.html" if elsewhere else None
    (tmp_path / "a folder").mkdir()
    write_fleet_page("last", None, str(target) if target else None, fleet.environment)
    page = target or next((fleet.state / "fleets").glob("*.html"))
    assert [link.resolve() for link in links_of(page)] == [
        fleet.state / "runs" / runs[name] / "report.html" for name in "ba"
    ]
    assert missing.exists()
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    html = page.read_text(encoding="utf-8")
    assert "1 of 5 clusters ended well" in html
    assert "Stopped as the run on b failed." in html
    assert "<h2>not begun: 3</h2>" in html


def test_of_one_that_was_killed_the_journals_tell_how_the_runs_stand(fleet: FakeFleet) -> None:
    """One that ended after all, one without an end, one without a record of a run."""
    path = find_fleet(fleet.state, "last")
    told = read_fleet(path)
    first, second, third, *rest = told.rows
    journal = fleet.state / "runs" / second.run / "journal.jsonl"
    journal.write_text("".join(journal.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]), encoding="utf-8")
    rows = [replace(first, outcome="begun"), replace(second, outcome="begun"), ClusterRunResult("c", "begun", "", 0)]
    FleetRecord(path, replace(told, rows=(*rows, *rest), ended="", exit_code=None), FakeClock()).save()
    write_fleet_page(path.stem, None, None, fleet.environment)
    html = path.with_suffix(".html").read_text(encoding="utf-8")
    assert "it has no end on record" in html
    assert f"it has no end: runbook resume {second.run}" in html
    assert "it has no record of a run here" in html
    assert "<h2>completed: 1</h2>" in html


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    environment = dict(os.environ)
    assert "there is no fleet in " in runbook(environment, "fleet", "report").stderr
    assert "there is no fleet x in " in runbook(environment, "fleet", "report", "x").stderr
    done = runbook(environment, "fleet", "report", "--from", str(tmp_path / "x"))
    assert (done.returncode, "needs -o FILE" in done.stderr) == (2, True)
    with pytest.raises(NoRunError, match="No such file"):
        write_fleet_page("last", str(tmp_path / "x"), str(tmp_path / "y"), {})


WHOLE = {"status": "CRITICAL", "clusters": 2, "seconds": 0.5, "interrupted": False}
ROWS = [{"status": name, "cluster": name.lower(), "sentence": "x"} for name in ("CRITICAL", "OK")]


def checked(tmp_path: Path, whole: Mapping[str, object], *rows: Mapping[str, object], end: str = "\n") -> str:
    path, page = tmp_path / "check.jsonl", tmp_path / "check.html"
    path.write_text("\n".join(map(json.dumps, [whole, *rows])) + end, encoding="utf-8")
    write_fleet_page("last", str(path), str(page), {})
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize("end", ["\n", ""])
def test_no_cluster_of_a_check_is_missing_on_its_page(tmp_path: Path, end: str) -> None:
    """Also where whoever kept the lines took the last line break away, as a shell does."""
    html = checked(tmp_path, WHOLE, *ROWS, end=end)
    assert "<h2>OK: 1</h2>" in html
    with pytest.raises(NoRunError, match="has 1 of the 2 clusters that were checked"):
        checked(tmp_path, WHOLE, *ROWS[:1], end=end)


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), 10**400, None, "x"])
def test_no_check_lasts_so_long(tmp_path: Path, seconds: object) -> None:
    with pytest.raises(NoRunError, match="is not what"):
        checked(tmp_path, {**WHOLE, "seconds": seconds}, *ROWS)
