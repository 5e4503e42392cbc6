"""A signal at any moment of a real recovery: an exit code of the table, no traceback, and a resume that ends right."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from runbook.lab.simulated import SimulatedLab
from tests.command_line import PLAYBOOK, QUICK, changes, environment, followers, start

MOMENTS = int(os.environ.get("SIGNAL_MOMENTS", "3"))  # nightly 100
LONGEST = 3.0  # seconds; a recovery takes about two
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130


def end_of(where: dict[str, str], *words: str, at: float | None = None, by: tuple[signal.Signals, ...] = ()) -> int:
    """The exit code of this command, to which these signals are sent at that moment, a little apart."""
    with start(where, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            process.wait(at)
        except subprocess.TimeoutExpired:
            for number in by:
                process.send_signal(number)
                try:
                    process.wait(0.05)
                except subprocess.TimeoutExpired:
                    continue
                break
        out, err = process.communicate(timeout=60)
    if err.startswith("Fatal Python error: init_"):  # Python itself was still starting, and has no better way to die
        return -signal.SIGINT
    assert "Traceback" not in out + err, err
    assert "Exception ignored" not in err, err
    return process.returncode


@pytest.mark.parametrize("first", range(0, MOMENTS, 10))
def test_at_random_moments(first: int, tmp_path: Path, summarize: Callable[[str], None]) -> None:
    """Once or twice, each of the signals; during the start of the program too. The last run recovers the cluster."""
    figures: Counter[str] = Counter()
    for number in range(first, min(first + 10, MOMENTS)):
        random = Random(number)  # noqa: S311 - it must be repeatable
        state = str(tmp_path / f"state-{number}")
        with SimulatedLab(5, gossip_delay=0.3) as lab:
            lab.wait_for_leader()
            dead, asked, *_ = followers(lab)
            lab.kill(dead)
            lab.wait_for_gossip(dead, "failed")
            where = environment(lab, asked, RUNBOOK_STATE_DIR=state)
            by = tuple(random.choices(SIGNALS, k=random.choice([1, 1, 2])))
            code = end_of(where, "execute", PLAYBOOK, *QUICK, at=random.uniform(0, LONGEST), by=by)
            began = (Path(state) / "runs").exists() and any((Path(state) / "runs").iterdir())
            # Python has not begun with the program yet: it dies of the signal, as every program does.
            assert code in ((0, INTERRUPTED) if began else (0, INTERRUPTED, *(-one for one in SIGNALS))), number
            figures[f"execute {code}"] += 1
            if code != 0:
                again = ("resume", "last", "--yes") if began else ("execute", PLAYBOOK, *QUICK)
                code = end_of(where, *again)
                if code == 2:  # it died before its first event, or after its last one
                    code = end_of(where, "execute", PLAYBOOK, *QUICK, "--override", "cooldown", "--reason", "test")
                figures[f"{again[0]} {code}"] += 1
            assert code == 0, f"moment {number}"
            deletes = [change for change in changes(lab) if change.startswith("DELETE")]
            assert {change.partition("id=")[2] for change in deletes} == {lab.ids[dead]}
            figures[f"{len(deletes)} requests for the removal"] += 1
    summarize(f"signals from {first}: " + ", ".join(f"{count} {name}" for name, count in sorted(figures.items())))
