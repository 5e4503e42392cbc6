"""One run from request to result, without a process, a terminal or a wait: a worker would call the same functions."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from runbook import __version__
from runbook.errors import NotStartedError, StopError
from runbook.events import FORMAT, RunCompleted, RunRefused
from runbook.journal.store import Journal, read
from runbook.session import open_run as opening
from runbook.session import resume_run as resuming
from runbook.session.interrupts import note_process, stop_process
from runbook.session.open_run import RunRequest, open_run
from runbook.session.resume_run import open_resumed
from runbook.session.run_folders import state_folder
from runbook.session.run_session import RunOptions, RunResult, RunSession
from runbook.steps.context import Agreement
from tests.engine.fake import PLAYBOOK, FakeClock, FakeCluster


class Nobody:
    """Agreed to everything beforehand, as a timer does."""

    name = "cron@host"

    def approve(self, _sentence: str, _seconds: float) -> Agreement | None:
        return Agreement(self.name, "by --yes")

    def choose(self, _question: str, _answers: tuple[str, ...]) -> str | None:
        return None

    would_approve, would_choose = approve, choose


@contextmanager
def on(cluster: FakeCluster) -> Iterator[None]:
    with (
        patch.object(opening, "chosen_cluster", lambda *_words, **_more: cluster),
        patch.object(resuming, "chosen_cluster", lambda *_words, **_more: cluster),
    ):
        yield


def played(
    state: Path, cluster: FakeCluster, playbook: Path = PLAYBOOK, **options: Any
) -> tuple[RunResult, list[Mapping[str, Any]]]:
    shown: list[Mapping[str, Any]] = []
    request = RunRequest(str(playbook), options=RunOptions(**options))
    with on(cluster), open_run(request, {"RUNBOOK_STATE_DIR": str(state)}, cluster.clock) as session:
        return session.run(Nobody(), shown.append), shown


def test_a_request_becomes_a_result_on_a_clock_from_outside(tmp_path: Path) -> None:
    """The two minutes of a recovery take no time, and the record is what was shown."""
    began = time.monotonic()
    result, shown = played(tmp_path, FakeCluster(FakeClock(), dead={5}))
    assert time.monotonic() - began < 5
    assert isinstance(result.ending, RunCompleted)
    assert result.state.gone == {"id-5"}
    record = read(result.folder / "journal.jsonl").events
    assert [event["kind"] for event in record] == [event["kind"] for event in shown]
    assert (record[0]["version"], record[0]["format"]) == (__version__, FORMAT)
    assert not (result.folder / "process.json").exists()


def test_a_changing_run_says_against_whose_runs_its_lock_protects(tmp_path: Path) -> None:
    mine, _ = played(tmp_path / "mine", FakeCluster(FakeClock(), dead={5}))
    dry, _ = played(tmp_path / "mine", FakeCluster(FakeClock(), dead={5}), dry_run=True)
    team = tmp_path / "team"
    team.mkdir()
    team.chmod(0o2770)
    ours, _ = played(team, FakeCluster(FakeClock(), dead={5}))
    scopes = [(result.state.started or {})["lock_holds_for"] for result in (mine, dry, ours)]
    assert scopes[0].startswith("the runs of ")
    assert scopes[1] == ""
    assert scopes[2].startswith(f"everybody who uses {team} on ")


def test_in_a_shared_folder_the_whole_team_can_write_and_elsewhere_nobody_else(tmp_path: Path) -> None:
    """Under any umask: two people have one lock, and resume each other's runs."""
    team = tmp_path / "team"
    team.mkdir()
    team.chmod(0o2770)
    old = os.umask(0o077)
    try:
        played(team, FakeCluster(FakeClock(), dead={5}))
        os.umask(0)
        played(tmp_path / "mine", FakeCluster(FakeClock(), dead={5}))
    finally:
        os.umask(old)
    kept = [path for path in tmp_path.rglob("*") if path.suffix != ".snap"]  # which the fake cluster writes itself
    modes = {
        root: {stat.S_IMODE(path.stat().st_mode) for path in kept if (tmp_path / root) in path.parents}
        for root in ("team", "mine")
    }
    assert modes == {"team": {0o2770, 0o660}, "mine": {0o700, 0o600}}


