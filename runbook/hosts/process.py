"""The one door to other programs: bounded in time and memory, and when its time is over, ended with all its children.

What a command that ended by itself leaves running is left alone, and a child that begins a session of its own, as a
daemon does, is out of reach. Its output may be anything: it is read as UTF-8. On another host it is the system's ssh.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar

from runbook.dataclass import dataclass
from runbook.doors import Purpose, check_program
from runbook.errors import ErrorKind, StepError, unexpected
from runbook.text import beginning, ending, last_line, shown

HALF = 32 * 1024  # bytes kept of the beginning of an output, and again of its end
PIECE = 64 * 1024
GRACE = 2.0  # seconds between asking a group to end and killing it
LINGER = 0.5  # seconds for which the output of what a finished command left behind is heard
PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LANG", "LC_ALL", "LC_CTYPE")


@dataclass(frozen=True)
class Ended:
    """How it ended: ``code`` is its exit code, minus the signal that killed it, or None when its time was over."""

    code: int | None
    stdout: str
    stderr: str
    left_out: int  # bytes of both that were read and not kept


@dataclass(frozen=True)
class Command:
    """What to start. ``given`` is its standard input; the environment is the whole of it; no file of it may grow
    beyond ``largest`` bytes.
    """

    argv: Sequence[str]
    environment: Mapping[str, str]
    folder: str | None = None
    given: bytes = b""
    largest: int | None = None
    purpose: Purpose = Purpose.CHANGE


def small_environment(more: Mapping[str, str], *names: str) -> dict[str, str]:
    """What a program needs to start at all, and ``more``: no token of ours reaches it unless the playbook says so."""
    own = {name: os.environ[name] for name in (*PASSED_ON, *names) if name in os.environ}
    return {"PATH": os.defpath, **own, **more}


Player = Callable[[Command, float], Ended]
_PLAYER: ContextVar[Player | None] = ContextVar("player", default=None)


@contextlib.contextmanager
def programs_played_by(player: Player) -> Iterator[None]:
    """Inside no program is started: the player says how each of them ends, in time of its own."""
    token = _PLAYER.set(player)
    try:
        yield
    finally:
        _PLAYER.reset(token)


def run_command(command: Command, seconds: float, stopped: Callable[[], bool] = lambda: False) -> Ended:
    """Start it, hear it, and end it. Raises StepError where it cannot be started at all, and KeyboardInterrupt once it
    is ended where it is ``stopped``, which is asked several times a second.
    """
    if (player := _PLAYER.get()) is not None:
        return player(command, seconds)
    check_program(command.argv, command.purpose)
    process = _started(command)
    try:
        _limit_files(process, command.largest)
        out, err = _heard(process, command.given, time.monotonic() + seconds, stopped)
        code = process.poll()
    finally:  # also when a person interrupts: nothing of it may be left running
        if process.returncode is None:
            _end(process)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                pipe.close()
    return Ended(code, out.text(), err.text(), out.left_out + err.left_out)


def _started(command: Command) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(command.argv),
            env=dict(command.environment),
            cwd=command.folder,
            stdin=subprocess.PIPE if command.given else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # a group to kill, and no terminal at which it could wait for a password
        )
    except OSError as error:
        name = command.folder if command.folder and error.filename == command.folder else command.argv[0]
        raise unexpected(f"{name} cannot be started: {error.strerror}", "Check its name, PATH and cwd") from None
    except ValueError:  # NUL, or half of a surrogate pair
        raise unexpected(
            f"{shown(command.argv[0])}: its arguments or environment hold a NUL or half a character"
        ) from None


def _limit_files(process: subprocess.Popen[bytes], largest: int | None) -> None:
    """A full disk would take the room that the journal needs."""
    if largest is not None:
        import resource

        with contextlib.suppress(ProcessLookupError, AttributeError):  # it has ended already; no Linux
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest, largest))


class _Kept:
    """The beginning and the end of a stream, however long it is."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._size = 0

    def take(self, piece: bytes) -> None:
        room = HALF - len(self._head)
        self._size += len(piece)
        self._head += piece[:room]
        self._tail += piece[room:]
        if len(self._tail) > PIECE + HALF:
            del self._tail[:-HALF]

    @property
    def left_out(self) -> int:
        return max(0, self._size - 2 * HALF)

    def text(self) -> str:
        if not self.left_out:
            return bytes(self._head + self._tail).decode("utf-8", "replace")
        head, tail = (bytes(part).decode("utf-8", "replace") for part in (self._head, self._tail[-HALF:]))
        gap = f"\n({self.left_out} bytes are left out here)\n"
        return beginning(head + "x", len(head)) + gap + ending("x" + tail, len(tail))  # the x says that it was cut


