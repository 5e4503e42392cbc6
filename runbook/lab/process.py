"""A process of a lab, known by its pid *and* the moment it began, so that a pid used again is never signalled."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from runbook.dataclass import dataclass
from runbook.errors import LabError
from runbook.files import open_regular

POLL = 0.02  # seconds between two looks at a process
SETTLE = 10.0  # seconds a signal may take to show; SIGKILL takes milliseconds
DEAD_STATES = frozenset("Xx")
FROZEN_STATES = frozenset("Tt")
TAIL_BYTES = 2000  # of a log, for an error message


@dataclass(frozen=True)
class ServerStatus:
    """``address`` is ``http://IP:PORT``, ``rpc`` is the Raft address ``IP:PORT``, ``id`` empty where it is not known.

    ``state`` is ``running``, ``frozen``, or ``killed`` (simulated) or ``stopped`` (a real agent may end by itself).
    """

    name: str
    address: str
    rpc: str
    state: str
    leader: bool
    id: str = ""


@dataclass(frozen=True)
class LabProcess:
    """``began`` is the machine's boot and the clock tick of the start, from /proc: the same pid again differs in it."""

    pid: int
    began: str

    @classmethod
    def spawn(cls, command: list[str], log: Path) -> LabProcess:
        """Start a command in a session of its own, so that no Ctrl-C of ours reaches it. Raises OSError."""
        pid = os.posix_spawn(
            command[0],
            command,
            # Nothing else of the operator's environment: NOMAD_TOKEN and its like are none of a lab's business (I13).
            {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(log.parent)},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigdef=[signal.SIGPIPE],  # Python ignores it, and a child would inherit that
        )
        stat = _stat(pid)
        return cls(pid, stat.began if stat else "")

    @classmethod
    def this(cls) -> LabProcess:
        """The process that asks."""
        stat = _stat(os.getpid())
        return cls(os.getpid(), stat.began if stat else "")

    @property
    def running(self) -> bool:
        """Whether it still is there, frozen or not."""
        return self._state() not in DEAD_STATES

    @property
    def frozen(self) -> bool:
        return self._state() in FROZEN_STATES

    def signal(self, number: signal.Signals) -> None:
        """Send it, unless the process is gone: then there is nobody to send it to."""
        with suppress(ProcessLookupError):  # it may go between the look and the signal
            if self.running:
                os.kill(self.pid, number)

    def kill(self) -> None:
        """``kill -9``, and wait until it is gone. Raises LabError after 10 s."""
        self.signal(signal.SIGKILL)
        self._wait(lambda: not self.running, "die")

    def freeze(self) -> None:
        """``kill -STOP``, and wait until it stands still. Raises LabError after 10 s."""
        self.signal(signal.SIGSTOP)
        self._wait(lambda: self.frozen or not self.running, "freeze")

    def thaw(self) -> None:
        """``kill -CONT``, and wait until it goes on. Raises LabError after 10 s."""
        self.signal(signal.SIGCONT)
        self._wait(lambda: not self.frozen, "go on")

    def ask_to_stop(self) -> None:
        """SIGTERM; a frozen process would keep it for later, so it is thawed as well."""
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)

    def gone_within(self, seconds: float) -> bool:
        """Whether it ends in that time."""
        deadline = time.monotonic() + seconds
        while self.running:
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL)
        return True

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + SETTLE
        while not done():
            if time.monotonic() >= deadline:
                raise LabError(
                    f"process {self.pid} did not {what} within {SETTLE:g} s; look at it with `ps {self.pid}`"
                )
            time.sleep(POLL)

    def _state(self) -> str:
        """The letter /proc gives; ``X`` (dead) if the pid is free or somebody else's now."""
        stat = _stat(self.pid)
        if stat is None or stat.began != self.began:
            return "X"
        if stat.letter == "Z":
            with suppress(ChildProcessError):  # started by an earlier command: its parent reaps it
                os.waitpid(self.pid, os.WNOHANG)
            # The first thread may be gone while another still holds the ports: they are free when the last has ended.
            return "X" if stat.threads <= 1 else "Z"
        return stat.letter


class _Stat(NamedTuple):
    letter: str
    threads: int
    began: str


def _stat(pid: int) -> _Stat | None:
    """What /proc tells of a pid, or None if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the command's name, in brackets, may hold anything
    return _Stat(fields[0], int(fields[17]), f"{boot}/{fields[19]}")


def tail(log: Path) -> str:
    """The last lines of a log, or why they cannot be read."""
    try:
        with os.fdopen(open_regular(log), "rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            return file.read(TAIL_BYTES).decode("utf-8", "replace").rstrip()
    except OSError as error:
        return f"({log}: {error.strerror})"
