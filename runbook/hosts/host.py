"""One machine: its files, its service, and who has a folder open; this one, or another one by ssh.

Everything is a small script for the shell over there, with its arguments behind it, so that what is tried here is what
is done there. Each call has a limit; what it prints is kept up to one. Over ssh only a host key that is known counts,
and nobody is ever asked for anything.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

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
from runbook.hosts.spec import KEYS, HostSpec, host_spec
from runbook.text import last_line, shown

CONNECT = 10.0  # seconds for a connection
QUICK = 20.0  # seconds for a look at a file or a unit
SERVICE = 120.0  # seconds for a service to stop or to start
COPY = 900.0  # seconds for a copy of a folder
NOT_THERE, NOT_ROOT = 94, 95  # exit codes of the scripts below, which no program of theirs has
_KNOWN_KEYS = ["-o", "StrictHostKeyChecking=yes"]

READ = 'if [ ! -e "$1" ]; then exit 94; fi; [ -f "$1" ] && head -c "$2" "$1"'
WRITE = """set -eu
fresh="$1.$$.partial"; trap 'rm -f "$fresh"' EXIT; umask 077
cat > "$fresh"
[ "$(wc -c < "$fresh")" -eq "$4" ]
chown --reference="$3" "$fresh"; chmod "$2" "$fresh"
sync "$fresh"; mv -f "$fresh" "$1"; sync "$(dirname "$1")\""""
COPY_ASIDE = """set -eu
if [ -e "$2" ]; then exit 0; fi
rm -rf "$2.partial"; cp -a "$1" "$2.partial"; sync; mv "$2.partial" "$2\""""
KIND = 'if [ -d "$1" ]; then echo folder; elif [ -e "$1" ]; then echo file; else echo nothing; fi'
ROOM = """set -eu
du -sk "$1" | cut -f1; df -Pk "$1" | tail -n 1 | tr -s ' ' | cut -d' ' -f4"""
OWN_ADDRESS = 'ip -o route get "$1" 2>/dev/null || true'
HOLDERS = """[ "$(id -u)" = 0 ] || exit 95
find /proc/[0-9]*/fd /proc/[0-9]*/cwd -maxdepth 1 -lname "$1/*" 2>/dev/null | cut -d/ -f3 | sort -un | while read -r pid
do printf '%s %s\\n' "$pid" "$(tr '\\0' ' ' < "/proc/$pid/cmdline" 2>/dev/null | head -c 200)"; done"""
UNIT = 'systemctl show --property=LoadState,ActiveState,UnitFileState -- "$1"'


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


class Host:
    """The door to the machine of one server. Every method raises :class:`HostError`."""

    def __init__(self, spec: HostSpec) -> None:
        self.spec = spec

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
        return self._script(KIND, path, what=f"look at {path}").stdout.strip()

    def room_for_copy(self, folder: str) -> tuple[int, int]:
        """What a copy of this folder needs, and what is free beside it, in KiB."""
        told = self._script(ROOM, folder, what=f"see how large {folder} is", seconds=COPY).stdout.split()
        if len(told) != 2 or not all(word.isdigit() for word in told):
            raise self._error(f"how large {folder} is could not be read", "Try du -sk and df -Pk there by hand")
        return int(told[0]), int(told[1])

    def owns_address(self, address: str) -> bool:
        """Whether it is seen that this IP address is that machine's own; false also where it cannot be seen."""
        return self._script(OWN_ADDRESS, address, what=f"see whose {address} is").stdout.startswith("local ")

    def holders(self, folder: str) -> tuple[str, ...]:
        """The processes that have something below this folder open, or stand in it: ``4711 /usr/bin/consul agent``."""
        pattern = "".join(f"\\{c}" if c in "*?[]\\" else c for c in folder.rstrip("/"))
        ended = self._script(HOLDERS, pattern, what=f"see who has {folder} open", good=(0, NOT_ROOT))
        if ended.code == NOT_ROOT:
            raise self._error("who has a folder open only root can see", "Add sudo: true for this host")
        return tuple(line.strip() for line in ended.stdout.splitlines() if line.strip())

    def service(self) -> ServiceState:
        """Its unit, where it has one, and in any case whether a process has its data folder open."""
        holders = self.holders(self.spec.data_folder)
        held = f"{self.spec.data_folder} is open in {holders[0]}" if holders else "no process has its data folder open"
        if not self.spec.unit:
            return ServiceState(Running.RUNS if holders else Running.STOPPED, False, held)
        state = self._unit()
        stopped = state["ActiveState"] in ("inactive", "failed") and not holders
        disabled = state["UnitFileState"] in ("disabled", "masked", "masked-runtime")
        words = f"unit {self.spec.unit} is {state['ActiveState']} and {state['UnitFileState'] or 'generated'}, {held}"
        return ServiceState(Running.STOPPED if stopped else Running.RUNS, disabled, words)

    def _unit(self) -> dict[str, str]:
        unit = self.spec.unit
        told = self._script(UNIT, unit, what=f"look at the unit {unit}").stdout
        state = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
        if state.get("LoadState") not in ("loaded", "masked") or "ActiveState" not in state:
            raise self._error(f"there is no unit {unit}", "Name the unit as systemctl list-units shows it there")
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
