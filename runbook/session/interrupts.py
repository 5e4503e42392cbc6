"""How a run is ended from outside: by Ctrl-C, SIGTERM or a lost terminal, or from another terminal, which finds the
process that it is at work in. It ends at once, yet never in the middle of a line of its journal.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

from runbook.dataclass import dataclass
from runbook.errors import StopError
from runbook.files import read_limited, replace_file

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SignalInterrupts:
    """Turns the signals into KeyboardInterrupt inside :meth:`allowed`. Elsewhere, and inside :meth:`held`, they wait:
    what the engine notes between two steps and what is being written is whole.
    """

    def __init__(self) -> None:
        self._allowed = self._holding = self._came = False
        self.count = 0  # of the signals that came, whatever became of them

    @contextmanager
    def caught(self) -> Iterator[None]:
        """For the time of a run. The signals' old handlers come back afterwards.

        One that is ignored already stays so: a run under ``nohup`` is to outlive its terminal.
        """
        heeded = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        old = {number: signal.signal(number, self._on_signal) for number in heeded}
        old_hook, sys.unraisablehook = sys.unraisablehook, self._on_swallowed
        try:
            yield
        finally:
            sys.unraisablehook = old_hook
            for number, handler in old.items():
                signal.signal(number, handler)

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Inside, a signal takes effect at once, and one that came before takes it on entry."""
        outer, self._allowed = self._allowed, True
        try:
            self._raise_if_it_came()
            yield
        finally:
            self._allowed = outer

    @contextmanager
    def held(self) -> Iterator[None]:
        """What is done inside is done whole. A signal that came meanwhile takes effect when it is left, if it may."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self._allowed:
            self._raise_if_it_came()

    def pending(self) -> bool:
        """Whether a signal came that has had no effect yet; asked once, it is forgotten."""
        came, self._came = self._came, False
        return came

    def _raise_if_it_came(self) -> None:
        if self.pending():
            raise KeyboardInterrupt

    def _on_swallowed(self, what: sys.UnraisableHookArgs) -> None:
        """Where Python lets no exception out, as in the locks of its imports, a signal would be printed and lost."""
        if issubclass(what.exc_type, KeyboardInterrupt):
            self._came = True  # and was counted as it was raised
        else:
            sys.__unraisablehook__(what)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> Any:
        self.count += 1
        if self._allowed and not self._holding:
            raise KeyboardInterrupt
        self._came = True


class ThreadInterrupts:
    """The signals that the main thread catches, for a run in another one, where nothing is raised in the middle: each
    takes effect as soon as the run waits, or begins something that may take long.
    """

    def __init__(self, caught: SignalInterrupts) -> None:
        self._signals = caught
        self._heeded = 0

    def caught(self) -> AbstractContextManager[None]:
        """By the main thread, all the time."""
        return contextlib.nullcontext()

    def held(self) -> AbstractContextManager[None]:
        """Nothing needs to be kept away."""
        return contextlib.nullcontext()

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """One that came before takes effect on entry."""
        if self.pending():
            raise KeyboardInterrupt
        yield

    def pending(self) -> bool:
        """Whether a signal came that has had no effect on this run yet; asked once, it is forgotten."""
        heeded, self._heeded = self._heeded, self._signals.count
        return self._heeded > heeded


RunInterrupts = SignalInterrupts | ThreadInterrupts

PROCESS = "process.json"
LIMIT = 4096  # bytes
STOPS_WITHIN = 30.0  # seconds for which the handlers of a run that is stopped are waited for
POLL = 0.1


@dataclass(frozen=True)
class RunProcess:
    """``began`` is the clock tick of its start, ``boot`` that of the machine: the same pid again differs in them."""

    host: str
    boot: str
    pid: int
    began: str

    @classmethod
    def of(cls, pid: int) -> RunProcess | None:
        """The process that has this pid now on this machine; nothing where there is none."""
        try:
            fields = read_limited(f"/proc/{pid}/stat", LIMIT).decode("utf-8", "replace").rpartition(")")[2].split()
            boot = read_limited("/proc/sys/kernel/random/boot_id", LIMIT).decode().strip()
        except OSError:
            return None
        return None if fields[0] in "ZXx" else cls(socket.gethostname(), boot, pid, fields[19])


@contextlib.contextmanager
def note_process(folder: Path) -> Iterator[None]:
    """In the run's folder, for as long as this process works on it. Where it cannot be, only a signal stops the run."""
    own = RunProcess.of(os.getpid())
    with contextlib.suppress(OSError):
        if own is not None:
            replace_file(folder / PROCESS, json.dumps(asdict(own)).encode())
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / PROCESS).unlink()


def stop_process(folder: Path, *, within: float = STOPS_WITHIN) -> None:
    """Send the run SIGTERM and wait until its process is gone. Raises StopError."""
    process = _noted(folder)
    if process.host != socket.gethostname():
        raise StopError(f"{folder.name} is at work on {process.host}; type `runbook stop {folder.name}` there")
    if RunProcess.of(process.pid) != process:
        raise StopError(f"the process of {folder.name} is gone; `runbook resume {folder.name}` goes on with it")
    try:
        os.kill(process.pid, signal.SIGTERM)
    except PermissionError:
        raise StopError(f"{folder.name} is another user's process ({process.pid}); stop it as that user") from None
    except ProcessLookupError:
        return
    until = time.monotonic() + within
    while RunProcess.of(process.pid) == process:
        if time.monotonic() >= until:
            what = f"{folder.name} (process {process.pid}) has not ended after {within:g} s"
            raise StopError(f"{what}; its handlers may take longer: `runbook show {folder.name}` tells")
        time.sleep(POLL)


def is_at_work(folder: Path) -> bool:
    """Whether a process of this host works on the run now; another host's is not seen from here, and counts as none."""
    try:
        process = _noted(folder)
    except StopError:
        return False
    return RunProcess.of(process.pid) == process


def _noted(folder: Path) -> RunProcess:
    try:
        noted = json.loads(read_limited(folder / PROCESS, LIMIT))
        return RunProcess(str(noted["host"]), str(noted["boot"]), int(noted["pid"]), str(noted["began"]))
    except FileNotFoundError:
        raise StopError(f"{folder.name} is not at work; `runbook show {folder.name}` tells how it ended") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StopError(f"{folder / PROCESS} cannot be read: {error}") from None
