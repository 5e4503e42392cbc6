"""What a person at a terminal sees: the plain lines, a few words in colour, and below them the run as it is now."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runbook.lab.simulated import SimulatedLab
from runbook.report.live import LiveScreen
from runbook.report.stream import Stream, paint, wants_ascii, wants_colour, wants_live_screen
from runbook.run_state import fold
from tests.command_line import PLAYBOOK, QUICK, ROOT, SHORT, environment, followers
from tests.report.live_run import at, confirming, started, watching
from tests.report.terminal import SGR, Terminal, at_a_terminal, screen_of

REFUSED = at(60, "run.refused", step="verify", code="X", message="unsafe")
RULE = "─" * 79


class Moment:
    """A clock that stands, and a terminal of some size."""

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        self.now, self.size = 100.0, os.terminal_size((columns, lines))
        self.terminal = Terminal()
        self.screen = LiveScreen(Stream(self.terminal), monotonic=lambda: self.now, size=lambda _: self.size)

    def write(self, *events: dict[str, object]) -> None:
        """Each a second after the one before."""
        for event in events:
            self.now += 1.0
            self.screen.write(event)


def test_the_lines_stand_above_and_the_picture_below_is_always_the_newest() -> None:
    """A wait is no line of its own, and the picture goes when the run is over: the summary follows."""
    live = Moment()
    live.write(*watching())
    seen = live.terminal.seen
    assert seen.count(RULE) == 1
    lines, picture = seen[: seen.index(RULE)], seen[seen.index(RULE) :]
    assert lines[0] == "00:00            remove-dead-peers on nomad:http://10.0.0.11:4646"
    assert not [line for line in lines if "watching that" in line or "confirming" in line]
    assert "watching that no removed server is added back" in picture
    assert picture[-2].endswith("20 of 70 s, until 03:01:48 UTC")
    live.write(REFUSED)
    assert live.terminal.seen == [*lines, "01:00  verify    REFUSED", ""]


def test_however_much_happens_it_is_drawn_four_times_a_second_at_most() -> None:
    """Ten thousand events in a second would otherwise be ten thousand pictures."""
    live = Moment()
    live.write(started(0))
    before = live.terminal.getvalue().count("remove-dead-peers on")
    for number in range(1000):
        live.now += 0.001
        live.screen.write(at(number / 1000, "step.waiting", step="dead", seconds=1.0, reason=f"round {number}"))
    assert live.terminal.getvalue().count("remove-dead-peers on") - before <= 4


def test_between_two_drawings_a_line_leaves_the_picture_where_it_is() -> None:
    """It is not gone for a quarter of a second with every line."""
    live = Moment()
    live.write(*confirming())
    before = live.terminal.seen
    live.screen.write(at(15, "attempt.failed", step="dead", attempt=1, error_kind="timeout", message="no"))
    place = before.index(RULE)
    assert live.terminal.seen == [*before[:place], "00:15  dead      attempt 1 failed: no", *before[place:]]


@pytest.mark.parametrize(("columns", "lines"), [(20, 24), (60, 10), (60, 24), (200, 5), (80, 3)])
def test_the_picture_fits_whatever_the_size(columns: int, lines: int) -> None:
    """What is higher or wider than the terminal could not be erased."""
    live = Moment(columns, lines)
    live.write(*watching())
    picture = live.screen._frame
    assert 0 < len(picture) < max(lines, 4)
    assert max(len(SGR.sub("", line)) for line in picture) < columns


@pytest.mark.parametrize("odd", [{"seconds": "soon"}, {"seconds": 1e18}])
def test_a_picture_that_cannot_be_drawn_ends_no_run(odd: dict[str, object]) -> None:
    """The lines go on without it."""
    live = Moment()
    live.write(*confirming(), {**at(20, "step.waiting", step="dead", seconds=1.0, reason="x"), **odd})
    live.write(at(21, "step.failed", step="dead", outcome="failed", message="no"), REFUSED)
    assert live.terminal.seen[-3:] == ["00:21  dead      failed: no", "01:00  verify    REFUSED", ""]


def test_nothing_is_drawn_of_a_resumed_run_before_its_first_event() -> None:
    """Nobody knows yet what time it is."""
    live = Moment()
    live.screen.begin(fold([started(0), at(1, "run.interrupted", step="dead", message="SIGTERM")]))
    live.screen._draw()
    assert live.terminal.getvalue() == ""
    live.write(at(60, "run.resumed", who="ann", cluster="nomad:x", torn=False))
    assert [line for line in live.terminal.seen if line.endswith("03:01:00 UTC, 0 s")]


def test_a_terminal_that_has_become_narrower_keeps_no_rest() -> None:
    """It has broken the lines that stand there, so that they take more rows."""
    live = Moment(100, 40)
    live.write(*confirming())
    rows = len(live.screen._frame)
    live.size = os.terminal_size((50, 40))
    assert live.screen._rows() > rows


def test_while_a_person_is_asked_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ticker would write over the question."""
    monkeypatch.setattr("runbook.report.live.AT_MOST", 0.01)
    monkeypatch.setattr("runbook.report.live.EVERY", 0.01)
    terminal = Terminal()
    with LiveScreen(Stream(terminal)) as screen:
        screen.write(started(0))
        with screen.pause():
            before = terminal.getvalue()
            time.sleep(0.1)
            assert terminal.getvalue() == before
            assert RULE not in terminal.seen
        time.sleep(0.1)
        assert RULE in terminal.seen
    assert RULE not in terminal.seen
    assert not set(re.findall(r"\x1b\[[?\d]*[hl]", terminal.getvalue()))  # no mode is set that would outlive us


