"""A signal at any moment of a real recovery: an exit code of the table, no traceback, and a resume that ends right."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from runbook.lab.simulated import SimulatedLab
from tests.command_line import PLAYBOOK, QUICK, ROOT, changes, environment, followers, start

MOMENTS = int(os.environ.get("SIGNAL_MOMENTS", "2"))  # nightly 100
EVENTS = 24  # of a recovery's journal; those that are drawn behind its end come too late
APART = 0.1  # seconds; about as long as an event takes here
STARTING = 0.5  # seconds; about as long as the program starts
LIMIT = 300.0  # seconds for one command: what may still be carried out is waited for, for two minutes
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130

ENDS = {
    (0, "run.completed"),
    (INTERRUPTED, "run.completed"),
    (INTERRUPTED, "run.interrupted"),
    (INTERRUPTED, "nothing"),
}

Moment = Callable[["subprocess.Popen[str]"], None]


def never(_process: subprocess.Popen[str]) -> None:
    """No signal is sent."""


def end_of(where: dict[str, str], *words: str, moment: Moment = never, by: tuple[signal.Signals, ...] = ()) -> int:
    """The exit code of this command, to which these signals are sent at that moment, a little apart."""
    with start(where, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        moment(process)
        for number in by:
            process.send_signal(number)
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            break
        out, err = process.communicate(timeout=LIMIT)
    if err.startswith("Fatal Python error: init_") or ("Traceback" in err and str(ROOT) not in err):
        return -signal.SIGINT  # Python itself was still starting, and has no better way to die
    assert "Traceback" not in out + err, err
    assert "Exception ignored" not in err, err
    return process.returncode


def after_events(state: Path, events: int, seconds: float) -> Moment:
    """Once the run's journal has so many events, and a little later; at once where the run is over."""

    def wait(process: subprocess.Popen[str]) -> None:
        until = time.monotonic() + LIMIT
        while len(kinds(state)) < events and process.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(seconds)

    return wait


def journals(state: Path) -> list[Path]:
    return sorted((state / "runs").glob("*/journal.jsonl"))


def kinds(state: Path) -> list[str]:
    """Of the events in the newest journal; the line that is just being written is none yet."""
    data = journals(state)[-1].read_text(encoding="utf-8") if journals(state) else ""
    return [json.loads(line)["kind"] for line in data.splitlines(keepends=True) if line.endswith("\n")]


@dataclass(frozen=True)
class Broken:
    """A cluster with a dead server, and one to ask that is neither it nor the leader."""

    lab: SimulatedLab
    dead: str
    asked: str


@contextmanager
def broken_cluster() -> Iterator[Broken]:
    with SimulatedLab(5, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        dead, asked, *_ = followers(lab)
        lab.kill(dead)
        lab.wait_for_gossip(dead, "failed")
        yield Broken(lab, dead, asked)


def requests_for_the_removal(broken: Broken) -> int:
    """Of the dead server; nobody else's ever was asked for."""
    deletes = [change for change in changes(broken.lab) if change.startswith("DELETE")]
    assert {change.partition("id=")[2] for change in deletes} == {broken.lab.ids[broken.dead]}
    return len(deletes)


@pytest.mark.parametrize("first", range(0, MOMENTS, 10))
def test_at_random_moments_of_the_run(first: int, tmp_path: Path, summarize: Callable[[str], None]) -> None:
    """Once or twice, each of the signals. What was interrupted is gone on with, and the cluster is recovered."""
    figures: Counter[str] = Counter()
    for number in range(first, min(first + 10, MOMENTS)):
        random = Random(number)  # noqa: S311 - it must be repeatable
        state = tmp_path / f"state-{number}"
        moment = after_events(state, random.randint(1, EVENTS), random.uniform(0, APART))
        with broken_cluster() as broken:
            where = environment(broken.lab, broken.asked, RUNBOOK_STATE_DIR=str(state))
            code = end_of(where, "execute", PLAYBOOK, *QUICK, moment=moment, by=drawn_signals(random))
            told = ["nothing", *kinds(state)][-1]
            figures[f"execute {code} after {told}"] += 1
            assert (code, told) in ENDS, number
            if told != "run.completed":
                again = ("resume", "last", "--yes") if told != "nothing" else ("execute", PLAYBOOK, *QUICK)
                code = end_of(where, *again)
                figures[f"{again[0]} {code}"] += 1
                assert code == 0, number
            assert kinds(state)[-1] == "run.completed", number
            figures[f"{requests_for_the_removal(broken)} requests for the removal"] += 1
    summarize(f"signals from {first}: " + ", ".join(f"{count} {name}" for name, count in sorted(figures.items())))


@pytest.mark.parametrize("number", range(max(1, MOMENTS // 10)))
def test_while_the_program_starts(number: int, tmp_path: Path) -> None:
    """It ends as every program does, and leaves nothing that keeps the next one from its work."""
    random = Random(number)  # noqa: S311 - it must be repeatable
    seconds = random.uniform(0, STARTING)
    with broken_cluster() as broken:
        where = environment(broken.lab, broken.asked, RUNBOOK_STATE_DIR=str(tmp_path))
        by = drawn_signals(random)
        code = end_of(where, "execute", PLAYBOOK, *QUICK, moment=lambda _process: time.sleep(seconds), by=by)
        # Python has not begun with the program yet: it dies of the signal, as every program does.
        assert code in (INTERRUPTED, *(-one for one in SIGNALS))
        assert end_of(where, "execute", PLAYBOOK, *QUICK) == 0


def drawn_signals(random: Random) -> tuple[signal.Signals, ...]:
    return tuple(random.choices(SIGNALS, k=random.choice([1, 1, 2])))
