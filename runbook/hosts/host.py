"""One machine: its files, its service, and who has a folder open; this one, or another one by ssh.

Everything is a small script for the shell over there, with its arguments behind it, so that what is tried here is what
is done there. Each call has a limit; what it prints is kept up to one. Over ssh only a host key that is known counts,
and nobody is ever asked for anything.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from enum import Enum
from ipaddress import ip_address
from math import inf
from typing import Any

from runbook.clock import seconds as now
from runbook.dataclass import dataclass
from runbook.doors import Purpose
from runbook.errors import ErrorKind, StepError, unexpected
from runbook.hosts.process import (
    SSH_FAILED,
    Command,
    Ended,
    checked_host,
    raise_ssh_failure,
    run_command,
    small_environment,
    ssh_options,
)
from runbook.hosts.scripts import (
    COPY_ASIDE,
    EXAMINE,
    KIND,
    NO_TOOLS,
    NOT_ROOT,
    NOT_THERE,
    READ,
    ROOM,
    WRITE,
)
from runbook.hosts.spec import KEYS, HostSpec, host_spec
from runbook.raft.model import Peer
from runbook.raft.opinions import HostWord
from runbook.text import last_line, shown

CONNECT = 10.0  # seconds for a connection
QUICK = 20.0  # seconds for a look at a file or a unit
SERVICE = 120.0  # seconds for a service to stop or to start
COPY = 900.0  # seconds for a copy of a folder
SHORTEST = 0.1  # seconds
_PROPERTY = re.compile(r"(LoadState|ActiveState|UnitFileState)=")
_KNOWN_KEYS = ["-o", "StrictHostKeyChecking=yes"]


class HostError(StepError):
    """What could not be done on a host: which, what, and what to do; ``kind`` as of every step."""


class Running(Enum):
    """Whether a server's process runs on its host."""

    RUNS = "runs"
    STOPPED = "stopped"


@dataclass(frozen=True)
class ServiceState:
    """What a host says of its server. ``disabled``: its unit does not start by itself; never known without a unit."""

    running: Running
    disabled: bool
    words: str
    holders: tuple[str, ...] = ()


@dataclass(frozen=True)
class Examined:
    """What one look at a machine shows of a server. ``service`` names as holders the processes that have something
    below its data folder open, or stand in it, as in ``4711 /usr/bin/consul agent``.

    ``listens``: a process there, at work or frozen, has a socket that listens for the server's address and port: at the
    address, at all, or at any, where the address is not the machine's own but is led there.
    """

    service: ServiceState
    server_id: str
    has_folder: bool
    owns_address: bool
    listens: bool