PAINTED = [
    ("00:04  dead      looked: 4 of 5 voters answer, leader s1; s2.global dead", "dead", 1),
    ("remove-dead-peers: recovered", "recovered", 1),
    ("00:00            remove-dead-peers on nomad:http://dead.example:4646", "", 0),
    ("00:08  quorum    ok  without s2.global: 4 voters, quorum 3", "ok", 1),
    ("remove-dead-peers REFUSED at step remove: unsafe", "REFUSED", 1),
    ("record             /home/unknown/runs/dead", "", 0),
]


@pytest.mark.parametrize(("line", "word", "count"), PAINTED)
def test_the_telling_words_are_in_colour_and_the_text_is_the_same(line: str, word: str, count: int) -> None:
    """Whoever copies it from the screen has the plain text."""
    painted = paint(line)
    assert SGR.sub("", painted) == line
    told = re.findall(r"\x1b\[[0-9;]+m([^\x1b]+)\x1b\[0m", painted)
    assert told == [word] * count


WANTED = [
    ({"TERM": "xterm"}, True),
    ({"TERM": "xterm", "NO_COLOR": ""}, True),
    ({"TERM": "xterm", "NO_COLOR": "1"}, False),
    ({"TERM": "dumb"}, False),
    ({}, False),
]


@pytest.mark.parametrize(("environ", "wanted"), WANTED)
def test_colour_is_for_terminals_whose_owner_wants_it(environ: dict[str, str], wanted: bool) -> None:
    """And never for a pipe."""
    assert wants_colour(Terminal(), environ) is wanted
    assert wants_colour(io.StringIO(), environ) is False


LIVE = [
    ({"TERM": "xterm"}, True),
    ({"TERM": "xterm", "CI": "true"}, False),
    ({"TERM": "xterm", "NO_COLOR": "1"}, False),
    ({"TERM": "dumb"}, False),
]


@pytest.mark.parametrize(("environ", "wanted"), LIVE)
def test_a_picture_is_for_terminals_that_show_it_as_it_is(environ: dict[str, str], wanted: bool) -> None:
    """The log of a CI, a dumb terminal, a screen reader and whoever wants no colour get lines."""
    assert wants_live_screen(Terminal(), environ) is wanted
    assert wants_live_screen(io.StringIO(), environ) is False


ASCII = [
    ({"LANG": "C"}, True),
    ({}, True),
    ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True),  # which Python has set itself
    ({"LANG": "de_DE.UTF-8"}, False),
    ({"LANG": "de_DE.UTF-8", "LC_ALL": "POSIX"}, True),
    ({"LANG": "C.UTF-8"}, False),
    ({"LANG": "C", "LC_CTYPE": "en_US.UTF-8"}, False),
]


