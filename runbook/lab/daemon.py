"""The simulated lab as a process of its own: it lives until it is told to end, or its folder or its time is gone."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runbook.files import read_limited, replace_file
from runbook.lab.agent_layout import HTTP_PORTS
from runbook.lab.agent_process import AgentProcess
from runbook.lab.agents import STATE_FILE, STATE_LIMIT
from runbook.lab.control import SOCKET, Request, listen, serve_one
from runbook.lab.simulated import SimulatedLab
from runbook.lab.status import ServerStatus
from runbook.simulation.settings import LabError

LIFE = 12 * 3600.0  # seconds; a lab that everybody forgot ends by itself
LOOK_UP = 0.2  # seconds between two looks at whether it should end
REQUEST_LOG = "requests.jsonl"


def main(folder: str, wishes: str) -> None:
    """Run a lab in this folder until it ends; exit 1 with one sentence where none can be started."""
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    try:
        with start_lab(request_log=Path(folder) / REQUEST_LOG, **json.loads(wishes)) as lab:
            serve(Path(folder), lab, over)
    except LabError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"{error.filename or folder}: {error.strerror or error}")


def start_lab(*, http_port: int | None, **wishes: Any) -> SimulatedLab:
    """Started, on this HTTP port and the next for RPC; without one, on Nomad's own if free. Raises LabError."""
    usual = http_port or HTTP_PORTS["nomad"]
    lab = SimulatedLab(http_port=usual, rpc_port=usual + 1, **wishes)
    try:
        lab.start()
    except LabError:
        if http_port is not None:
            raise
        lab = SimulatedLab(**wishes)
        lab.start()
    return lab


def serve(folder: Path, lab: SimulatedLab, over: threading.Event, life: float = LIFE) -> None:
    """Obey what comes over the socket until ``over``, for ``life`` seconds at most. The logs are all that stays."""
    state = json.dumps({"kind": "simulated", "process": asdict(AgentProcess.this())})
    ends = time.monotonic() + life
    with listen(folder) as door:
        door.settimeout(LOOK_UP)
        replace_file(folder / STATE_FILE, state.encode())  # last: who finds this file finds a lab that answers
        while not over.is_set() and time.monotonic() < ends and _holds(folder, state):
            serve_one(door, lambda request: _obey(lab, over, request))
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


def _obey(lab: SimulatedLab, over: threading.Event, request: Request) -> Any:
    verb, words = request.pop("verb"), request
    if verb == "down":
        return over.set()
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
