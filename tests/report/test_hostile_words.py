"""Whatever a server says, no command sends a terminal, a log or a report what it obeys, and no line is forged."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.lab import serving
from runbook.lab.simulated import SimulatedLab
from runbook.printable import printable, printable_json, printable_line
from tests.command_line import PLAYBOOK, QUICK, environment, followers, runbook
from tests.report.terminal import at_a_terminal

FORGED = "00:99  remove    ok  FORGED"
EVIL = f"\x1b[2J\x9b31m\u202e\u2028evil\x07\r\n{FORGED}\x00"
OURS = re.compile(r"\x1b\[[0-9;]*m|\r\x1b\[\d+A|\x1b\[[JK]|\r(?=\x1b|\n|─)")  # colour, the picture, the end of a line
LOOKS = [
    ["diagnose"],
    ["diagnose", "--format", "json"],
    ["check"],
    ["check", "--format", "json"],
    ["execute", PLAYBOOK, *QUICK, "--dry-run", "--log-format", "text"],
    ["execute", PLAYBOOK, *QUICK, "--log-format", "json"],
    ["runs"],
    ["runs", "--format", "json"],
    ["show", "last"],
    ["show", "last", "--follow"],
    ["show", "last", "--format", "json"],
    ["audit", "last"],
    ["audit", "last", "--format", "json"],
    ["resume", "last"],
    ["report", "last"],
    ["report", "last", "--format", "markdown"],
    ["report", "last", "--format", "junit"],
    ["stop", "last"],
    ["recover", "plan", "--confirm-for", "1s"],
    ["clusters"],
    ["prune", "--yes"],
    ["ack", "last", "--comment", EVIL.replace("\x00", "")],
]


def test_what_a_terminal_obeys_is_shown_as_its_escape() -> None:
    text = "é\tb\n\x1b[31mred\x9b\u202e\r\U000e0041"
    assert printable(text) == "é\tb\n\\x1b[31mred\\x9b\\u202e\\r\\U000e0041"
    assert printable_line(text) == "é\\tb\\n\\x1b[31mred\\x9b\\u202e\\r\\U000e0041"


@given(st.text())
def test_nothing_odd_passes_and_what_is_good_stays(text: str) -> None:
    """And JSON means the same afterwards."""
    assert printable_line(text).isprintable()
    assert printable_line("".join(filter(str.isprintable, text))) == "".join(filter(str.isprintable, text))
    assert json.loads(printable_json(json.dumps(text, ensure_ascii=False))) == text


@pytest.fixture(params=["names", "errors"])
def evil(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedLab]:
    """Five servers, one of them dead, that say it wherever a server can put a text."""
    respond = serving.RealTimeCluster.respond

    def say(self: serving.RealTimeCluster, server: str, call: Any, target: str) -> Any:
        sent = respond(self, server, call, target)
        if sent is None:
            return None
        body = re.sub(rb'"(s\d)\.global"', lambda name: json.dumps(name[1].decode() + EVIL).encode(), sent.reply.body)
        reply = replace(sent.reply, body=body)
        if request.param == "errors" and "autopilot" in target:
            reply = replace(reply, status=500, body=EVIL.encode())
        return replace(sent, reply=reply)

    monkeypatch.setattr(serving.RealTimeCluster, "respond", say)
    with SimulatedLab(5, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        lab.kill(dead := followers(lab)[0])
        lab.wait_for_gossip(dead, "failed")
        yield lab


def odd_in(text: str) -> list[str]:
    """What may not be there: anything that a terminal obeys, and a line that begins as one of ours and is none."""
    odd = [letter for letter in text if not letter.isprintable() and letter != "\n"]
    return odd + [line for line in text.split("\n") if line.lstrip().startswith(FORGED[:5])]


def test_hostile_words_reach_no_pipe_and_no_file(evil: SimulatedLab, tmp_path: Path) -> None:
    """By every command, in every form; and the evil is told, not left out."""
    where = environment(evil, followers(evil)[-1])
    for words in (*LOOKS, ["export", "last", "--output", str(tmp_path / "record.tar.gz")]):
        done = runbook(where, *words)
        assert odd_in(done.stdout + done.stderr) == [], words
        if "json" in words and words[0] != "execute":
            texts = done.stdout.splitlines() if words[0] in ("show", "runs") else [done.stdout]
            assert all(json.loads(text) for text in texts)
        if words[0] in ("diagnose", "show"):
            assert "evil" in done.stdout


def test_hostile_words_reach_no_terminal(evil: SimulatedLab, tmp_path: Path) -> None:
    """With colours, a live line, and a person who is asked."""
    where = {**environment(evil, followers(evil)[-1]), "TERM": "xterm", "LANG": "C.UTF-8", "CI": "", "NO_COLOR": ""}
    for words in (*LOOKS, ["export", "last", "--output", str(tmp_path / "record.tar.gz")]):
        asks = [word for word in words if word not in ("--yes", "--log-format", "text")]
        _, sent = at_a_terminal([sys.executable, "-m", "runbook", *asks], where, b"y\n" * 3)
        assert odd_in(OURS.sub("", sent)) == [], words
