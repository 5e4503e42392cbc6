"""Streams that are closed, full or broken, no environment and no name change no exit code, and end no run."""

from __future__ import annotations

import fcntl
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runbook.report.stream import Stream
from tests.command_line import ROOT, runbook, start

SAY = """\
runbook: 1
name: say
steps:
  - uses: command.run
    effect: read
    with: { argv: [sh, -c, 'echo said'] }
"""
FAIL = SAY.replace("echo said", "exit 9").replace("name: say", "name: fail")
F_SETPIPE_SZ = 1031  # of Linux; Python 3.10 has a name for it
NOBODY = "http://127.0.0.1:9"  # nothing listens there
REDIRECTED = ["<&-", ">&-", "2>&-", ">/dev/full", "2>/dev/full", "| true", "2>&1 | true", ">&- 2>&- <&-"]
CODES = {
    "execute say.yaml --log-format text": 0,
    "execute say.yaml --log-format json": 0,
    "execute fail.yaml": 1,
    "validate say.yaml": 0,
    "validate absent.yaml": 2,
    "diagnose": 4,
    "check --timeout 5": 3,
    "check --nonsense": 3,
    "nonsense": 2,
    "--help": 0,
    "show last": 0,
    "audit last": 0,
    "show last --follow": 0,
    "runs": 0,
    "runs --format json": 0,
    "prune": 0,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "say.yaml").write_text(SAY)
    (tmp_path / "fail.yaml").write_text(FAIL)
    return tmp_path


def shell(folder: Path, line: str, **environment: str) -> tuple[int, str]:
    """The exit code of the command itself, and what came through."""
    where = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "RUNBOOK_STATE_DIR": str(folder / "state")}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line.replace("runbook ", f"{shlex.quote(sys.executable)} -m runbook ", 1)],
        cwd=folder,
        env={**where, "NOMAD_ADDR": NOBODY, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


EVERY = [(words, each) for words in list(CODES)[:3] for each in REDIRECTED]
FEW = [(words, each) for words in list(CODES)[3:] for each in ("| true", ">/dev/full", ">&- 2>&- <&-")]


def test_no_stream_changes_an_exit_code(folder: Path) -> None:
    """Nor does Python say a word of it."""
    for words, redirected in EVERY + FEW:
        code, said = shell(folder, f"runbook {words} {redirected}")
        assert (words, redirected, code) == (words, redirected, CODES[words]), said
        assert not [line for line in ("Traceback", "Exception ignored", "Errno") if line in said], said


@pytest.mark.parametrize("redirected", [">&-", ">/dev/full", "| true"])
def test_a_check_that_nobody_can_read_is_unknown(folder: Path, redirected: str) -> None:
    """Whatever it saw: it saw nothing here, so a look is made up."""
    (folder / "sitecustomize.py").write_text(
        "import runbook.inspection.check as c\n"
        "from runbook.raft.diagnosis.check_result import CheckResult, ClusterIdentity\n"
        "made_up = CheckResult(ClusterIdentity('a', 'nomad', 'http://a'), 0, 'all is well', 0.0)\n"
        "c.check_cluster = lambda *_: made_up\n"
    )
    more = {"PYTHONPATH": f"{folder}:{ROOT}"}
    assert shell(folder, "runbook check", **more) == (0, "RAFT OK - all is well\n")
    assert shell(folder, f"runbook check {redirected}", **more)[0] == 3


def pipe_of_one_page() -> tuple[int, int]:
    reads, writes = os.pipe()
    fcntl.fcntl(writes, F_SETPIPE_SZ, 4096)
    return reads, writes


def test_a_reader_that_stops_reading_misses_whole_lines_and_holds_nobody_up() -> None:
    """The line that is cut through is whole once they read again; what came meanwhile is left out."""
    reads, writes = pipe_of_one_page()
    with os.fdopen(reads, "rb", buffering=0) as reader, os.fdopen(writes, "w", encoding="ascii") as file:
        stream = Stream(file, patience=0.3)
        began, long = time.monotonic(), "é" * 2000
        assert [stream.write(f"{number} {long}\n") for number in range(4)] == [False] * 4
        assert 0.3 <= time.monotonic() - began < 5
        said = b""
        for _ in range(10):
            said += reader.read(4096)
            if stream.write("again\n"):
                break
        said += reader.read(4096)
    assert said.decode() == f"0 {long}\nagain\n".encode("ascii", "backslashreplace").decode()


def wait_until_begun(state: Path) -> None:
    """The run has told more than the pipe takes."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if any(journal.stat().st_size > 8192 for journal in state.glob("runs/*/journal.jsonl")):
            return
        time.sleep(0.02)


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("number", [None, signal.SIGTERM])
def test_a_pipe_that_nobody_reads_ends_no_run_and_keeps_no_signal_from_it(
    folder: Path, form: str, number: signal.Signals | None
) -> None:
    """Its exit code is its own, within a time that is not the reader's."""
    steps = "".join(f'  - uses: log.message\n    with: {{ text: "{letter * 3000}" }}\n' for letter in "abcdefgh")
    last = "  - uses: wait.for\n    with: { duration: 60s }\n" if number else ""
    (folder / "long.yaml").write_text(f"runbook: 1\nname: long\nsteps:\n{steps}{last}")
    where = {**os.environ, "NOMAD_ADDR": NOBODY, "RUNBOOK_STATE_DIR": str(folder / "state")}
    reads, writes = pipe_of_one_page()
    words = ("execute", str(folder / "long.yaml"), "--log-format", form)
    with os.fdopen(reads), start(where, *words, stdout=subprocess.PIPE, stderr=writes) as process:
        os.close(writes)
        if number:
            wait_until_begun(folder / "state")
            process.send_signal(number)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == (130 if number else 0), out
    assert "long INTERRUPTED" in out if number else "long: done" in out


def test_a_run_needs_no_environment_and_no_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No HOME, no USER, no entry in the password database: what is missing is said, and what can be done is."""
    command = [sys.executable, "-m", "runbook", "check"]
    bare = subprocess.run(command, env={}, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (bare.returncode, bare.stderr) == (3, "")
    assert bare.stdout.startswith("RAFT UNKNOWN - ")
    monkeypatch.setattr("os.getuid", lambda: 54321)
    where = {"RUNBOOK_STATE_DIR": str(folder / "state"), "NOMAD_ADDR": NOBODY}
    done = runbook(where, "execute", str(folder / "say.yaml"))
    assert done.returncode == 0, done.stderr
    assert '"who": "uid 54321@' in done.stderr
