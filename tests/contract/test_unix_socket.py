"""Consul whose HTTP API is at a unix socket, as `addresses { http = "unix:///…" }` has it: the tightest one door."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from runbook.lab.agents import AgentLab
from tests.contract.test_one_door import DIAGNOSIS, ELSEWHERE, OneDoorLayout
from tests.contract.test_recovery import PLAYBOOK, QUICK, ROOT, changes_received, followers

pytestmark = pytest.mark.consul


class SocketLayout(OneDoorLayout):
    """Each server's API is at a socket; the lab itself asks at a port of which nobody is told."""

    def http_port_of(self, name: str) -> int:
        return self.http_port + ELSEWHERE

    def config(self, name: str, data_dir: Path) -> dict[str, Any]:
        settings = super().config(name, data_dir)
        sockets = os.environ["SOCKETS"]
        return settings | {"addresses": {"http": f"unix://{sockets}/{name}.sock {self.host(name)}"}}


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The kernel allows 107 characters."""
    with TemporaryDirectory() as folder:
        monkeypatch.setenv("SOCKETS", folder)
        yield Path(folder)


def test_through_a_socket_the_dead_go_and_a_frozen_one_stays(tmp_path: Path, sockets: Path) -> None:
    lab = AgentLab("consul", 5, folder=tmp_path / "lab")
    lab.layout = SocketLayout(**asdict(lab.layout))
    with lab:
        door, frozen, killed, *_ = followers(lab)
        environment = {**os.environ, "RUNBOOK_STATE_DIR": str(tmp_path / "runs")}
        environment["CONSUL_HTTP_ADDR"] = f"unix://{sockets}/{door}.sock"

        def runbook(*words: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "runbook", *words]
            return subprocess.run(
                command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=4 * DIAGNOSIS, check=False
            )

        healthy = runbook("diagnose")
        assert "Healthy" in healthy.stdout, healthy.stdout + healthy.stderr
        lab.freeze(frozen)
        lab.wait_for_gossip(frozen, "failed")
        done = runbook("execute", PLAYBOOK, *QUICK)
        assert (done.returncode, changes_received(lab)) == (3, []), done.stdout + done.stderr
        lab.thaw(frozen)
        lab.wait_for_gossip(frozen, "alive")
        lab.kill(killed)
        done = runbook("execute", PLAYBOOK, *QUICK)
        assert done.returncode == 0, done.stdout + done.stderr
        assert [change.split("=")[0] for change in changes_received(lab)] == ["DELETE /v1/operator/raft/peer?id"]
