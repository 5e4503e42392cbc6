"""OpenBao's quorum is lost for good, on real servers: the survivors read peers.json as somebody unseals them."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.contract.openbao_lab import OpenBaoLab
from tests.contract.test_openbao import lab
from tests.contract.test_recover_lost_quorum import again, typed

__all__ = ["lab"]  # a fixture
pytestmark = [pytest.mark.bao, pytest.mark.skipif(os.geteuid() != 0, reason="only root sees who has a folder open")]
WRITTEN = {"v": "written before the outage"}


def hosts_of(lab: OpenBaoLab) -> dict[str, Any]:
    """Each stopped and started by commands, which know its process by a file."""
    hosts = {}
    for name in lab.names:
        pid, config, log = (lab.folder / f"{name}.{kind}" for kind in ("pid", "json", "log"))
        if name in lab.processes:
            pid.write_text(str(lab.processes[name].pid))
        bao = shlex.join([shutil.which("bao") or "bao", "server", f"-config={config}"])
        hosts[name] = {
            "local": True,
            "data_folder": str(lab.folder / f"{name}.data"),
            "service": {
                "stop": ["sh", "-c", f"kill $(cat {pid}) 2>/dev/null || true"],
                "start": ["sh", "-c", f"setsid {bao} >>{log} 2>&1 </dev/null & echo $! >{pid}"],
            },
        }
    return hosts


@contextmanager
def somebody_unseals(lab: OpenBaoLab, names: list[str]) -> Iterator[None]:
    """Whoever of them waits for its key gets it."""
    over = threading.Event()

    def give() -> None:
        while not over.wait(0.5):
            for name in names:
                if (lab.ask(name, "sys/seal-status") or {}).get("sealed"):
                    lab.ask(name, "sys/unseal", {"key": lab.key})

    thread = threading.Thread(target=give)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        for name in names:
            with suppress(OSError, ValueError):
                os.kill(int((lab.folder / f"{name}.pid").read_text()), signal.SIGKILL)


def lose_three(lab: OpenBaoLab, folder: Path) -> tuple[list[str], dict[str, str]]:
    """The active server and two more, with their disks, after a key was written. The survivors, and an environment."""
    lab.ask("s1", "sys/mounts/kept", {"type": "kv"})
    lab.until("a key", lambda: lab.ask("s1", "kept/outage", WRITTEN))
    leader = lab.wait_for_leader()
    dead = [leader, *lab.followers()[:2]]
    survivors = [name for name in lab.names if name not in dead]
    hosts = hosts_of(lab)
    for name in dead:
        lab.kill(name)
        shutil.rmtree(lab.folder / f"{name}.data")
        (lab.folder / f"{name}.data").mkdir()
    lab.until("no leader", lambda: lab.leader() is None)
    for name in survivors:
        lab.processes.pop(name)  # from here on its host's commands have it
    (folder / "hosts.json").write_text(json.dumps({"hosts": hosts}), encoding="utf-8")
    environment = {
        **os.environ,
        **lab.variables,
        "BAO_ADDR": ",".join(lab.address(name) for name in survivors),
        "BAO_TOKEN": lab.token,
        "TERM": "dumb",
        "RUNBOOK_STATE_DIR": str(folder / "state"),
    }
    return survivors, environment


def recovery(folder: Path) -> list[str]:
    params = ("confirm_for=1s", "cooldown=0s")
    given = [word for param in params for word in ("--param", param)]
    return ["execute", "recover-lost-quorum", "--params-file", str(folder / "hosts.json"), *given, "--yes"]


def assert_it_is_back(lab: OpenBaoLab, survivors: list[str]) -> None:
    """An active server, both in the configuration and nobody else, the file consumed, two copies, and the key."""
    told: Any = next(filter(None, (lab.ask(name, "kept/outage") for name in survivors)))
    assert told["data"] == WRITTEN
    held = lab.ask(survivors[0], "sys/storage/raft/configuration")
    assert held is not None
    assert sorted(each["node_id"] for each in held["data"]["config"]["servers"]) == survivors
    assert list(lab.folder.rglob("peers.json")) == []
    assert len(list(lab.folder.glob("*.data.before-*"))) == 2


def test_three_of_five_are_lost_with_their_disks_and_a_key_is_still_there(lab: OpenBaoLab, tmp_path: Path) -> None:
    """And then it grows back to three voters, with a server of which only its configuration is left."""
    survivors, environment = lose_three(lab, tmp_path)
    new = next(name for name in lab.names if name not in survivors)
    with somebody_unseals(lab, [*survivors, new]):
        ended = typed(environment, tmp_path, *recovery(tmp_path))
        assert ended.code == 0, ended.text
        assert ended.text.count("Type ") == 1, "only the cluster's name"
        assert ended.changes == [
            *["host.service"] * 2, *["host.backup"] * 2, *["raft.write_peers"] * 2, *["host.service"] * 2
        ]  # fmt: skip
        assert_it_is_back(lab, survivors)
        given = {"server": new, "host": hosts_of(lab)[new], "patience": "2m"}
        (tmp_path / "grow.json").write_text(json.dumps(given), encoding="utf-8")
        words = ("execute", "replace-server", "--params-file", str(tmp_path / "grow.json"), "--yes")
        ended = typed(environment, tmp_path, *words)
        assert (ended.code, ended.changes) == (0, ["raft.add_server"]), ended.text
        assert "3 voters now" in ended.text


@pytest.mark.long
@pytest.mark.parametrize("begun", [2, 4, 5, 6, 8])
def test_killed_in_the_middle_and_resumed(lab: OpenBaoLab, tmp_path: Path, begun: int) -> None:
    """As it stops, copies, writes and starts; every step looks first, so *again* is right for each."""
    survivors, environment = lose_three(lab, tmp_path)
    with somebody_unseals(lab, survivors):
        ended = typed(environment, tmp_path, *recovery(tmp_path), kill_after=begun)
        assert ended.code == -signal.SIGKILL, ended.text
        ended = typed(environment, tmp_path, "resume", "last", "--yes", *again(ended))
        assert ended.code == 0, ended.text
        assert_it_is_back(lab, survivors)


def test_a_frozen_server_is_left_out_by_nobodys_word(lab: OpenBaoLab, tmp_path: Path) -> None:
    """It may wake up with all its data."""
    frozen, killed, *_ = lab.followers()
    leader = lab.wait_for_leader()
    survivors = [name for name in lab.names if name not in (frozen, killed, leader)]
    environment = {
        **os.environ,
        "BAO_ADDR": ",".join(lab.address(name) for name in survivors),
        "BAO_TOKEN": lab.token,
        "RUNBOOK_STATE_DIR": str(tmp_path / "state"),
    }
    lab.freeze(frozen)
    for name in (killed, leader):
        lab.kill(name)
    lab.until("no leader", lambda: lab.leader() is None)
    lost = [word for name in (frozen, killed, leader) for word in ("--lost", name)]
    ended = typed(environment, tmp_path, "recover", "plan", "--confirm-for", "1s", *lost)
    assert ended.code == 3, ended.text
    assert "there is a sign of life of" in " ".join(ended.text.split()), ended.text
