"""A simulated lab in a process of its own, which outlives the command that started it and is found again in its folder.

It lives until it is told to end, or its folder or its time is gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runbook.errors import LabError
from runbook.files import read_limited, replace_file
from runbook.lab.agent_layout import HTTP_PORTS
from runbook.lab.agents import STATE_FILE, STATE_LIMIT
from runbook.lab.control import SOCKET, ControlRequest, answer_command, is_listening, listen, send_command
from runbook.lab.process import LabProcess, ServerStatus, tail
from runbook.lab.simulated import SimulatedLab
from runbook.package_data import PACKAGE

START_WAIT = 20.0  # seconds until a started lab must have said so in its folder; it takes a quarter of one
STOP_WAIT = 5.0
POLL = 0.02
LOG = "lab.log"
BOOT = (  # -I keeps the caller's folder off the path, where a file named like a module of ours may lie
    "import sys; sys.path.append(sys.argv[1]); from runbook.lab.detached import main; main(*sys.argv[2:])"
)
LIFE = 12 * 3600.0  # seconds; a lab that everybody forgot ends by itself
POLL_STOP = 0.2  # seconds between two looks at whether it should end
REQUEST_LOG = "requests.jsonl"


class DetachedLab:
    """The verbs of :class:`~runbook.lab.simulated.SimulatedLab`, done by the process that runs it."""

    def __init__(self, folder: Path, process: LabProcess) -> None:
        self.folder = folder
        self._process = process

    @classmethod
    def start(cls, folder: Path, options: Mapping[str, Any]) -> DetachedLab:
        """Start one in this folder, which must exist, in place of one that died there. Raises LabError, OSError."""
        remove_traces(folder)
        for log in (LOG, REQUEST_LOG):
            (folder / log).unlink(missing_ok=True)
        root = Path(PACKAGE).parent
        command = [sys.executable, "-I", "-c", BOOT, str(root), str(folder), json.dumps(dict(options))]
        process = LabProcess.spawn(command, folder / LOG)
        try:
            _wait_for_state(folder, process)
        except BaseException:
            process.kill()  # nobody could find it again
            raise
        return cls(folder, process)

    @property
    def lives(self) -> bool:
        """Whether it runs: by pid and birth, and by the socket where there is no /proc."""
        return self._process.running or is_listening(self.folder)

    @property
    def export(self) -> str:
        """The shell line that points ``runbook``, ``nomad`` and curl at the lab."""
        return f"export NOMAD_ADDR={self.status()[0].address}"

    def status(self) -> list[ServerStatus]:
        return [ServerStatus(**row) for row in send_command(self.folder, "status")]

    def kill(self, name: str) -> None:
        send_command(self.folder, "kill", name=name)

    def freeze(self, name: str) -> None:
        send_command(self.folder, "freeze", name=name)

    def thaw(self, name: str) -> None:
        send_command(self.folder, "thaw", name=name)

    def restart(self, name: str, *, wiped: bool = False) -> None:
        send_command(self.folder, "restart", name=name, wiped=wiped)

    def partition(self, groups: list[list[str]]) -> None:
        send_command(self.folder, "partition", groups=groups)

    def heal(self) -> None:
        send_command(self.folder, "heal")

    def down(self) -> None:
        """End the process, by force if it must be, and leave nothing but the logs. Raises LabError, OSError."""
        with suppress(LabError):
            send_command(self.folder, "down", timeout=STOP_WAIT)
        if not self._process.gone_within(STOP_WAIT):
            self._process.kill()
        remove_traces(self.folder)


def _wait_for_state(folder: Path, process: LabProcess) -> None:
    """Until the lab has said in its folder that it answers. Raises LabError with its last words if it ends instead."""
    deadline = time.monotonic() + START_WAIT
    while not (folder / STATE_FILE).exists():
        if os.waitpid(process.pid, os.WNOHANG)[0]:
            raise LabError(tail(folder / LOG) or f"the lab ended at once and did not say why in {folder / LOG}")
        if time.monotonic() >= deadline:
            raise LabError(f"the lab did not start within {START_WAIT:g} s; its log is {folder / LOG}")
        time.sleep(POLL)


def main(folder: str, options: str) -> None:
    """Run a lab in this folder until it ends; exit 1 with one sentence where none can be started."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        with start_lab(request_log=Path(folder) / REQUEST_LOG, **json.loads(options)) as lab:
            serve(Path(folder), lab, stopping)
    except LabError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"{error.filename or folder}: {error.strerror or error}")


def start_lab(*, http_port: int | None, **options: Any) -> SimulatedLab:
    """Started, on this HTTP port and the next for RPC; without one, on Nomad's own if free. Raises LabError."""
    usual = http_port or HTTP_PORTS["nomad"]
    lab = SimulatedLab(http_port=usual, rpc_port=usual + 1, **options)
    try:
        lab.start()
    except LabError:
        if http_port is not None:
            raise
        lab = SimulatedLab(**options)
        lab.start()
    return lab


def serve(folder: Path, lab: SimulatedLab, stopping: threading.Event, life: float = LIFE) -> None:
    """Execute what the socket brings until ``stopping``, for ``life`` seconds at most. The logs are all that stays."""
    state = json.dumps({"kind": "simulated", "process": asdict(LabProcess.this())})
    ends = time.monotonic() + life
    with listen(folder) as listener:
        listener.settimeout(POLL_STOP)
        replace_file(folder / STATE_FILE, state.encode())  # last: who finds this file finds a lab that answers
        while not stopping.is_set() and time.monotonic() < ends and _holds(folder, state):
            answer_command(listener, lambda request: _execute(lab, stopping, request))
        if _holds(folder, state):
            lab.stop()  # first: who no longer finds the file finds the ports free
            remove_traces(folder)


def remove_traces(folder: Path) -> None:
    """What a simulated lab leaves if it is killed, apart from its logs. Raises OSError."""
    for name in (STATE_FILE, SOCKET):
        (folder / name).unlink(missing_ok=True)


def _holds(folder: Path, state: str) -> bool:
    """Whether the folder still is this lab's: a person may have removed it, and another lab may be there by now."""
    try:
        return read_limited(folder / STATE_FILE, STATE_LIMIT) == state.encode()
    except OSError:
        return False


def _execute(lab: SimulatedLab, stopping: threading.Event, request: ControlRequest) -> Any:
    verb, words = request.pop("verb"), request
    if verb == "down":
        return stopping.set()
    if verb not in VERBS:
        raise LabError(f"the lab has no verb {verb}: it has {', '.join(VERBS)}")
    return VERBS[verb](lab, **words)


def _status(lab: SimulatedLab) -> list[dict[str, Any]]:
    status = lab.status()
    return [
        asdict(
            ServerStatus(
                name=row["name"],
                address=row["http"],
                rpc=row["rpc"],
                state=row["state"],
                leader=row["name"] == status["leader"],
                id=row["id"],
            )
        )
        for row in status["servers"]
    ]


VERBS: dict[str, Callable[..., Any]] = {
    "status": _status,
    "kill": SimulatedLab.kill,
    "freeze": SimulatedLab.freeze,
    "thaw": SimulatedLab.thaw,
    "restart": SimulatedLab.restart,
    "partition": SimulatedLab.partition,
    "heal": SimulatedLab.heal,
}
