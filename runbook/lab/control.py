"""How a lab in a process of its own is told what to do: one JSON line there, one back, over a socket in its folder."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from runbook.errors import LabError

SOCKET = "control"
LONGEST = 100  # bytes of a path that every system takes as a socket's address: Linux has 108, others 104
MOST_BYTES = 1 << 20
COMMAND_TIMEOUT = 20.0  # seconds for one request: a restart closes two listeners, and each may take five
LINE_TIMEOUT = 2.0  # seconds the lab waits for a caller's line, since it serves one caller at a time

ControlRequest = dict[str, Any]


def listen(folder: Path) -> socket.socket:
    """A socket for this user only, in place of what an earlier lab may have left. Raises OSError."""
    (folder / SOCKET).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short_path(folder) as path:
            listener.bind(path)
            os.chmod(path, 0o600)  # noqa: PTH101 -- before listen(), so nobody else ever gets in
        listener.listen()
    except BaseException:
        listener.close()
        raise
    return listener


def answer_command(listener: socket.socket, execute: Callable[[ControlRequest], Any]) -> None:
    """Answer one caller, if one comes within the listener's time-out; no caller can end the lab by an error."""
    with suppress(OSError):  # also TimeoutError: nobody came, or the caller went away
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(LINE_TIMEOUT)
            line = _read_line(connection)
            if line:
                connection.sendall(json.dumps(_reply(line, execute)).encode() + b"\n")


def send_command(folder: Path, verb: str, *, timeout: float = COMMAND_TIMEOUT, **words: Any) -> Any:
    """What the lab of this folder gives for an answer. Raises LabError with its words, or if it gives none."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            with _short_path(folder) as path:
                connection.connect(path)
            connection.sendall(json.dumps({"verb": verb, **words}).encode() + b"\n")
            reply = json.loads(_read_line(connection))
    except (OSError, ValueError) as error:
        raise LabError(f"the lab in {folder} gives no answer: {error}; end it with `runbook lab down`") from None
    if "error" in reply:
        raise LabError(reply["error"])
    return reply["done"]


def is_listening(folder: Path) -> bool:
    """Whether anybody is behind the folder's socket, even one that no longer answers."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, _short_path(folder) as path:
            connection.settimeout(1.0)
            connection.connect(path)
    except OSError:
        return False
    return True


def _reply(line: bytes, execute: Callable[[ControlRequest], Any]) -> dict[str, Any]:
    try:
        return {"done": execute(json.loads(line))}
    except LabError as error:
        return {"error": str(error)}
    except Exception as error:  # a mistake in one request must not take the practice cluster away
        return {"error": f"the lab could not do that: {error!r}"}


def _read_line(connection: socket.socket) -> bytes:
    """Up to a line's end, or to the end of what comes, if that is short enough; else nothing."""
    line = b""
    while not line.endswith(b"\n") and len(line) <= MOST_BYTES and (piece := connection.recv(65536)):
        line += piece
    return line if len(line) <= MOST_BYTES else b""


@contextmanager
def _short_path(folder: Path) -> Iterator[str]:
    """The socket's path; where that is longer than an address may be, the same through a link for the moment."""
    path = folder.absolute() / SOCKET
    if len(os.fsencode(path)) <= LONGEST:
        yield str(path)
        return
    with TemporaryDirectory(prefix="runbook-") as place:
        link = Path(place) / "lab"
        link.symlink_to(folder.absolute())
        yield str(link / SOCKET)