def test_the_teams_folder_is_taken_where_its_group_may_write_it(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path)}
    team = tmp_path / "team"
    own = tmp_path / ".local" / "state" / "runbook"
    assert state_folder(environment, team) == own
    team.mkdir(mode=0o700)
    assert state_folder(environment, team) == own
    team.chmod(0o2770)
    assert state_folder(environment, team) == team
    assert state_folder({**environment, "RUNBOOK_STATE_DIR": "/elsewhere"}, team) == Path("/elsewhere")


@pytest.mark.parametrize("written", [{}, {"version": "9.9", "format": FORMAT + 1}])
def test_an_unfinished_run_of_another_format_is_refused_with_the_version_that_can_finish_it(
    tmp_path: Path, written: Mapping[str, Any]
) -> None:
    result, _ = played(tmp_path, FakeCluster(FakeClock(), dead={5}))
    events = [dict(event) for event in read(result.folder / "journal.jsonl").events[:-1]]
    events[0] = {key: value for key, value in events[0].items() if key not in ("version", "format")} | dict(written)
    (result.folder / "journal.jsonl").unlink()
    journal = Journal.begin(result.folder / "journal.jsonl")
    for event in events:
        journal.append({key: value for key, value in event.items() if key != "index"})
    journal.close()
    cluster = FakeCluster(FakeClock(), dead={5})
    words = f"was written by runbook {written.get('version', '0.1.0')} in format {written.get('format', 1)}"
    with on(cluster), pytest.raises(NotStartedError, match=words):
        open_resumed(result.folder, RunOptions(), {}, cluster.clock).__enter__()
    assert cluster.looks == 0


def test_step_by_step_every_change_is_asked_for(tmp_path: Path) -> None:
    """Also the second removal, to which a person has agreed with the first."""
    asked: list[str] = []

    class Somebody(Nobody):
        def approve(self, sentence: str, _seconds: float) -> Agreement | None:
            asked.append(sentence)
            return Agreement("ann", "at the terminal") if len(asked) == 1 else None

    cluster = FakeCluster(FakeClock(), dead={4, 5})
    request = RunRequest(str(PLAYBOOK), options=RunOptions(step_by_step=True))
    with on(cluster), open_run(request, {"RUNBOOK_STATE_DIR": str(tmp_path)}, cluster.clock) as session:
        result = session.run(Somebody(), lambda _record: None)
    assert isinstance(result.ending, RunRefused)
    assert (result.ending.code, len(asked), cluster.changes) == ("NotApproved", 2, ["id-4"])


def test_a_run_at_work_is_stopped_as_by_a_signal_and_no_other_process_is(tmp_path: Path) -> None:
    """By its pid and the tick in which it began: a pid that was used again is somebody else's."""
    code = (
        "import sys, time, pathlib; from runbook.session.interrupts import note_process\n"
        "with note_process(pathlib.Path(sys.argv[1])): print('at work', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        process.stdout.readline()
        noted = json.loads((tmp_path / "process.json").read_text(encoding="utf-8"))
        stop_process(tmp_path, within=10)
        assert process.wait(10) == -15
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
    with pytest.raises(StopError, match="is gone"):
        stop_process(tmp_path)
    (tmp_path / "process.json").write_text(json.dumps({**noted, "pid": os.getpid()}), encoding="utf-8")
    with pytest.raises(StopError, match="is gone"):
        stop_process(tmp_path)
    (tmp_path / "process.json").write_text(json.dumps({**noted, "host": "elsewhere"}), encoding="utf-8")
    with pytest.raises(StopError, match="at work on elsewhere"):
        stop_process(tmp_path)
    with note_process(tmp_path):
        pass
    with pytest.raises(StopError, match="is not at work"):
        stop_process(tmp_path)


def test_a_session_shows_no_environment(tmp_path: Path) -> None:
    """It holds tokens."""
    cluster = FakeCluster(FakeClock())
    environment = {"RUNBOOK_STATE_DIR": str(tmp_path), "NOMAD_TOKEN": "canary-of-a-token"}
    with on(cluster), open_run(RunRequest(str(PLAYBOOK)), environment, cluster.clock) as session:
        assert isinstance(session, RunSession)
        assert "canary" not in repr(session)