class Host:
    """The door to the machine of one server. Every method raises :class:`HostError`."""

    def __init__(self, spec: HostSpec, until: float = inf) -> None:
        """``until``: when all that is asked of it must have ended, in seconds of the clock."""
        self.spec = spec
        self._until = until

    def read_file(self, path: str, limit: int = 64 * 1024) -> str | None:
        """Its text, at most so many bytes of it; None where it is not there."""
        ended = self._script(READ, path, str(limit), what=f"read {path}", good=(0, NOT_THERE))
        return None if ended.code == NOT_THERE else ended.stdout

    def write_file(self, path: str, text: str, *, mode: str, like: str) -> None:
        """Whole or not at all, on disk before this returns, with the owner of the file ``like``."""
        size = str(len(text.encode()))
        self._script(WRITE, path, mode, like, size, what=f"write {path}", given=text.encode(), changes=True)

    def copy_aside(self, folder: str, target: str) -> None:
        """A copy with all its owners and modes; whole or not at all. One that is there is kept as it is."""
        what = f"copy {folder} to {target}"
        self._script(COPY_ASIDE, folder, target, what=what, seconds=COPY, changes=True)

    def kind_of(self, path: str) -> str:
        """``folder``, ``file`` or ``nothing``."""
        ended = self._script(KIND, path, what=f"look at {path}", good=(0, NOT_ROOT))
        if ended.code == NOT_ROOT:
            raise self._error(f"this user may not look at {path}", "Add sudo: true for this host")
        return ended.stdout.strip()

    def room_for_copy(self, folder: str) -> tuple[int, int]:
        """What a copy of this folder needs, and what is free beside it, in KiB."""
        told = self._script(ROOM, folder, what=f"see how large {folder} is", seconds=COPY).stdout.split()
        if len(told) != 2 or not all(word.isdigit() for word in told):
            raise self._error(f"how large {folder} is could not be read", "Try du -sk and df -Pk there by hand")
        return int(told[0]), int(told[1])

    def service(self) -> ServiceState:
        """Its unit, where it has one, and in any case whether a process has its data folder open."""
        return self.examine().service

    def examine(self, address: str = "", id_file: str = "") -> Examined:
        """All that one look there shows of the server of this ``IP:PORT``, whose id is in ``id_file``, below its data
        folder; where either is empty, nothing is seen of it.
        """
        spec, what = self.spec, f"see who has {self.spec.data_folder} open"
        host, _, port = address.rpartition(":")
        arguments = spec.data_folder, id_file, spec.unit, host.strip("[]"), f"{int(port or 0):04X}"
        ended = self._script(EXAMINE, *arguments, what=what, good=(0, NOT_ROOT, NO_TOOLS))
        if ended.code == NOT_ROOT:
            raise self._error("who has a folder open only root can see", "Add sudo: true for this host")
        if ended.code == NO_TOOLS:
            raise self._error(f"{what}: /proc or a tool is missing there", "It needs stat, ls, awk, xargs and readlink")
        told = [line.partition(" ") for line in ended.stdout.splitlines()]
        said: dict[str, list[str]] = {}
        for word, _, rest in told:
            said.setdefault(word, []).append(rest.strip())
        own = "own" in said
        return Examined(
            service=self._service(tuple(said.get("held", ())), ended.stdout),
            server_id=said.get("id", [""])[0],
            has_folder="folder" in said,
            owns_address=own,
            listens=is_listener(said.get("listens", ()), host.strip("[]"), own=own),
        )

    def _service(self, holders: tuple[str, ...], told: str) -> ServiceState:
        held = f"{self.spec.data_folder} is open in {holders[0]}" if holders else "no process has its data folder open"
        if not self.spec.unit:
            return ServiceState(Running.RUNS if holders else Running.STOPPED, False, held, holders)
        state = self._unit(told)
        stopped = state["ActiveState"] in ("inactive", "failed") and not holders
        disabled = state["UnitFileState"] in ("disabled", "masked", "masked-runtime")
        words = f"unit {self.spec.unit} is {state['ActiveState']} and {state['UnitFileState'] or 'generated'}, {held}"
        return ServiceState(Running.STOPPED if stopped else Running.RUNS, disabled, words, holders)

    def _unit(self, told: str) -> dict[str, str]:
        state = dict(line.split("=", 1) for line in told.splitlines() if _PROPERTY.match(line))
        if state.get("LoadState") not in ("loaded", "masked") or "ActiveState" not in state:
            what = f"there is no unit {self.spec.unit}"
            raise self._error(what, "Name the unit as systemctl list-units shows it there")
        return {"UnitFileState": "", **state}

    def stop(self) -> None:
        """Ask for it; whether it has stopped, :meth:`service` tells."""
        self._command(self.spec.stop or ("systemctl", "stop", "--", self.spec.unit))

    def start(self) -> None:
        """Ask for it; whether it runs, :meth:`service` tells."""
        self._command(self.spec.start or ("systemctl", "start", "--", self.spec.unit))

    # -- how

    def _command(self, words: tuple[str, ...]) -> None:
        self._run(list(words), shlex.join(words), SERVICE, changes=True)

    def _script(
        self,
        script: str,
        *arguments: str,
        what: str,
        given: bytes = b"",
        good: tuple[int, ...] = (0,),
        seconds: float = QUICK,
        changes: bool = False,
    ) -> Ended:
        return self._run(["sh", "-c", script, "sh", *arguments], what, seconds, given, good, changes)

    def _run(
        self,
        words: list[str],
        what: str,
        seconds: float,
        given: bytes = b"",
        good: tuple[int, ...] = (0,),
        changes: bool = False,
    ) -> Ended:
        argv = ["sudo", "-n", "--", *words] if self.spec.sudo else words
        if self.spec.ssh:
            port = ["-p", str(self.spec.port)] if self.spec.port else []
            options = [*ssh_options(CONNECT), *_KNOWN_KEYS, *port]
            argv = ["ssh", "-T", *options, "--", checked_host(self.spec.ssh), shlex.join(argv)]
        environment, purpose = small_environment({}, "SSH_AUTH_SOCK"), Purpose.CHANGE if changes else Purpose.LOOK
        seconds = max(SHORTEST, min(seconds, self._until - now()))
        ended = run_command(Command(argv, environment, None, given, purpose=purpose), seconds)
        if self.spec.ssh and ended.code == SSH_FAILED:
            raise_ssh_failure(self.spec.ssh, ended)
        if ended.code is None:
            what = f"{self.spec.label}: {what}: no end within {seconds:g} s"
            raise HostError(ErrorKind.TIMEOUT, what, "Look on that host", unsettled=changes)
        if ended.code not in good:
            said = last_line(ended.stderr) or last_line(ended.stdout) or f"ended with {ended.code}"
            raise self._error(f"{what}: {said}", _advice(said))
        return ended

    def _error(self, sentence: str, next_action: str) -> HostError:
        return HostError(ErrorKind.UNEXPECTED, f"{self.spec.label}: {sentence}", next_action)


