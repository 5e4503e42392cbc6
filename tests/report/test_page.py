"""The report of a run as a real browser shows it: nothing breaks out, nothing leaves, and it can be read everywhere."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from runbook.recorded import fold_recorded
from runbook.report.page import format_page
from runbook.report.playbook_lines import PlaybookText
from tests.cli.test_history import NAMES, lay
from tests.command_line import runbook
from tests.report.chromium import Page, needs_browser

EVIL = "</title></text><script>alert(1)</script><img src=http://127.0.0.1:9/x onerror=alert(2)>\u202eevil\"'&`{{7*7}}"
HEBREW = "שרת-אחת"
PLAYBOOK = f"""\
runbook: 1
name: mine
steps:
  - id: look
    uses: raft.find_dead   # {EVIL}
  - id: ask
    uses: http.request
    with: {{ url: "https://ann:hunter2@example.org" }}
"""


def looked(step: str, voters: int, live: int, **verdicts: str) -> dict[str, Any]:
    names = {EVIL if name == "evil" else HEBREW if name == "hebrew" else name: what for name, what in verdicts.items()}
    seen = {"leader": next(iter(names)), "voters": voters, "live_voters": live, "verdicts": names}
    ground = {name: f"on the ground of {EVIL}" for name in names}
    return {"kind": "cluster.looked", "step": step, **seen, "evidence": ground, "settled_by": {EVIL: EVIL}}


def events() -> list[dict[str, Any]]:
    """A run in which everything that others name is hostile, and which one resumed."""
    reply = {"status": 200, "headers": {}, "body": EVIL + "x" * 1_000_000, "json": None, "path": None, "sha256": None}
    told: list[dict[str, Any]] = [
        {
            "kind": "run.started",
            "run": NAMES[0],
            "playbook": EVIL,
            "digest": "d" * 64,
            "cluster": f"nomad:{EVIL}",
            "who": EVIL,
            "dry_run": False,
            "params": {"looks": EVIL},
            "sources": {"looks": EVIL},
            "path": EVIL,
        },
        {"kind": "step.started", "step": "look", "uses": "raft.find_dead", "effect": "read"},
        looked("look", 5, 4, s1="alive", hebrew="alive", s3="alive", s4="alive", evil="unknown"),
        {"kind": "step.waiting", "step": "look", "seconds": 2.0, "reason": EVIL},
        looked("look", 5, 4, s1="alive", hebrew="alive", s3="alive", s4="alive", evil="dead"),
        {"kind": "step.completed", "step": "look", "message": EVIL, "output": {"peers": []}},
        {"kind": "run.interrupted", "step": "look", "message": EVIL},
        {"kind": "run.resumed", "who": EVIL, "cluster": "nomad:x", "torn": False},
        {"kind": "step.started", "step": "ask", "uses": "http.request", "effect": "read"},
        {"kind": "step.completed", "step": "ask", "message": f"GET {EVIL} answered 200", "output": reply},
        {"kind": "change.approved", "step": EVIL, "who": EVIL, "how": EVIL, "question": EVIL},
        {
            "kind": "removal.requested",
            "step": "look",
            "peer": "id-5",
            "address": EVIL,
            "name": EVIL,
            "voters_after": 4,
        },
        {"kind": "removal.confirmed", "step": "look", "peer": "id-5", "name": EVIL},
        looked("look", 4, 4, s1="alive", hebrew="alive", s3="alive", s4="alive"),
        {"kind": "run.refused", "step": "look", "code": "X", "message": f"{EVIL}\n{EVIL}"},
    ]
    return [{"at": f"2026-11-24T03:00:{2 * number:02}.000+00:00", **event} for number, event in enumerate(told)]


def page_of(told: list[dict[str, Any]], text: str = PLAYBOOK) -> str:
    steps = {"look": (4, 5), "ask": (6, 5)}
    return format_page(told, fold_recorded(told), PlaybookText(text, steps))


CONTRAST = """
(() => {
  const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = rgb => { const [r, g, b] = rgb.map(v => linear(v / 255));
    return .2126 * r + .7152 * g + .0722 * b; };
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const behind = element => { for (let e = element; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c.slice(0, 3); } return [255, 255, 255]; };
  const bad = [];
  for (const element of document.querySelectorAll('body *')) {
    if (element.closest('svg') || ![...element.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    const a = light(parse(getComputedStyle(element).color).slice(0, 3)), b = light(behind(element));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) bad.push(element.tagName + '.' + element.className + ' ' + ratio.toFixed(2));
  }
  return [...new Set(bad)];
})()
"""
HEADINGS = "[...document.querySelectorAll('h1,h2,h3')].map(h => Number(h.tagName[1]))"
PICTURES = [(1200, "light", ""), (1200, "dark", ""), (794, "dark", "print"), (390, "light", ""), (390, "dark", "")]


@needs_browser
@pytest.mark.parametrize(("width", "scheme", "media"), PICTURES)
def test_the_page_can_be_read_in_light_and_dark_on_paper_and_on_a_phone(
    page: Page, tmp_path: Path, width: int, scheme: str, media: str
) -> None:
    """Every text has enough contrast, headings are in order, and nothing hangs over the edge."""
    path = tmp_path / "report.html"
    path.write_text(page_of(events()), encoding="utf-8")
    page.look(width, scheme, media)
    page.open(path)
    assert page.evaluate(CONTRAST) == []
    levels = page.evaluate(HEADINGS)
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.look(width, scheme, media, height=page.evaluate("document.documentElement.scrollHeight"))
    page.take_picture(Path(os.environ.get("PICTURES", tmp_path)) / f"report-{width}-{scheme}{media}.png")


@needs_browser
def test_hostile_names_break_out_of_nothing_and_nothing_leaves(page: Page, tmp_path: Path) -> None:
    """No script, no picture, no request, no complaint on the console; and the evil is told, as its escapes."""
    path = tmp_path / "report.html"
    html = page_of(events())
    path.write_text(html, encoding="utf-8")
    page.look(1200)
    page.open(path)
    assert page.troubles(path) == []
    tags = "[...document.querySelectorAll('script, img, iframe, link, object, a:not([href^=\"#\"])')].length"
    assert page.evaluate(tags) == 0
    assert page.evaluate("document.title.includes('<script>')")
    assert "\u202e" not in html
    assert "\\u202eevil" in html
    assert "hunter2" not in html
    assert HEBREW in html
    assert "49" not in page.evaluate("document.querySelector('h1').textContent")


def test_a_large_reply_is_cut_and_its_digest_and_length_are_told() -> None:
    """A million characters would be scrolled past for ever."""
    html = page_of(events())
    assert len(html) < 200_000
    assert "1,000," in html
    assert "the body, its beginning" in html


def many() -> list[dict[str, Any]]:
    """Ten thousand events: looks in which servers come and go, waits, and steps."""
    first, *_ = events()
    told: list[dict[str, Any]] = [first]
    for number in range(3333):
        step = f"s{number // 20}"
        if number % 20 == 0:
            told.append({"kind": "step.started", "step": step, "uses": "raft.find_dead", "effect": "read"})
        verdict = "alive" if number % 7 else "unknown"
        told.append(looked(step, 5, 4 + (number % 7 > 0), s1="alive", s2="alive", s3="alive", s4="alive", s5=verdict))
        told.append({"kind": "step.waiting", "step": step, "seconds": 1.0, "reason": f"round {number}"})
        told.append({"kind": "attempt.failed", "step": step, "attempt": number, "error_kind": "x", "message": "no"})
    told = told[:9_999] + [{"kind": "run.failed", "step": "s1", "error_kind": "x", "message": "enough"}]
    moment = "2026-11-24T{:02}:{:02}:{:02}.000+00:00"
    return [{"at": moment.format(n // 3600, n // 60 % 60, n % 60), **event} for n, event in enumerate(told)]


def test_the_report_of_ten_thousand_events_is_small_and_drawn_soon() -> None:
    """Whoever waits for the prompt after an outage does not wait for a picture. Processor time, as others work here."""
    told = many()
    state = fold_recorded(told)
    format_page(told[:1], fold_recorded(told[:1]), PlaybookText())
    began = time.process_time()
    html = format_page(told, state, PlaybookText(PLAYBOOK))
    took = time.process_time() - began
    assert len(told) == 10_000
    assert len(html.encode()) < 2_000_000
    assert took < 2.0, took  # below 1 s where nothing else fills the caches


def test_the_replies_of_a_long_run_leave_the_report_small() -> None:
    """Each with another body, in the characters that take the most room."""
    told, body = many(), ('<"\u202e' * 1024)[:2048]
    reply = {"method": "GET", "url": "http://a/v1/agent/self", "status": 200, "length": 2048}
    names = [f"{number:064x}" for number in range(2000)]
    more = [
        {"at": told[1]["at"], "kind": "cluster.replied", "replies": [{**reply, "sha256": name}], "bodies": {name: body}}
        for name in names
    ]
    whole = [told[0], *more, *told[1 : 10_000 - len(more)]]
    html = format_page(whole, fold_recorded(whole), PlaybookText(PLAYBOOK))
    assert (len(whole), "and 1800 more" in html, len(html.encode()) < 2_000_000) == (10_000, True, True), len(html)


@needs_browser
def test_the_report_of_ten_thousand_events_opens_at_once(page: Page, tmp_path: Path) -> None:
    """Below a second on two cores that do nothing else; here other tests run beside it."""
    path = tmp_path / "report.html"
    path.write_text(page_of(many()), encoding="utf-8")
    page.look(1200)
    assert min(page.open(path) for _ in range(3)) < 3.0


# -- the file in the run's folder

DONE: Mapping[str, Any] = {"kind": "run.completed", "message": "done"}


def test_a_run_leaves_its_report_for_this_user_alone_and_it_can_be_drawn_anew(tmp_path: Path) -> None:
    """From its journal, to the same bytes."""
    (tmp_path / "say.yaml").write_text(
        "runbook: 1\nname: say\nsteps:\n  - uses: log.message\n    with: { text: hello }\n", encoding="utf-8"
    )
    assert runbook(dict(os.environ), "execute", str(tmp_path / "say.yaml")).returncode == 0
    (folder,) = (Path(os.environ["RUNBOOK_STATE_DIR"]) / "runs").iterdir()
    first = (folder / "report.html").read_bytes()
    assert stat.S_IMODE((folder / "report.html").stat().st_mode) == 0o600
    (folder / "report.html").unlink()
    done = runbook(dict(os.environ), "report", "last")
    assert (done.returncode, done.stdout) == (0, f"{folder / 'report.html'}\n")
    assert (folder / "report.html").read_bytes() == first
    assert b"log.message" in first


def test_a_report_that_cannot_be_written_changes_nothing_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is raised there."""
    (tmp_path / "say.yaml").write_text(
        "runbook: 1\nname: say\nsteps:\n  - uses: log.message\n    with: { text: hello }\n", encoding="utf-8"
    )

    def broken(*_: object) -> str:
        raise RuntimeError("no report")

    monkeypatch.setattr("runbook.report.page.format_page", broken)
    done = runbook(dict(os.environ), "execute", str(tmp_path / "say.yaml"))
    assert (done.returncode, "say: done" in done.stdout, "no report" in done.stderr) == (0, True, False)


@pytest.mark.parametrize("words", [("report",), ("show",)])
def test_a_pipe_in_the_place_of_a_journal_is_named(state_dir: Path, words: tuple[str, ...]) -> None:
    journal = lay(state_dir, NAMES[0], DONE) / "journal.jsonl"
    journal.unlink()
    os.mkfifo(journal)
    done = runbook(dict(os.environ), *words, "last")
    assert (done.returncode, "Errno" in done.stderr) == (2, False)
    assert f"{journal}: not a regular file but a pipe" in done.stderr


def test_a_playbook_that_is_not_what_the_run_began_with_is_not_shown(state_dir: Path) -> None:
    """Nor is a report drawn of a record that was changed."""
    folder = lay(state_dir, NAMES[0], DONE)
    (folder / "playbook.yaml").write_text("name: another", encoding="utf-8")
    assert runbook(dict(os.environ), "report", "last").returncode == 0
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert "is not what the run began with, so it is not shown" in html
    assert "name: another" not in html
    journal = folder / "journal.jsonl"
    journal.write_text(journal.read_text(encoding="utf-8").replace("done", "well"), encoding="utf-8")
    refused = runbook(dict(os.environ), "report", "last")
    assert (refused.returncode, "Do not rely on what it says" in refused.stderr) == (2, True)
    assert json.loads(journal.read_text(encoding="utf-8").splitlines()[0])["kind"] == "run.started"
