"""``runbook approve``: what is signed is shown, a person agrees, and the signature lies beside the file."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.approvers import Desk, open_desk
from tests.command_line import Done, runbook, start

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen here")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return open_desk(tmp_path)


def environment(desk: Desk) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(desk.folder), "LOGNAME": "ann"}


def approve(desk: Desk, *words: str) -> Done:
    return runbook(environment(desk), "approve", *words)


def test_it_is_shown_and_signed_and_counts(desk: Desk) -> None:
    """By name of the user, for this user alone; the path of the signature is what stdout has."""
    done = approve(desk, str(desk.plan), "--key", str(desk.ann.key), "--yes")
    assert (done.returncode, done.stdout) == (0, f"{desk.beside('ann')}\n"), done.stderr
    assert "runbook: this is to be signed:\n  a plan\n" in done.stderr
    assert desk.code() == "agreed: ann@example.org"
    assert stat.S_IMODE(desk.beside("ann").stat().st_mode) == 0o600
    assert [path.name for path in desk.folder.glob("*.partial")] == []


def test_in_a_shared_folder_the_team_reads_it(desk: Desk) -> None:
    desk.folder.chmod(0o2770)
    done = approve(desk, str(desk.plan), "--key", str(desk.ann.key), "--as", "ann@example.org", "--yes")
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(desk.beside("ann@example.org").stat().st_mode) == 0o660


def test_without_a_word_of_a_person_nothing_is_signed(desk: Desk) -> None:
    done = approve(desk, str(desk.plan), "--key", str(desk.ann.key))
    assert (done.returncode, desk.beside("ann").exists()) == (3, False)
    assert f"nobody agreed to sign {desk.plan}" in done.stderr


def test_the_usual_key_is_taken(desk: Desk) -> None:
    """As ssh would; where there is none, it is said how to name one."""
    done = approve(desk, str(desk.plan), "--yes")
    assert (done.returncode, "--key PATH" in done.stderr) == (2, True)
    (desk.folder / ".ssh").mkdir()
    shutil.copy(desk.bob.key, desk.folder / ".ssh" / "id_ed25519")
    assert approve(desk, str(desk.plan), "--yes").returncode == 0
    assert desk.code() == "agreed: bob@example.org", "the name of the file is nobody's word"


@pytest.mark.parametrize("answer", ["y", "n"])
def test_a_person_at_the_terminal_is_asked(desk: Desk, answer: str) -> None:
    """After what they agree to; on a real pseudo-terminal."""
    ours, theirs = pty.openpty()
    words = ("approve", str(desk.plan), "--key", str(desk.ann.key))
    with start({**environment(desk), "TERM": "dumb"}, *words, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        text, until = "", time.monotonic() + 30
        while time.monotonic() < until:
            try:
                text += os.read(ours, 65536).decode() if select.select([ours], [], [], 0.2)[0] else ""
            except OSError:
                break
            if re.search(r"\[y/N\] $", text):
                os.write(ours, f"{answer}\n".encode())
                text += "\n"
            if process.poll() is not None:
                break
        process.wait(20)
    os.close(ours)
    assert text.index("a plan") < text.index("Sign it as ann?"), text
    assert (process.returncode, desk.beside("ann").exists()) == ((0, True) if answer == "y" else (3, False)), text


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda _path: None, "cannot be read: No such file"),
    "pipe": (os.mkfifo, "cannot be read: not a regular file but a pipe"),
    "folder": (Path.mkdir, "cannot be read: Is a directory"),
    "huge": (huge, "has more than 16 MiB"),
}


@pytest.mark.parametrize("how", BAD)
def test_what_cannot_be_signed(desk: Desk, how: str) -> None:
    make, words = BAD[how]
    make(desk.folder / "odd")
    done = approve(desk, str(desk.folder / "odd"), "--key", str(desk.ann.key), "--yes")
    assert (done.returncode, words in done.stderr, done.stdout) == (2, True, ""), done.stderr
    assert list(desk.folder.glob("odd.sig*")) == []


def test_a_hostile_plan_neither_colours_nor_forges_a_line(desk: Desk) -> None:
    """And of a long one the beginning is shown, with how much there is more."""
    desk.plan.write_bytes(b"\x1b[2Jrunbook: that is another file\nrunbook: forged\n\xff\n" + b"x\n" * 300)
    done = approve(desk, str(desk.plan), "--key", str(desk.ann.key), "--yes")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stderr
    assert "\nrunbook: forged" not in done.stderr
    assert "and 103 lines more" in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("runbook: that is")] == [
        next(line for line in done.stderr.splitlines() if str(desk.plan) in line)
    ]


@pytest.mark.parametrize("name", ["../x", "a/b", "", "-x", "a\nb", "x" * 65])
def test_a_name_stays_a_name(desk: Desk, name: str) -> None:
    done = runbook({**environment(desk), "LOGNAME": "a b"}, "approve", str(desk.plan), "--as", name, "--yes")
    assert (done.returncode, list(desk.folder.glob("*.sig*"))) == (2, []), done.stderr
    assert "cannot be in the name of a file" in done.stderr


def test_what_lies_there_already_is_replaced_or_refused(desk: Desk) -> None:
    """A link is not followed; for a pipe nobody waits."""
    elsewhere = desk.folder / "elsewhere"
    elsewhere.write_text("mine", encoding="utf-8")
    desk.beside("ann").symlink_to(elsewhere)
    words = (str(desk.plan), "--key", str(desk.ann.key), "--yes")
    assert approve(desk, *words).returncode == 0
    assert (elsewhere.read_text(encoding="utf-8"), desk.code()) == ("mine", "agreed: ann@example.org")
    desk.beside("ann").unlink()
    os.mkfifo(desk.beside("ann"))
    done = approve(desk, *words)
    assert (done.returncode, "cannot be written: not a regular file but a pipe" in done.stderr) == (2, True)


def test_without_ssh_keygen_it_says_so(desk: Desk) -> None:
    (desk.folder / "bin").mkdir()
    nothing = {**environment(desk), "PATH": str(desk.folder / "bin")}
    done = runbook(nothing, "approve", str(desk.plan), "--key", str(desk.ann.key), "--yes")
    assert (done.returncode, "ssh-keygen cannot be started" in done.stderr) == (2, True), done.stderr