def word_of(spec: HostSpec, peer: Peer, seen: Examined) -> HostWord:
    """What a machine proves of a server. That it is this server's is shown by its id there, else by its address."""
    if seen.server_id and peer.id not in (seen.server_id, peer.address):
        words = f"{spec.label} has the id {seen.server_id[:60]}: it is another server's host"
        return HostWord(stopped=False, words=words)
    if not seen.server_id and not seen.owns_address:
        return HostWord(stopped=False, words=f"{spec.label} has neither the id nor the address of {peer.label}")
    if not spec.unit and not seen.has_folder:
        return HostWord(stopped=False, words=f"{spec.label} has no folder {spec.data_folder}, which proves nothing")
    if seen.service.running is Running.RUNS:
        return HostWord(stopped=False, words=seen.service.words, runs=True)
    if seen.listens:
        words = f"{seen.service.words}, but a process listens for {peer.address}: is data_folder its own?"
        return HostWord(stopped=False, words=words, runs=True)
    return HostWord(stopped=True, words=seen.service.words)


def is_listener(places: Iterable[str], host: str, *, own: bool) -> bool:
    """Whether one of these addresses is this host's. /proc/net/tcp has them as words of four bytes, in either order."""
    told = list(places)
    try:
        packed = ip_address(host).packed
    except ValueError:  # a name: which of the addresses it is cannot be told
        return bool(told)
    words = [packed[place : place + 4] for place in range(0, len(packed), 4)]
    spelled = tuple("".join(word[::step].hex() for word in words).upper() for step in (1, -1))
    return any(set(place) == {"0"} or place.endswith(spelled) for place in told) or (bool(told) and not own)


def _advice(said: str) -> str:
    text = said.lower()
    if text.startswith("sudo:"):
        return "Let this user run it by sudo -n there, without a password"
    if "no space left" in text:
        return "Make room there"
    return "Try it there by hand"


def open_host(told: Any) -> Host:
    """The door to it. Raises StepError for a map that is no host."""
    if not isinstance(told, Mapping):
        raise unexpected(f"{shown(told)[:100]} is no host", f"Give a map with {', '.join(KEYS)}")
    return Host(host_spec(str(told.get("server", "")), told))
