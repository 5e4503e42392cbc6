"""A simulated lab that outlives the command that started it, and that a later command finds again in its folder."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import runbook
from runbook.lab.agent_process import AgentProcess, tail
from runbook.lab.agents import STATE_FILE
from runbook.lab.control import ask_lab, listens
from runbook.lab.daemon import REQUEST_LOG, remove_traces
from runbook.lab.status import ServerStatus
from runbook.simulation.settings import LabError

START_WAIT = 20.0  # seconds until a started lab must have said so in its folder; it takes a quarter of one
STOP_WAIT = 5.0
POLL = 0.02
LOG = "lab.log"
BOOT = (  # -I keeps the caller's folder off the path, where a file named like a module of ours may lie
    "import sys; sys.path.append(sys.argv[1]); from runbook.lab.daemon import main; main(*sys.argv[2:])"
)


class DetachedLab:
    """The verbs of :class:`~runbook.lab.simulated.SimulatedLab`, done by the process that runs it."""

    def __init__(self, folder: Path, process: AgentProcess) -> None:
        self.folder = folder
        self._process = process

    @classmethod
    def start(cls, folder: Path, wishes: Mapping[str, Any]) -> DetachedLab:
        """Start one in this folder, which must exist, in place of one that died there. Raises LabError, OSError."""
        remove_traces(folder)
        for log in (LOG, REQUEST_LOG):
            (folder / log).unlink(missing_ok=True)
        root = Path(runbook.__file__).parent.parent
        command = [sys.executable, "-I", "-c", BOOT, str(root), str(folder), json.dumps(dict(wishes))]
        process = AgentProcess.spawn(command, folder / LOG)
        try:
            _wait_for_state(folder, process)
        except BaseException:
            process.kill()  # nobody could find it again
            raise
        return cls(folder, process)

    @property
    def lives(self) -> bool:
        """By pid and birth, and by the socket where there is no /proc."""
        return self._process.running or listens(self.folder)

    @property
    def export(self) -> str:
        """The shell line that points ``runbook``, ``nomad`` and curl at the lab."""
        return f"export NOMAD_ADDR={self.status()[0].address}"

    def status(self) -> list[ServerStatus]:
        return [ServerStatus(**row) for row in ask_lab(self.folder, "status")]

    def kill(self, name: str) -> None:
        ask_lab(self.folder, "kill", name=name)

    def freeze(self, name: str) -> None:
        ask_lab(self.folder, "freeze", name=name)

    def thaw(self, name: str) -> None:
        ask_lab(self.folder, "thaw", name=name)

    def restart(self, name: str, *, wiped: bool = False) -> None:
        ask_lab(self.folder, "restart", name=name, wiped=wiped)

    def partition(self, groups: list[list[str]]) -> None:
        ask_lab(self.folder, "partition", groups=groups)

    def heal(self) -> None:
        ask_lab(self.folder, "heal")

    def down(self) -> None:
        """End the process, by force if it must be, and leave nothing but the logs. Raises LabError, OSError."""
        with suppress(LabError):
            ask_lab(self.folder, "down", patience=STOP_WAIT)
        if not self._process.gone_within(STOP_WAIT):
            self._process.kill()
        remove_traces(self.folder)


def _wait_for_state(folder: Path, process: AgentProcess) -> None:
    """Until the lab has said in its folder that it answers. Raises LabError with its last words if it ends instead."""
    deadline = time.monotonic() + START_WAIT
    while not (folder / STATE_FILE).exists():
        if os.waitpid(process.pid, os.WNOHANG)[0]:
            raise LabError(tail(folder / LOG) or f"the lab ended at once and did not say why in {folder / LOG}")
        if time.monotonic() >= deadline:
            raise LabError(f"the lab did not start within {START_WAIT:g} s; its log is {folder / LOG}")
        time.sleep(POLL)
