"""What a host proves of a survivor, and of a server that would be left out: here, with a stand-in systemctl."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runbook.errors import StepError
from runbook.hosts.spec import HostSpec
from runbook.raft.model import Peer
from runbook.raft.recovery_files import FILES
from runbook.raft.removal import Refusal
from runbook.steps.raft.survivor_hosts import left_out_word, specs_by_peer, survivor_fault

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root sees who has a folder open")
SYSTEMCTL = """#!/bin/sh
for unit; do :; done
[ "$unit" = consul ] || { printf 'LoadState=not-found\\nActiveState=inactive\\nUnitFileState=\\n'; exit 0; }
printf 'LoadState=loaded\\nActiveState=%s\\nUnitFileState=%s\\n' $UNIT
"""
CONSUL = FILES["consul"]
S1 = Peer("id-1", "10.0.0.1:8391", voter=True, name="s1", protocol=3)
INACTIVE, DISABLED, ACTIVE = "inactive enabled", "inactive disabled", "active enabled"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of s1, whose unit is inactive."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "systemctl").write_text(SYSTEMCTL)
    (tmp_path / "bin" / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr("runbook.hosts.process.PASSED_ON", ("PATH", "UNIT"))
    monkeypatch.setenv("UNIT", INACTIVE)
    data = tmp_path / "data"
    (data / "raft").mkdir(parents=True)
    (data / "raft" / "peers.info").write_text("info")
    (data / "node-id").write_text("id-1")
    return data


@pytest.fixture
def running(data: Path) -> Iterator[None]:
    """A process that has the Raft folder open."""
    code = f"import time; f = open({str(data / 'raft' / 'raft.db')!r}, 'w'); print('open', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield
        process.kill()


def spec(data: Path, unit: str = "consul") -> HostSpec:
    return HostSpec("s1", data_folder=str(data), unit=unit)


def fault(data: Path, peer: Peer = S1) -> str:
    found = survivor_fault(spec(data), peer, CONSUL)
    return found.code if isinstance(found, Refusal) else "none"


def test_a_survivors_host_must_be_its_own(data: Path, running: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its id, a Raft folder, peers.info, and a process that has it open."""
    monkeypatch.setenv("UNIT", ACTIVE)
    assert fault(data) == "none"
    assert fault(data, Peer("id-2", "10.0.0.2:8391", voter=True, name="s2", protocol=3)) == "WrongHost"
    assert fault(data.parent) == "NoDataFolder"
    monkeypatch.setattr("runbook.steps.raft.survivor_hosts.SPARE", 10**15)
    assert fault(data) == "NoRoom"
    (data / "raft" / "peers.info").unlink()
    assert fault(data) == "NoPeersInfo"


def test_a_survivor_that_answers_runs_on_its_host(data: Path) -> None:
    """Where nothing runs there, another host is meant."""
    assert fault(data) == "WrongHost"


def word(data: Path, unit: str = "consul") -> tuple[bool, bool]:
    told = left_out_word(spec(data, unit), S1, CONSUL)
    assert told.words
    return told.stopped, told.fenced


def test_left_out_is_stopped_or_fenced(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fenced is disabled and without a Raft folder; an old Raft folder can come back, and so can an enabled unit."""
    assert word(data) == (True, False)
    monkeypatch.setenv("UNIT", DISABLED)
    assert word(data) == (True, False)
    (data / "raft").rename(data / "raft.left-out")
    assert word(data) == (True, True)
    monkeypatch.setenv("UNIT", INACTIVE)
    assert word(data) == (True, False)
    monkeypatch.setenv("UNIT", ACTIVE)
    assert word(data) == (False, False)


def test_nothing_is_proven_by_another_server_a_wrong_name_or_no_folder(data: Path, running: None) -> None:
    """An inactive unit beside a process that has the data open, too."""
    assert word(data) == (False, False)
    assert word(data, "consull") == (False, False)
    (data / "node-id").write_text("id-7")
    assert word(data) == (False, False)
    nowhere = HostSpec("s1", data_folder="/nowhere", stop=("a",), start=("b",))
    assert left_out_word(nowhere, Peer("id-1", "127.0.0.1:8391", voter=True), CONSUL).stopped is False


def test_a_new_disk_is_its_own_where_the_address_is(data: Path) -> None:
    """Without an id only the machine's address tells whose host it is."""
    (data / "node-id").unlink()
    local = Peer("id-1", "127.0.0.1:8391", voter=True, name="s1", protocol=3)
    assert word(data) == (False, False), "10.0.0.1 is not this machine's"
    assert left_out_word(spec(data), local, CONSUL).stopped is True


def test_a_host_of_nobody_of_two_or_half_a_host_is_refused(data: Path) -> None:
    """Before anything is asked of it."""
    for hosts in (
        {"s9": spec(data)},
        {"s1": spec(data), "id-1": spec(data)},
        {"s1": HostSpec("s1")},
        {"s1": HostSpec("s1", data_folder="/x", stop=("a",))},
    ):
        with pytest.raises(StepError, match="the host (of )?(s9|s1|id-1)"):
            specs_by_peer(hosts, (S1,))
    assert specs_by_peer({"s1": spec(data)}, (S1,)) == {"id-1": spec(data)}