def _heard(
    process: subprocess.Popen[bytes], given: bytes, until: float, stopped: Callable[[], bool]
) -> tuple[_Kept, _Kept]:
    """Both outputs until they end, the time is over, or the command ended and a child it left holds them open."""
    out, err = _Kept(), _Kept()
    with selectors.DefaultSelector() as pipes:
        pipes.register(process.stdout, selectors.EVENT_READ, out)  # type: ignore[arg-type]
        pipes.register(process.stderr, selectors.EVENT_READ, err)  # type: ignore[arg-type]
        if process.stdin:
            os.set_blocking(process.stdin.fileno(), False)
            pipes.register(process.stdin, selectors.EVENT_WRITE, memoryview(given))
        ended = False
        while pipes.get_map() and (left := until - time.monotonic()) > 0:
            if stopped():
                raise KeyboardInterrupt
            if not ended and process.poll() is not None:
                ended, until = True, min(until, time.monotonic() + LINGER)
            for key, _ in pipes.select(min(left, 0.1)):
                _move(pipes, key)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(max(0.0, until - time.monotonic()))
    return out, err


def _move(pipes: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    """One piece out of a pipe, or into it."""
    if isinstance(key.data, _Kept):
        piece = os.read(key.fd, PIECE)
        key.data.take(piece)
        if not piece:
            pipes.unregister(key.fileobj)
        return
    rest = memoryview(b"")  # a command need not read what it is given
    with contextlib.suppress(BrokenPipeError):
        rest = key.data[os.write(key.fd, key.data[:PIECE]) :]
    if rest:
        pipes.modify(key.fileobj, selectors.EVENT_WRITE, rest)
    else:
        pipes.unregister(key.fileobj)
        key.fileobj.close()  # type: ignore[union-attr]


def _end(process: subprocess.Popen[bytes]) -> None:
    """The whole group: asked first, then killed. Its leader is reaped last, as until then its id is nobody else's."""
    _signal(process.pid, signal.SIGTERM)
    until = time.monotonic() + GRACE
    while time.monotonic() < until and not _has_ended(process.pid):
        time.sleep(0.02)
    _signal(process.pid, signal.SIGKILL)
    process.wait()


def _has_ended(pid: int) -> bool:
    """Without reaping it. macOS cannot tell before Python 3.13, and takes the whole time."""
    return hasattr(os, "waitid") and bool(os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))


def _signal(group: int, sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, sign)


SSH_FAILED = 255  # ssh's exit code for its own errors
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_HOST = rf"(?:{_NAME}@)?(?:{_NAME}|[0-9A-Fa-f:.]+(?:%{_NAME})?)"
_PERMANENT = (
    "permission denied",
    "host key verification failed",
    "remote host identification has changed",
    "bad owner",
)


def checked_host(host: str) -> str:
    """The host itself: never an option, nor anything that a ProxyCommand's shell would obey. Raises StepError."""
    import re

    if len(host) > 255 or not re.fullmatch(_HOST, host):
        raise unexpected(f"{beginning(shown(host), 300)} is no host", "Use letters, digits, dots and hyphens")
    return host


def ssh_options(connect_timeout: float) -> list[str]:
    """Nobody is asked for anything; all else is as the user's own configuration says."""
    return ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={max(1, round(connect_timeout))}"]


def raise_ssh_failure(host: str, ended: Ended) -> None:
    """Raises StepError where it was ssh that failed, and not what it was to do there."""
    said = last_line(ended.stderr)
    if any(words in ended.stderr.lower() for words in _PERMANENT):
        raise unexpected(f"ssh to {host} was turned away: {said}", f"Try ssh {host} by hand: key and known_hosts")
    what = f"ssh to {host} failed: {said}" if said else f"ssh to {host} failed"
    # The connection may have broken while the program was at work over there.
    raise StepError(ErrorKind.UNAVAILABLE, what, f"Try ssh {host} by hand", unsettled=True)
