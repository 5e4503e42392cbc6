"""The page of a fleet as a real browser shows it: worst first, no colour alone, nothing breaks out, nothing leaves."""

from __future__ import annotations

import json
import os
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from runbook.errors import NoRunError
from runbook.fleet.execute import FleetPolicy
from runbook.fleet.record import FleetTold
from runbook.fleet.report import picture_of_check, picture_of_fleet
from runbook.fleet.requests import ClusterRunResult
from runbook.report.fleet_page import format_fleet_page
from tests.command_line import runbook
from tests.report.chromium import Page, needs_browser
from tests.report.test_page import CONTRAST, EVIL, HEADINGS, HEBREW

ILL = {
    11: ("CRITICAL", "no leader: 1 of 3 voters answer, 2 needed; QuorumLost (likely); next: runbook recover"),
    222: ("UNKNOWN", "the look did not finish within 9 s"),
    333: ("UNKNOWN", "GET https://10.1.2.3:4646/v1/agent/self: nothing listens there. Check the address"),
    444: ("WARNING", "degraded: 4 of 5 voters answer, 3 needed; DeadFollower (likely); next: runbook execute"),
    555: ("WARNING", "degraded: 4 of 5 voters answer, 3 needed; DeadFollower (likely); next: runbook execute"),
    666: ("WARNING", "healthy: 5 of 5 voters answer, 3 needed; CertificateExpires (certain)"),
    777: ("CRITICAL", "no leader: 2 of 5 voters answer, 3 needed; QuorumLost (likely); next: runbook recover"),
}
FINDING = {"name": "X", "certainty": "likely", "sentence": "no sign of life", "evidence": ["its Raft port is refused"]}


def checked(
    folder: Path, clusters: int, ill: dict[int, tuple[str, str]], name: str = "{kind}-{region}-{number:03}"
) -> Path:
    """What a check of so many prints."""
    rows: list[dict[str, Any]] = []
    for number in range(clusters):
        status, sentence = ill.get(number, ("OK", "healthy: 5 of 5 voters answer, 3 needed"))
        kind, region = ("nomad", "consul", "etcd", "vault")[number % 4], ("eu", "us", "ap")[number % 3]
        named = name.format(kind=kind, region=region, number=number)
        findings = [FINDING] if number in ill else []
        rows.append({"cluster": named, "kind": kind, "status": status, "sentence": sentence, "findings": findings})
    whole = {"status": "CRITICAL", "clusters": clusters, "interrupted": False, "seconds": 12.5}
    path = folder / "check.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in [whole, *rows]), encoding="utf-8")
    return path


@needs_browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_a_thousand_clusters_of_which_seven_are_ill(page: Page, tmp_path: Path, width: int, scheme: str) -> None:
    """The seven are on the first screen, in words; every text can be read, and nothing hangs over the edge."""
    path = tmp_path / "fleet.html"
    source = checked(tmp_path, 1000, ILL)
    assert runbook(dict(os.environ), "fleet", "report", "--from", str(source), "-o", str(path)).returncode == 0
    page.look(width, scheme)
    page.open(path)
    assert page.troubles(path) == []
    assert page.evaluate(CONTRAST) == []
    assert all(later - earlier <= 1 for earlier, later in pairwise(page.evaluate(HEADINGS)))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    order = page.evaluate("[...document.querySelectorAll('section li')].map(e => e.className + ' ' + e.innerText)")
    assert len(order) == 1000
    assert [row.split()[:2] for row in order[:8]] == [
        *[["bad", "C"]] * 2,
        *[["bad", "U"]] * 2,
        *[["warn", "W"]] * 3,
        ["good", "O"],
    ]
    bottom = "document.querySelectorAll('.worded li')[6].getBoundingClientRect().bottom"
    assert page.evaluate(bottom) < 1000 or width < 600
    folder = Path(os.environ.get("PICTURES", tmp_path))
    page.take_top(folder / f"fleet-{width}-{scheme}.webp", width, 1000)  # one of them is in docs/pictures
    page.look(width, scheme, height=page.evaluate("document.documentElement.scrollHeight"))
    page.take_picture(folder / f"fleet-{width}-{scheme}.png")
    assert path.stat().st_size < 300_000


@needs_browser
def test_hostile_names_break_out_of_nothing_and_nothing_leaves(page: Page, tmp_path: Path) -> None:
    """Of a cluster, of a sentence and of a run, whose name is a link."""
    rows = tuple(
        ClusterRunResult(name, outcome, EVIL, 1, run)
        for name, outcome, run in (
            (EVIL, "failed", "javascript:alert(1)"),
            (HEBREW, "completed", EVIL),
            ("x" * 500, "completed", "../../elsewhere"),
        )
    )
    for folder in (tmp_path / "state" / "runs", tmp_path / "elsewhere"):
        folder.mkdir(parents=True)
    (tmp_path / "elsewhere" / "report.html").touch()
    told = FleetTold(EVIL, EVIL, EVIL, EVIL, False, FleetPolicy(), "2026-11-24T03:00:00+00:00", "", EVIL, 1, rows)
    path = tmp_path / "fleet.html"
    html = format_fleet_page(picture_of_fleet(told, tmp_path / "state", path, {}))
    path.write_text(html, encoding="utf-8")
    page.look(1280)
    page.open(path)
    assert page.troubles(path) == []
    assert page.evaluate("document.querySelectorAll('script, img, iframe, link, object').length") == 0
    links = page.evaluate("[...document.querySelectorAll('a')].map(a => a.getAttribute('href'))")
    assert links
    assert all(link.startswith("#state-") for link in links)
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert ("\u202e" in html, "\\u202eevil" in html, HEBREW in html) == (False, True, True)
    assert "49" not in page.evaluate("document.querySelector('h1').textContent")


@pytest.mark.parametrize("odd", ["", "{}\n", "[]\n", "RAFT OK - x\n", '{"status": "OK"}\n', "\x00\n"])
def test_what_is_no_check_is_told(tmp_path: Path, odd: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(odd, encoding="utf-8")
    with pytest.raises(NoRunError, match=re.escape(f"{path} is not what `runbook check --all --format json` prints")):
        picture_of_check(path)
