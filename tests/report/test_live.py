"""What a person at a terminal sees: the plain lines, a few words in colour, and one line that says what is awaited."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runbook.lab.simulated import SimulatedLab
from runbook.report.live import LiveScreen
from runbook.report.stream import Stream, paint, wants_colour
from tests.command_line import PLAYBOOK, QUICK, ROOT, SHORT, environment, followers

SGR = re.compile(r"\x1b\[[0-9;]*m")
QUESTION = b"[y/N] "
AT = "2026-11-24T03:00:00.000+00:00"
STARTED = {"kind": "run.started", "at": AT, "playbook": "p", "cluster": "c", "dry_run": False}
STEP = {"kind": "step.started", "at": AT, "step": "dead", "uses": "raft.find_dead"}
WAITING = {"kind": "step.waiting", "at": AT, "step": "dead", "seconds": 15, "reason": "s2: gossip says alive"}
REFUSED = {"kind": "run.refused", "at": AT, "step": "dead", "message": "unsafe"}


class Terminal(io.StringIO):
    """Says that it is one, and can be read as a person would: what was erased is not there."""

    def isatty(self) -> bool:
        return True

    @property
    def seen(self) -> list[str]:
        return [line.rpartition("\r\x1b[2K")[2] for line in self.getvalue().split("\n")]


def test_what_is_awaited_stands_below_with_its_time_and_goes_when_it_is_over() -> None:
    """The wait is no line of its own; the elapsed seconds are those since this wait began."""
    now = [100.0]
    terminal = Terminal()
    screen = LiveScreen(Stream(terminal), monotonic=lambda: now[0], columns=lambda _: 80)
    screen.write(STARTED)
    screen.write(STEP)
    now[0] = 107.0
    screen.write(WAITING)
    now[0] = 112.0
    screen.write(WAITING)
    assert terminal.seen == ["00:00            p on c", "00:12  dead      … 5 s waiting: s2: gossip says alive"]
    screen.write(REFUSED)
    assert terminal.seen[1:] == ["00:00  dead      REFUSED", ""]  # the summary follows, with the sentence


def test_a_long_line_is_cut_so_that_it_can_be_erased() -> None:
    """A line that wraps leaves its first half on the screen for ever."""
    terminal = Terminal()
    screen = LiveScreen(Stream(terminal), monotonic=lambda: 0.0, columns=lambda _: 30)
    screen.write({**WAITING, "reason": "x" * 200})
    assert len(terminal.seen[-1]) == 29


def test_while_a_person_is_asked_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ticker would write over the question."""
    monkeypatch.setattr("runbook.report.live.EVERY", 0.01)
    terminal = Terminal()
    with LiveScreen(Stream(terminal), columns=lambda _: 80) as screen:
        screen.write(STEP)
        with screen.pause():
            before = terminal.getvalue()
            time.sleep(0.1)
            assert terminal.getvalue() == before
            assert terminal.seen == [""]
        time.sleep(0.1)
        assert terminal.seen[-1].endswith("at work: raft.find_dead")
    assert terminal.seen == [""]


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


# -- a real terminal


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    with SimulatedLab(5, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        lab.kill(dead := followers(lab)[0])
        lab.wait_for_gossip(dead, "failed")
        yield lab


def at_a_terminal(
    command: list[str], environ: dict[str, str], typed: bytes, question: bytes = QUESTION
) -> tuple[int, str]:
    """The exit code and every byte that the terminal was sent. Each time the question stands there, a line is typed."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, env=environ, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # how Linux says that the other side is gone
                break
            if not piece:
                break
            for _ in range((seen + piece).count(question) - seen.count(question)):
                line, _, typed = typed.partition(b"\n")
                os.write(ours, line + b"\n")  # what is typed before the question is thrown away
            seen += piece
        os.close(ours)
    return process.returncode, seen.decode()


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_run_at_a_terminal_is_the_plain_text_with_a_live_line(no_color: str, lab: SimulatedLab) -> None:
    """Asked and answered; with NO_COLOR there is no colour; what stays on the screen is what `show` tells."""
    where = {**environment(lab, followers(lab)[-1]), "TERM": "xterm", "NO_COLOR": no_color}
    command = [sys.executable, "-m", "runbook", "execute", PLAYBOOK, *SHORT, "--param", "watch_for=2s"]
    code, sent = at_a_terminal(command, where, b"y\n")
    assert code == 0, sent
    assert bool(SGR.search(sent)) != bool(no_color)
    assert "watching that no removed server is added back" in sent
    kept = [SGR.sub("", line.rpartition("\r\x1b[2K")[2]).rstrip("\r") for line in sent.split("\n")]
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
    assert re.fullmatch(r"Remove s\d\.global \(127\.\S+\) from nomad:http://\S+: 5 -> 4 voters\? \[y/N\] y?", asked[0])
    told = [line for line in kept if line != "y" and line not in asked]
    assert " ".join(told).split() == " ".join(without_waits).split()
    assert max(len(line) for line in told if not re.search(r"/runs/|[0-9a-f]{64}", line)) < 80  # a path, a digest
    assert not [line for line in kept if "watching that" in line]


def test_through_a_pipe_there_is_not_one_escape(lab: SimulatedLab, tmp_path: Path) -> None:
    """Logs are read by machines."""
    where = {**environment(lab, followers(lab)[-1]), "TERM": "xterm"}
    command = [sys.executable, "-m", "runbook", "execute", PLAYBOOK, *QUICK, "--log-format", "text"]
    done = subprocess.run(command, env=where, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr
