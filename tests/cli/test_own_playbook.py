"""A playbook of one's own without any Raft step: its words, its record, and going on with it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.command_line import runbook

INNER = """
runbook: 1
name: inner
steps:
  - id: hello
    uses: log.message
    with: { text: hello from within }
"""
OUTER = """
runbook: 1
name: mine
guards: { max_changes: 2 }
params:
  folder: { type: path }
steps:
  - id: touch
    for_each: '["a", "b"]'
    uses: command.run
    with: { argv: [touch, "${{ params.folder }}/${{ item }}"] }
    undo: { show: "rm ${{ item }}" }
  - id: ready
    uses: command.run
    effect: read
    with: { argv: [test, -e, "${{ params.folder }}/ready"] }
  - id: look
    uses: playbook.run
    with: { playbook: inner.yaml }
"""
NOBODY = {"NOMAD_ADDR": "http://127.0.0.1:9"}  # nothing listens there, and nobody is asked


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "inner.yaml").write_text(INNER, encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(OUTER, encoding="utf-8")
    return tmp_path


def test_a_failure_tells_what_ran_and_how_to_take_it_back_and_the_run_can_be_gone_on_with(own: Path) -> None:
    """The playbook that it runs lies beside the file and not in the run's folder."""
    environment = {**os.environ, **NOBODY}
    words = ("execute", str(own / "mine.yaml"), "--param", f"folder={own}", "--yes")
    failed = runbook(environment, *words, "--log-format", "text")
    assert failed.returncode == 1, failed.stderr
    assert "changed            nothing" not in failed.stdout
    assert "ran                touch (command.run): touch ended with 0" in failed.stdout
    assert [line for line in failed.stdout.splitlines() if line.startswith("undo by hand")] == [
        "undo by hand       touch: rm a",
        "undo by hand       touch: rm b",
    ]
    assert "ready     failed: test ended with 1" in failed.stderr
    (own / "ready").touch()
    resumed = runbook(environment, "resume", "last", "--yes", "--log-format", "text")
    assert resumed.returncode == 0, resumed.stdout
    assert "hello from within" in resumed.stderr
    assert "voters" not in resumed.stdout
    assert "recovered" not in resumed.stdout


def test_a_dry_run_says_at_its_end_that_it_was_one(own: Path) -> None:
    """`done` alone would be read as if it had been."""
    (own / "ready").touch()
    words = ("execute", str(own / "mine.yaml"), "--param", f"folder={own}", "--dry-run", "--yes")
    done = runbook({**os.environ, **NOBODY}, *words)
    assert done.returncode == 0, done.stderr
    assert "mine: done, as a dry run: nothing was changed" in done.stdout
    assert not (own / "a").exists()


def test_the_log_warns_of_a_step_that_failed(own: Path) -> None:
    """Who filters a log by level sees the first thing that went wrong, and not only the end."""
    words = ("execute", str(own / "mine.yaml"), "--param", f"folder={own}", "--yes", "--log-format", "json")
    told = [json.loads(line) for line in runbook({**os.environ, **NOBODY}, *words).stderr.splitlines()]
    levels = [(line["event"], line["level"]) for line in told if line["level"] != "info"]
    assert levels == [("step.failed", "warning"), ("run.failed", "error")]