@pytest.mark.parametrize(("environ", "wanted"), ASCII)
def test_a_locale_that_knows_only_ascii_gets_only_that(
    environ: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own signs as one types them, and nothing is lost."""
    assert wants_ascii(environ) is wanted
    for name in ("LANG", "LC_CTYPE", "LC_ALL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    terminal = Terminal()
    Stream(terminal).say("5 → 4… שרת")
    assert terminal.getvalue() == ("5 -> 4... \\u05e9\\u05e8\\u05ea" if wanted else "5 → 4… שרת")


# -- a real terminal


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    with SimulatedLab(5, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        lab.kill(dead := followers(lab)[0])
        lab.wait_for_gossip(dead, "failed")
        yield lab


def at_screen(lab: SimulatedLab, **more: str) -> dict[str, str]:
    """Where a terminal is one that shows pictures, whatever the tests run in."""
    return {
        **environment(lab, followers(lab)[-1]),
        "TERM": "xterm",
        "LANG": "C.UTF-8",
        "CI": "",
        "NO_COLOR": "",
        **more,
    }


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_run_at_a_terminal_is_the_plain_text_with_a_picture(no_color: str, lab: SimulatedLab) -> None:
    """Asked and answered; with NO_COLOR there are only lines; what stays on the screen is what `show` tells."""
    where = at_screen(lab, NO_COLOR=no_color)
    command = [sys.executable, "-m", "runbook", "execute", PLAYBOOK, *SHORT, "--param", "watch_for=2s"]
    code, sent = at_a_terminal(command, where, b"y\n")
    assert code == 0, sent
    assert bool(SGR.search(sent)) != bool(no_color)
    assert ("─" * 70 in sent) != bool(no_color)
    assert "watching that no removed server is added back" in sent
    assert ("·  verify" in SGR.sub("", sent)) != bool(no_color)  # what is to come is known from the first event on
    kept = screen_of(sent)
    shown = subprocess.run(
        [sys.executable, "-m", "runbook", "show", "last"],
        env=where,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    shown = [re.sub(r"^\d\d:\d\d:\d\d  |(?<=  ok) in [\d.]+ s", "", line) for line in shown]  # which only show tells
    events = shown[next(number for number, line in enumerate(shown) if line.startswith("00:00")) :]
    events = [line for line in events if not line.endswith(" is unchanged")]  # which only a second look can tell
    without_waits = [line for line in events if "  waiting " not in line]
    asked = [line for line in kept if line.startswith("Remove ")]
    assert re.fullmatch(r"Remove s\d\.global \(127\.\S+\) from nomad:http://\S+: 5 -> 4 voters\? \[y/N\] y", asked[0])
    kept = kept[next(number for number, line in enumerate(kept) if line.startswith("00:00")) :]
    told = [line for line in kept if line not in asked and "  waiting " not in line]
    assert " ".join(told).split() == " ".join(without_waits).split()
    if not no_color:
        assert max(len(line) for line in told if not re.search(r"/runs/|[0-9a-f]{64}", line)) < 80  # a path, a digest
        assert not [line for line in kept if "watching that" in line]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_leaves_the_terminal_as_it_was(number: signal.Signals, lab: SimulatedLab) -> None:
    """No picture is left, the cursor was never hidden, and the summary stands at the left."""
    where = at_screen(lab)
    command = [sys.executable, "-m", "runbook", "execute", PLAYBOOK, "--param", "confirm_for=60s", "--yes"]
    code, sent = at_a_terminal(command, where, b"", signal_at=(b"confirming ", number))
    assert code == 130, sent
    assert "─" * 70 in sent
    kept = screen_of(sent)
    assert not [line for line in kept if "─" * 70 in line]
    assert [line for line in kept if line.startswith("remove-dead-peers INTERRUPTED at step dead")]
    assert not set(re.findall(r"\x1b\[[?\d]*[hl]", sent))


def test_through_a_pipe_there_is_not_one_escape(lab: SimulatedLab, tmp_path: Path) -> None:
    """Logs are read by machines."""
    where = {**environment(lab, followers(lab)[-1]), "TERM": "xterm"}
    code = "import sys; from runbook.__main__ import main\ntry: main()\nfinally: print('rich' in sys.modules)"
    command = [sys.executable, "-c", code, "execute", PLAYBOOK, *QUICK, "--log-format", "text"]
    done = subprocess.run(command, env=where, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "False"  # nor is loaded what only a terminal needs
