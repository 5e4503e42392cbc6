"""A disk that fills up: no change is asked for that is not on record, and one sentence says what is the matter."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from runbook.journal.store import read
from runbook.lab.simulated import SimulatedLab
from tests.command_line import PLAYBOOK, QUICK, changes, environment, followers, runbook, start

LIMIT = resource.RLIMIT_FSIZE
WORDS = ("execute", PLAYBOOK, *QUICK, "--log-format", "text")


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    """One follower is dead, and gossip knows it."""
    with SimulatedLab(5, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        lab.kill(dead := followers(lab)[0])
        lab.wait_for_gossip(dead, "failed")
        yield lab


def newest_journal(state: Path) -> Path:
    return max((state / "runs").iterdir()) / "journal.jsonl"


def test_a_journal_that_cannot_grow_stops_the_run_before_anything_is_asked_for(
    lab: SimulatedLab, state_dir: Path
) -> None:
    """The disk takes half of the intent: the intent is not on record, so the removal is not sent (I5, I7)."""
    where, write, (soft, hard) = environment(lab, followers(lab)[-1]), os.write, resource.getrlimit(LIMIT)

    def write_in_room(handle: int, data: bytes) -> int:
        if b'"removal.requested"' in data:
            resource.setrlimit(LIMIT, (os.fstat(handle).st_size + len(data) // 2, hard))
        try:
            return write(handle, data)
        finally:
            resource.setrlimit(LIMIT, (soft, hard))

    with patch("runbook.journal.store.os.write", write_in_room):
        done = runbook(where, *WORDS)
    said = done.stderr
    assert (done.returncode, changes(lab)) == (1, []), said
    assert said.splitlines()[-1].startswith(f"runbook: {newest_journal(state_dir)}: ")
    assert "No further change will be made" in said
    assert "Traceback" not in said
    kinds = [event["kind"] for event in read(newest_journal(state_dir)).events]
    assert "step.completed" in kinds
    assert "removal.requested" not in kinds
    assert runbook(dict(os.environ), "show", "last").returncode == 0


def test_too_little_room_is_refused_before_anything_is_asked(lab: SimulatedLab, tiny_disk: Path) -> None:
    """Exit 2, nothing was sent, and the folder is named."""
    asked = len(lab.requests)
    done = runbook({**environment(lab, "s1"), "RUNBOOK_STATE_DIR": str(tiny_disk)}, "execute", PLAYBOOK, *QUICK)
    assert (done.returncode, len(lab.requests)) == (2, asked), done.stderr
    assert str(tiny_disk) in done.stderr
    assert "are needed for the record. Make room" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_disk_that_fills_up_during_the_run_stops_it(lab: SimulatedLab, real_disk: Path) -> None:
    """A real full file system, and not only a limit."""
    where = {**environment(lab, "s1"), "RUNBOOK_STATE_DIR": str(real_disk)}
    slow = ["--param", "confirm_for=3s", "--param", "looks=30"]  # more looks than the last page has room for
    with start(where, *WORDS, *slow, stderr=subprocess.PIPE) as process:
        until = time.monotonic() + 20
        while not list(real_disk.glob("runs/*/state.snap")) and time.monotonic() < until:
            time.sleep(0.05)
        fill(real_disk / "filler")
        _, said = process.communicate(timeout=60)
    assert (process.returncode, changes(lab)) == (1, []), said
    assert "No space left on device. No further change will be made" in said
    assert "Traceback" not in said


def fill(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(b"\0" * 65536):
            pass


@contextlib.contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "runbook-test", str(folder)], check=False, capture_output=True
    )
    if done.returncode != 0:
        pytest.skip("only root may mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "tiny", "1m") as folder:
        yield folder


@pytest.fixture
def real_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "20m") as folder:
        yield folder
