"""Files of ours are there whole or not at all, and what is no file is refused at once, whoever reads it."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from runbook.cli.main import main
from runbook.cluster.environment import cluster_from
from runbook.cluster.threads import within
from runbook.errors import JournalError, Mark, SecretError, SettingsError
from runbook.files import make_folder, read_limited, replace_file, replacing
from runbook.journal.lock import Lock
from runbook.journal.store import Journal, read
from runbook.playbook.model import Secret
from runbook.redaction import Redactor
from runbook.secrets import SecretStore
from runbook.session.run_folders import peers_removed_by_newest_runs

PATIENCE = 5.0
"""Seconds after which a read counts as hanging; none takes a tenth of one."""


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_replaced_whole_with_its_mode(tmp_path: Path) -> None:
    """Private unless another mode is asked for, also where another mode was."""
    path = tmp_path / "kept.json"
    path.write_text("older and longer", encoding="utf-8")
    path.chmod(0o644)
    replace_file(path, b"new")
    assert (path.read_bytes(), mode_of(path)) == (b"new", 0o600)
    replace_file(path, b"newer", mode=0o644)
    assert (path.read_bytes(), mode_of(path)) == (b"newer", 0o644)
    assert os.listdir(tmp_path) == ["kept.json"]


def listen_there(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, listen_there])
def test_what_is_no_file_is_not_replaced_by_one(tmp_path: Path, make: Callable[[Path], object]) -> None:
    """A device that went would be missed by every program of the machine. Also where a link leads to it."""
    odd, link = tmp_path / "odd", tmp_path / "link"
    make(odd)
    link.symlink_to(odd)
    before = odd.stat()
    for path in (odd, link):
        with pytest.raises(OSError, match="not a regular file|Is a directory"):
            replace_file(path, b"data")
    assert (odd.stat(), link.is_symlink(), len(os.listdir(tmp_path))) == (before, True, 2)
    done = CliRunner().invoke(main, ["check", "--timeout", "1", "--textfile", str(odd)])
    assert (done.exit_code, odd.stat()) == (3, before), done.output


def test_what_fails_halfway_leaves_the_old_file_alone(tmp_path: Path) -> None:
    """Nothing of the new one stays, whatever the reason, and two at once do not meet."""
    path = tmp_path / "kept.json"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (path.read_bytes(), os.listdir(tmp_path)) == (b"old", ["kept.json"])
    with replacing(path) as first, replacing(path) as second:
        first.write(b"first")
        second.write(b"second")
    assert (path.read_bytes(), os.listdir(tmp_path)) == (b"first", ["kept.json"])


def test_an_error_names_the_file_that_was_meant(tmp_path: Path) -> None:
    """And not the one beside it that was to take its place."""
    with pytest.raises(FileNotFoundError) as caught:
        replace_file(tmp_path / "absent" / "kept.json", b"")
    assert caught.value.filename == str(tmp_path / "absent" / "kept.json")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.relpath(path))  # a socket's path may have a hundred characters


@pytest.mark.parametrize(
    ("made", "told"), [(pipe, "a pipe"), (device, "a device"), (a_socket, "a socket"), (Path.mkdir, "Is a directory")]
)
def test_what_is_no_regular_file_is_refused_at_once(made: Callable[[Path], None], told: str, tmp_path: Path) -> None:
    """A pipe would wait for a writer, and a device never ends."""
    path = tmp_path / "odd"
    made(path)
    with pytest.raises(OSError, match=told):
        within(PATIENCE, lambda: read_limited(path, 100))


def test_a_link_to_a_file_is_a_file(tmp_path: Path) -> None:
    """Secrets are often mounted so."""
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    assert read_limited(tmp_path / "link", 3) == b"1234"


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o277, 0o777])
def test_folders_and_files_of_ours_are_private_under_any_umask(mask: int, tmp_path: Path) -> None:
    """0700 and 0600, neither more nor less: one that nobody could enter would end the run."""
    before = os.umask(mask)
    try:
        make_folder(tmp_path / "state" / "runs" / "run")
        replace_file(tmp_path / "state" / "runs" / "run" / "kept", b"new")
        Journal.begin(tmp_path / "state" / "runs" / "run" / "journal.jsonl").close()
        lock = Lock(tmp_path / "state" / "locks", {"run": "r"})
        lock.acquire("peer", ["p"])
        lock.release()
    finally:
        os.umask(before)
    made = list((tmp_path / "state").rglob("*"))
    assert {mode_of(path) for path in made if path.is_dir()} == {0o700}
    assert {mode_of(path) for path in made if path.is_file()} == {0o600}


def test_a_file_of_the_kernel_that_waits_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says that it is a regular file, and a read of it waits for the next message."""
    begin, end = os.pipe()
    os.set_blocking(begin, False)
    monkeypatch.setattr("runbook.files.open_regular", lambda _path: begin)
    with pytest.raises(OSError, match="not a regular file but one that waits"):
        within(PATIENCE, lambda: read_limited("/proc/kmsg", 100))
    os.close(end)


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "p.yaml"
    os.mkfifo(path)
    return path


