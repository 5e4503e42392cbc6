"""The command line in this process: the words that are typed, the environment, and what becomes of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from click.testing import CliRunner

from runbook.cli.main import main
from runbook.lab.simulated import SimulatedLab
from tests.clock import leaping

ROOT = Path(__file__).resolve().parents[1]
PLAYBOOK = str(ROOT / "playbooks" / "remove-dead-peers.yaml")
SHORT = [part for param in ("confirm_for=0s", "looks=2", "watch_for=0s") for part in ("--param", param)]
QUICK = [*SHORT, "--yes"]  # nobody sits at a terminal here


@dataclass(frozen=True)
class Done:
    """How a command ended, named as of a process."""

    returncode: int
    stdout: str
    stderr: str


def runbook(environment: Mapping[str, str], *words: str) -> Done:
    """Type ``runbook`` and these words, with nothing else in the environment and without a terminal.

    Whatever the tool would wait for it leaps over. An exception that a process would show as a traceback comes out.
    """
    with patch.dict(os.environ, environment, clear=True), leaping():
        result = CliRunner().invoke(main, words, catch_exceptions=False, prog_name="runbook")
    return Done(result.exit_code, result.stdout, result.stderr)


def start(environment: Mapping[str, str], *words: str, **streams: Any) -> subprocess.Popen[str]:
    """The same as a process, for where a process is what is tested: signals, streams, and two of them at once."""
    command = [sys.executable, "-m", "runbook", *words]
    return subprocess.Popen(command, env=environment, cwd=ROOT, text=True, **streams)


def environment(lab: SimulatedLab, asked: str, **more: str) -> dict[str, str]:
    """Where this server's address is the one that was noted down."""
    return {**os.environ, "NOMAD_ADDR": lab.addresses[lab.names.index(asked)], **more}


def followers(lab: SimulatedLab) -> list[str]:
    return [name for name in lab.names if name != lab.leader()]


def changes(lab: SimulatedLab) -> list[str]:
    """The requests for a change that the servers got."""
    return [f"{request.method} {request.path}" for request in lab.requests if request.changes]
