"""A server that is started once on its host and ended again, and a folder that is moved aside."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from runbook.errors import StepError
from runbook.hosts.once import OnceHost
from runbook.hosts.spec import HostSpec

SERVER = 'echo starting; sleep 0.3; echo "it is there"; exec sleep 60'


def host_with(folder: Path) -> OnceHost:
    folder.mkdir()
    return OnceHost(HostSpec("s1", data_folder=str(folder)))


def start(host: OnceHost, script: str, within: float = 5.0) -> None:
    data = host.spec.data_folder
    spare = f"{data}.spare"
    Path(spare).write_text("needed once")
    words = ["sh", "-c", script]
    host.run_once(words, folder="/", like=data, until_said="it is there", within=within, spare=spare)


def test_it_is_ended_as_soon_as_it_is_there_and_leaves_nothing(tmp_path: Path) -> None:
    host = host_with(tmp_path / "data")
    start(host, f"echo $$ > {shlex.quote(str(tmp_path / 'pid'))}; {SERVER}")
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "pid"]
    assert not host.runs_once(host.spec.data_folder)


@pytest.mark.parametrize(
    ("script", "said"), [("echo no disk; exit 3", "it ended by itself: no disk"), ("sleep 60", "not there after 1 s")]
)
def test_one_that_does_not_come_is_told_with_its_last_line(tmp_path: Path, script: str, said: str) -> None:
    host = host_with(tmp_path / "data")
    with pytest.raises(StepError, match=said):
        start(host, script, within=1.0)
    assert not host.runs_once(host.spec.data_folder)


def test_what_a_killed_run_has_begun_is_seen_until_it_is_over(tmp_path: Path) -> None:
    """The mark of a process that is gone is none."""
    host = host_with(tmp_path / "data")
    mark = tmp_path / "data.once"
    with subprocess.Popen(["sleep", "60"]) as process:
        mark.write_text(f"{process.pid}\n")
        assert host.runs_once(host.spec.data_folder)
        process.kill()
    time.sleep(0.1)
    assert not host.runs_once(host.spec.data_folder)


def test_a_folder_is_moved_aside_once_and_a_copy_that_is_there_is_kept(tmp_path: Path) -> None:
    host = host_with(tmp_path / "data")
    folder, target = tmp_path / "data" / "member", tmp_path / "data" / "member.before"
    for content in ("first", "second"):
        folder.mkdir()
        (folder / "file").write_text(content)
        host.move_aside(str(folder), str(target))
        assert not folder.exists()
    host.move_aside(str(folder), str(target))
    assert (target / "file").read_text() == "first"
