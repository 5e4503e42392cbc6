"""When a playbook was rehearsed or proven: kept by `rehearse` and `prove`, told by `playbooks` and `execute`."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.lab.simulated import SimulatedLab
from runbook.session.practice import (
    MOST,
    PRACTICE,
    Practice,
    format_practices,
    note_practice,
    read_practices,
)
from tests.command_line import PLAYBOOK, environment, runbook

FORETELL = ("execute", PLAYBOOK, "--dry-run", "--log-format", "text")
AT, LATER = "2026-11-24T05:00:00.000+00:00", "2026-11-27T06:00:00.000+00:00"


def test_it_says_how_long_ago_and_in_which_text() -> None:
    rehearsed = {"rehearsed": Practice(AT, "old", well=True)}
    assert format_practices(rehearsed, "new", LATER) == "last rehearsed 3 d 1 h ago, in another text; never proven"
    both = {**rehearsed, "proven": Practice(LATER, "new", well=True)}
    assert format_practices(both, "new", LATER).endswith("; last proven 0.0 s ago, in this text")
    assert format_practices({}, "new", LATER) == "never rehearsed; never proven"


def test_what_was_not_well_is_never_called_proven() -> None:
    told = format_practices({"proven": Practice(AT, "new", well=False)}, "new", LATER)
    assert told == "never rehearsed; last put to the proof 3 d 1 h ago, in this text, and not all was well"


def test_the_newest_of_each_way_is_kept_for_the_newest_playbooks(tmp_path: Path) -> None:
    for number in range(3):
        note_practice(tmp_path, "one", "rehearsed", Practice(AT, str(number), well=True))
    note_practice(tmp_path, "one", "proven", Practice(LATER, "x", well=False))
    kept = read_practices(tmp_path)
    assert kept == {"one": {"rehearsed": Practice(AT, "2", well=True), "proven": Practice(LATER, "x", well=False)}}
    assert (tmp_path / PRACTICE).stat().st_mode & 0o777 == 0o600
    assert MOST > 100


@pytest.mark.parametrize("text", [b"", b"[]", b"\xff", b'{"a": 1, "b": {"rehearsed": {"at": 3}}}', b"[" * 100_000,
                                  b'{"a": {"proven": {"at": "2026-01-01", "digest": "x", "well": true}}}'])  # fmt: skip
def test_what_is_odd_says_nothing_and_bars_nothing(text: bytes, tmp_path: Path) -> None:
    (tmp_path / PRACTICE).write_bytes(text)
    assert read_practices(tmp_path) == {}
    note_practice(tmp_path, "one", "proven", Practice(AT, "x", well=True))
    assert list(read_practices(tmp_path)) == ["one"]


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    note_practice(tmp_path / "file", "one", "proven", Practice(AT, "x", well=True))
    assert read_practices(tmp_path / "file") == {}


def test_a_rehearsal_is_told_by_execute_and_playbooks(state_dir: Path) -> None:
    """Before the run begins, on a line of its own; and of another text as such."""
    with SimulatedLab(3) as lab:
        own = environment(lab, lab.leader() or "")
        assert "never rehearsed; never proven" in runbook(own, *FORETELL).stderr
        assert runbook(own, "rehearse", PLAYBOOK, "--scenario", "healthy", "--quiet").returncode == 0
        told = runbook(own, *FORETELL).stderr
        assert told.startswith("remove-dead-peers: last rehearsed ")
        assert "ago, in this text; never proven" in told
        assert "ago, in this text; never proven" in runbook(own, "playbooks").stdout
        note_practice(state_dir, "remove-dead-peers", "rehearsed", Practice(AT, "other", well=True))
        assert "in another text" in runbook(own, *FORETELL).stderr
