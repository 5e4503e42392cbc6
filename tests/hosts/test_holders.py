"""Who has a folder open is seen whatever the machine's tools are, and by whatever path the process knows the folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from runbook.hosts.host import Host, HostError
from runbook.hosts.spec import HostSpec

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root sees who has a folder open")
HOLD = "import sys, time; f = open(sys.argv[1], 'w'); print('open', flush=True); time.sleep(60)"


@pytest.fixture
def hold() -> Iterator[Callable[..., str]]:
    """Starts a process that has this file open, and gives its pid. ``before`` is the command that starts it."""
    with ExitStack() as stack:

        def start(path: Path, *before: str) -> str:
            command = [*before, sys.executable, "-c", HOLD, str(path)]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
            stack.callback(process.kill)
            assert process.stdout
            assert process.stdout.readline() == b"open\n"
            return str(process.pid)

        yield start


def holders(folder: Path) -> list[str]:
    return [line.split()[0] for line in Host(HostSpec("s1", data_folder=str(folder))).service().holders]


def test_through_a_link(tmp_path: Path, hold: Callable[..., str]) -> None:
    """The kernel tells where it leads to."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to("disk")
    pid = hold(tmp_path / "data" / "raft.db")
    assert holders(tmp_path / "data") == holders(tmp_path / "disk") == [pid]


def test_in_a_container_that_knows_the_folder_by_another_path(tmp_path: Path, hold: Callable[..., str]) -> None:
    """A bind mount in a mount namespace of its own: what the kernel tells of it is the path in there."""
    mount = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"']
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode != 0:
        pytest.skip("no mount namespace can be made")
    (tmp_path / "data").mkdir()
    (tmp_path / "inside").mkdir()
    pid = hold(tmp_path / "inside" / "raft.db", *mount, str(tmp_path / "data"), str(tmp_path / "inside"))
    assert holders(tmp_path / "data") == [pid]


def test_with_the_tools_of_busybox(tmp_path: Path, hold: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its find lacks what GNU's has; a look that cannot be made is no look that saw nobody."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("no busybox on PATH")
    (tmp_path / "bin").mkdir()
    subprocess.run([busybox, "--install", "-s", str(tmp_path / "bin")], check=True)
    (tmp_path / "data").mkdir()
    pid = hold(tmp_path / "data" / "raft.db")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert holders(tmp_path / "data") == [pid]


@pytest.mark.parametrize("missing", ["stat", "ls", "awk", "xargs"])
def test_where_a_tool_is_missing_nobody_is_called_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    tools = ("sh", "id", "find", "stat", "ls", "awk", "xargs", "readlink", "cut", "sort", "tr", "head", "sed", "cat")
    (tmp_path / "bin").mkdir()
    for tool in tools:
        if tool != missing:
            (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(HostError, match="see who has"):
        Host(HostSpec("s1", data_folder=str(tmp_path / "data"))).service()
