"""Pictures of what people see: those in docs are as the program draws them now, and a browser takes all of them.

``PICTURES=FOLDER`` keeps them there, for whoever wants to look.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from runbook.recorded import fold_recorded
from runbook.report.page import format_page
from runbook.report.playbook_lines import PlaybookText
from tests.report.chromium import Page, needs_browser
from tests.report.live_run import confirming, recovery, removing, view_of, watching
from tests.report.pictures import FOLDER, PICTURES, diagnosis_svg, live_svg, words_in

SIDES = ("BoundingClientRect().width", "BoundingClientRect().height")
WAYS = [(1200, "light", ""), (1200, "dark", ""), (794, "light", "print"), (390, "light", "")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(os.environ.get("PICTURES", tmp_path))


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_in_docs_shows_what_the_program_shows_now(name: str) -> None:
    """Else ``make docs`` draws it anew."""
    kept = (FOLDER / name).read_text(encoding="utf-8")
    assert words_in(kept) == words_in(PICTURES[name]())
    assert len(kept) < 40_000
    assert not re.search(r"url\((?!#)|href|@import", kept)  # nothing is fetched


SCREENS = [(confirming(), 19, 60), (removing(), 37, 100), (watching(), 63, 140), (confirming(), 19, 100)]


@needs_browser
def test_the_screen_and_a_diagnosis_as_pictures(page: Page, folder: Path) -> None:
    """The screen at three widths, and what `diagnose` prints: nothing is fetched, nothing complained of."""
    drawn = {f"live-{wide}-{second}": live_svg(view_of(events), second, wide) for events, second, wide in SCREENS}
    drawn |= {f"diagnose-{case}": diagnosis_svg(case) for case in ("one_of_three_is_dead", "three_of_five_are_dead")}
    for name, svg in drawn.items():
        path = folder / f"{name}.html"
        path.write_text(f"<!DOCTYPE html><title>{name}</title><body style='margin:0'>{svg}", encoding="utf-8")
        page.look(1200, height=400)
        page.open(path)
        assert page.troubles(path) == []
        wide, high = (page.evaluate(f"Math.ceil(document.querySelector('svg').get{side})") for side in SIDES)
        page.look(wide, height=high)
        page.take_picture(folder / f"{name}.png")
        assert page.evaluate("document.querySelectorAll('text').length") > 8


@needs_browser
@pytest.mark.parametrize(("width", "scheme", "media"), WAYS)
def test_the_report_of_a_recovery_as_a_picture(page: Page, folder: Path, width: int, scheme: str, media: str) -> None:
    """As the operator reads it in the morning: on a screen by day and by night, on paper, on a phone."""
    path = folder / "recovery.html"
    events = recovery()
    path.write_text(format_page(events, fold_recorded(events), PlaybookText()), encoding="utf-8")
    page.look(width, scheme, media)
    page.open(path)
    assert page.troubles(path) == []
    page.look(width, scheme, media, height=page.evaluate("document.documentElement.scrollHeight"))
    page.take_picture(folder / f"recovery-{width}-{scheme}{media}.png")
