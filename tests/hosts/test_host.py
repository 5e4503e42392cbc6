"""A machine's files, service and processes: here, and by an `ssh` that hands its line to a shell as a real one does."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runbook.errors import StepError
from runbook.hosts.host import Host, HostError, Running
from runbook.hosts.spec import HostSpec

SSH = """#!/bin/sh
[ "$1" = -T ] || exit 99
printf '%s\\n' "$@" > "{log}"
while [ "$1" != -- ]; do shift; done
[ "$2" = admin@there ] || {{ echo 'Host key verification failed.' >&2; exit 255; }}
exec sh -c "$3"
"""
SUDO = """#!/bin/sh
[ "$1 $2" = "-n --" ] || exit 99
[ -z "$ASKS" ] || { echo 'sudo: a password is required' >&2; exit 1; }
shift 2; exec "$@"
"""
SYSTEMCTL = """#!/bin/sh
for unit; do :; done
[ "$unit" = consul ] || { printf 'LoadState=not-found\\nActiveState=inactive\\nUnitFileState=\\n'; exit 0; }
printf 'LoadState=loaded\\nActiveState=%s\\nUnitFileState=%s\\n' $(cat "$(dirname "$0")/state")
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root sees who has a folder open")
WAYS = {
    "here": HostSpec("s1"),
    "by ssh": HostSpec("s1", "admin@there"),
    "by ssh and sudo": HostSpec("s1", "admin@there", sudo=True),
}


@pytest.fixture(params=WAYS)
def host(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return reached(WAYS[request.param], tmp_path, monkeypatch)


def reached(spec: HostSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    folder = tmp_path / "bin"
    folder.mkdir()
    programs = {"ssh": SSH.format(log=folder / "told"), "sudo": SUDO, "systemctl": SYSTEMCTL}
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return Host(spec)


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A folder whose name a shell would take apart."""
    folder = tmp_path / "it's a $HOME; `data` *"
    folder.mkdir()
    return folder


def test_files_are_read_and_written_whole(host: Host, odd: Path) -> None:
    """With the owner of another file, the mode that was asked for, and nothing left beside it."""
    (odd / "peers.info").write_text("info")
    text = '[{"id": "ü", "address": "10.0.0.1:8300"}]\n'
    assert host.read_file(str(odd / "peers.json")) is None
    host.write_file(str(odd / "peers.json"), text, mode="0640", like=str(odd / "peers.info"))
    assert host.read_file(str(odd / "peers.json")) == text
    assert stat.S_IMODE((odd / "peers.json").stat().st_mode) == 0o640
    assert sorted(path.name for path in odd.iterdir()) == ["peers.info", "peers.json"]
    assert [host.kind_of(str(odd / name)) for name in ("", "peers.json", "none")] == ["folder", "file", "nothing"]


def test_a_file_that_cannot_be_written_leaves_nothing(host: Host, odd: Path) -> None:
    """The file whose owner is wanted is not there: one sentence with host and command, and no partial file."""
    with pytest.raises(HostError, match=r"s1 \((this host|admin@there)\): write .*peers.json: .*peers.info"):
        host.write_file(str(odd / "peers.json"), "x", mode="0640", like=str(odd / "peers.info"))
    assert list(odd.iterdir()) == []


def test_a_full_disk_is_said(host: Host, odd: Path) -> None:
    """And what to do about it; nothing is left."""
    (odd / "peers.info").write_text("info")
    full = f"#!/bin/sh\n{shutil.which('cat')} > /dev/full"
    (Path(os.environ["PATH"].split(":")[0]) / "cat").write_text(full)
    (Path(os.environ["PATH"].split(":")[0]) / "cat").chmod(0o755)
    with pytest.raises(HostError, match="No space left on device. Make room there"):
        host.write_file(str(odd / "peers.json"), "x", mode="0640", like=str(odd / "peers.info"))
    assert not list(odd.glob("peers.json*"))


def test_the_room_that_a_copy_needs(host: Host, odd: Path) -> None:
    """In KiB, both."""
    (odd / "raft.db").write_bytes(b"x" * 300 * 1024)
    needed, free = host.room_for_copy(str(odd))
    assert 300 <= needed <= 400
    assert free > 0
    with pytest.raises(HostError, match="how large"):
        host.room_for_copy(str(odd / "nothing"))


def test_a_folder_is_copied_once(host: Host, odd: Path) -> None:
    """A second time the first copy stays; an unfinished one is begun anew."""
    (odd / "raft").mkdir()
    (odd / "raft" / "raft.db").write_text("first")
    (odd / "copy.partial").mkdir()
    host.copy_aside(str(odd / "raft"), str(odd / "copy"))
    (odd / "raft" / "raft.db").write_text("second")
    host.copy_aside(str(odd / "raft"), str(odd / "copy"))
    assert (odd / "copy" / "raft.db").read_text() == "first"
    assert not (odd / "copy.partial").exists()


@pytest.fixture
def holder(odd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has a file of the folder open."""
    code = f"import time; f = open({str(odd / 'raft.db')!r}, 'w'); print('open', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


@needs_root
def test_who_has_a_folder_open(host: Host, odd: Path, holder: subprocess.Popen[bytes]) -> None:
    """Also when it is frozen, and when the folder was deleted under it."""
    host = Host(replace(host.spec, data_folder=str(odd)))
    holder.send_signal(signal.SIGSTOP)
    (odd / "raft.db").unlink()
    assert [line.split()[0] for line in host.service().holders] == [str(holder.pid)]
    holder.kill()
    holder.wait(10)
    time.sleep(0.05)
    assert host.service().holders == ()


@needs_root
@pytest.mark.parametrize(
    ("listens_at", "asked", "expected"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.2", "127.0.0.1", False),
        ("0.0.0.0", "127.0.0.1", True),
        ("127.0.0.2", "192.0.2.7", True),
        ("::1", "[::1]", True),
        ("::", "127.0.0.1", True),
        ("127.0.0.1", "a-name", True),
    ],
)
def test_who_listens(odd: Path, listens_at: str, asked: str, expected: bool) -> None:
    """At another address of this machine is another server; at any, where the address is led there from elsewhere."""
    host = Host(HostSpec("s1", data_folder=str(odd)))
    family = socket.AF_INET6 if ":" in listens_at else socket.AF_INET
    with socket.create_server((listens_at, 0), family=family) as server:
        port = server.getsockname()[1]
        assert host.examine(f"{asked}:{port}").listens is expected
    assert host.examine(f"{asked}:{port}").listens is False


@needs_root
@pytest.mark.parametrize(
    ("state", "running", "disabled"),
    [
        ("inactive enabled", Running.STOPPED, False),
        ("failed disabled", Running.STOPPED, True),
        ("active enabled", Running.RUNS, False),
        ("activating enabled", Running.RUNS, False),
        ("deactivating masked", Running.RUNS, True),
    ],
)
def test_a_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: Path, state: str, running: Running, disabled: bool
) -> None:
    """Inactive or failed, and nothing else, is stopped."""
    host = reached(HostSpec("s1", "admin@there", sudo=True, data_folder=str(odd), unit="consul"), tmp_path, monkeypatch)
    (tmp_path / "bin" / "state").write_text(state)
    told = host.service()
    assert (told.running, told.disabled) == (running, disabled), told.words


@needs_root
def test_an_inactive_unit_whose_data_are_open_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: Path, holder: subprocess.Popen[bytes]
) -> None:
    """Somebody started it by hand: the unit does not know."""
    host = reached(HostSpec("s1", data_folder=str(odd), unit="consul"), tmp_path, monkeypatch)
    (tmp_path / "bin" / "state").write_text("inactive enabled")
    assert host.service().running is Running.RUNS
    assert str(holder.pid) in host.service().words


