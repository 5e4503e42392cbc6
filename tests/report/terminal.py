"""A terminal as far as we use one: what stands on it after it was sent something, and a real one for a process."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
from collections.abc import Mapping, Sequence

from tests.command_line import ROOT

QUESTION = b"[y/N] "
SGR = re.compile(r"\x1b\[[0-9;]*m")
_PART = re.compile(r"\x1b\[[\d;]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+|\x1b")


class Terminal(io.StringIO):
    """Says that it is one, and can be read as a person would: what was erased or written over is not there."""

    def isatty(self) -> bool:
        return True

    @property
    def seen(self) -> list[str]:
        return screen_of(self.getvalue())


def screen_of(sent: str) -> list[str]:
    """The lines that stand there. Whatever we do not send is not understood, and fails."""
    rows, row, column = [""], 0, 0
    for part in _PART.findall(sent):
        if part == "\n":
            row, column = row + 1, 0
            rows += [""] * (row + 1 - len(rows))
        elif part == "\r":
            column = 0
        elif part == "\x1b[J":
            rows[row:] = [rows[row][:column]]
        elif part == "\x1b[K":
            rows[row] = rows[row][:column]
        elif part.startswith("\x1b[") and part.endswith("A"):
            row -= int(part[2:-1])
            assert row >= 0, "above the first line"
        elif not SGR.fullmatch(part):
            assert "\x1b" not in part, repr(part)
            rows[row] = rows[row][:column].ljust(column) + part + rows[row][column + len(part) :]
            column += len(part)
    return [line.rstrip() for line in rows]


def at_a_terminal(
    command: Sequence[str],
    environ: Mapping[str, str],
    typed: bytes,
    question: bytes = QUESTION,
    signal_at: tuple[bytes, int] | None = None,
) -> tuple[int, str]:
    """The exit code and every byte that the terminal was sent. Each time the question stands there, a line is typed;
    the signal is sent when its words stand there first.
    """
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, env=environ, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # how Linux says that the other side is gone
                break
            if not piece:
                break
            for _ in range((seen + piece).count(question) - seen.count(question)):
                line, _, typed = typed.partition(b"\n")
                os.write(ours, line + b"\n")  # what is typed before the question is thrown away
            seen += piece
            if signal_at is not None and signal_at[0] in seen:
                process.send_signal(signal_at[1])
                signal_at = None
        os.close(ours)
    return process.returncode, seen.decode()