@pytest.mark.parametrize(
    "words",
    [
        ["validate", "{pipe}"],
        ["execute", "--yes", "{pipe}"],
        ["execute", "--yes", "--params-file", "{pipe}", "playbooks/remove-dead-peers.yaml"],
    ],
    ids=lambda words: " ".join(words[:-1]),
)
def test_a_pipe_in_place_of_a_playbook_or_params_is_told(words: list[str], fifo: Path) -> None:
    """One sentence and exit 2."""
    arguments = [word.format(pipe=fifo) for word in words]
    result = within(PATIENCE, lambda: CliRunner().invoke(main, arguments))
    assert (result.exit_code, "not a regular file but a pipe" in result.output) == (2, True), result.output


def test_a_pipe_in_the_place_of_an_old_journal_hinders_nobody(state_dir: Path) -> None:
    """It is named as unreadable, and everything else goes on."""
    folder = state_dir / "runs" / "20260101T000000000Z-old-0000"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "journal.jsonl")
    codes = {}
    for verb, *more in (
        ["runs"],
        ["show", folder.name],
        ["resume", folder.name],
        ["ack", folder.name, "--comment", "x"],
    ):
        result = within(PATIENCE, partial(CliRunner().invoke, main, [verb, *more]))
        assert "not a regular file but a pipe" in result.output, verb
        codes[verb] = result.exit_code
    assert codes["runs"] == 0
    assert all(codes[verb] for verb in ("show", "resume", "ack"))
    assert within(PATIENCE, lambda: peers_removed_by_newest_runs(state_dir)) == frozenset()


def test_every_other_reader_refuses_a_pipe(fifo: Path, tmp_path: Path) -> None:
    """Journals, locks, secrets, tokens and authorities."""
    secret = Secret("s", "file", (str(fifo),), Mark("x", 1, 1))
    consul = {"CONSUL_HTTP_TOKEN_FILE": str(fifo), "CONSUL_HTTP_ADDR": "a:1"}
    readers: list[tuple[type[Exception], Callable[[], object]]] = [
        (OSError, lambda: read(fifo)),
        (JournalError, lambda: Journal.reopen(fifo)),
        (SecretError, lambda: SecretStore({}, Redactor()).fetch(secret)),
        (SettingsError, lambda: cluster_from(consul, read_only=True)),
        (SettingsError, lambda: cluster_from({"NOMAD_CACERT": str(fifo)}, read_only=True)),
    ]
    for expected, reader in readers:
        with pytest.raises(expected, match="not a regular file"):
            within(PATIENCE, reader)
    lock = Lock(tmp_path, {"run": "r"})
    lock.acquire("peer", ["p"])
    lock.release()
    (path,) = tmp_path.glob("*.lock")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"):
        within(PATIENCE, lambda: lock.acquire("peer", ["p"]))
