"""Streams that are closed, full or broken, no environment and no name change no exit code, and end no run."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import ROOT, runbook

SAY = """\
runbook: 1
name: say
steps:
  - uses: command.run
    effect: read
    with: { argv: [sh, -c, 'echo said'] }
"""
FAIL = SAY.replace("echo said", "exit 9").replace("name: say", "name: fail")
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
    "runs": 0,
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
        "import runbook.cli.diagnose as d\nd._check = lambda *_: ('RAFT OK - all is well', 0)\n"
    )
    more = {"PYTHONPATH": f"{folder}:{ROOT}"}
    assert shell(folder, "runbook check", **more) == (0, "RAFT OK - all is well\n")
    assert shell(folder, f"runbook check {redirected}", **more)[0] == 3


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