@needs_root
def test_a_unit_that_is_not_there_is_no_stopped_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: Path
) -> None:
    """systemctl calls it inactive."""
    host = reached(HostSpec("s1", data_folder=str(odd), unit="consull"), tmp_path, monkeypatch)
    with pytest.raises(HostError, match="there is no unit consull"):
        host.service()


def test_an_unknown_host_key_and_a_sudo_that_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each refused in one sentence with the next action; no key is ever accepted unseen."""
    host = reached(HostSpec("s1", "admin@elsewhere", 2222), tmp_path, monkeypatch)
    with pytest.raises(StepError, match="Host key verification failed.*by hand: key and known_hosts"):
        host.kind_of("/")
    told = (tmp_path / "bin" / "told").read_text().split()
    assert {"BatchMode=yes", "StrictHostKeyChecking=yes", "2222"} <= set(told)
    monkeypatch.setattr("runbook.hosts.process.PASSED_ON", (*os.environ, "ASKS"))
    monkeypatch.setenv("ASKS", "yes")
    with pytest.raises(HostError, match="a password is required. Let this user run it by sudo -n"):
        Host(HostSpec("s1", "admin@there", sudo=True)).kind_of("/")


def test_a_host_that_is_an_option_is_none(tmp_path: Path) -> None:
    """Nor anything that a ProxyCommand's shell would obey."""
    with pytest.raises(StepError, match="is no host"):
        Host(HostSpec("s1", "-oProxyCommand=touch hostile")).kind_of(str(tmp_path))


def test_a_service_without_a_unit_is_stopped_and_started_by_its_words(host: Host, tmp_path: Path) -> None:
    """Each word arrives as it is."""
    words = ("sh", "-c", 'echo "$1" > "$2"', "sh", "it's *", str(tmp_path / "done"))
    Host(HostSpec("s1", host.spec.ssh, sudo=host.spec.sudo, stop=words)).stop()
    assert (tmp_path / "done").read_text() == "it's *\n"
