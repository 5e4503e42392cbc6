"""A rolling restart of real servers, each once `safe-to-stop` says that it may be: a quorum is there all the while."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runbook.lab.agents import AgentLab
from tests.contract.test_recover_lost_quorum import at_a_terminal, hosts_of
from tests.contract.test_recovery import ROOT, VARIABLE, changes_received, lab, labs

__all__ = ["lab"]  # a fixture

EVERY = 0.1  # seconds between two samples of all Raft ports
PATIENCE = 120.0  # seconds for one server to come back


def may_stop(lab: AgentLab, folder: Path, server: str, spare: int) -> int:
    """The exit code, asked of everybody who runs."""
    running = [row.address for row in lab.status() if row.state == "running"]
    environment = {**os.environ, VARIABLE[lab.layout.kind]: ",".join(running), "RUNBOOK_STATE_DIR": str(folder)}
    words = ("execute", "safe-to-stop", "--param", f"server={server}", "--param", f"spare={spare}")
    done = subprocess.run(
        [sys.executable, "-m", "runbook", *words],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return done.returncode


@contextmanager
def sampled(lab: AgentLab) -> Iterator[list[int]]:
    """How many Raft ports accept, again and again, seen from outside."""
    samples: list[int] = []
    over = threading.Event()

    def listens(name: str) -> bool:
        host, _, port = lab.layout.rpc_address(name).rpartition(":")
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((host, int(port))) == 0

    def sample() -> None:
        while not over.wait(EVERY):
            samples.append(sum(listens(name) for name in lab.names))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("lab", labs(5), indirect=True)
def test_a_rolling_restart_never_loses_the_quorum_and_is_refused_where_it_would(lab: AgentLab, tmp_path: Path) -> None:
    leader = lab.wait_for_leader(60)
    order = [*(name for name in lab.names if name != leader), leader]
    refused = 0
    with sampled(lab) as samples:
        for name in order:
            until = time.monotonic() + PATIENCE
            while (code := may_stop(lab, tmp_path, name, 1)) != 0:
                assert code in (3, 4), code
                assert time.monotonic() < until, f"{name} may not be stopped after {PATIENCE:.0f} s"
                refused += code == 3
            lab.restart(name)
    print(
        f"{len(samples)} samples, never fewer than {min(samples)} of 5 ports open; refused {refused} times on the way"
    )
    assert min(samples) >= 4
    lab.wait_for_leader(60)
    first, second, third = order[:3]
    for name in (first, second):
        lab.kill(name)
    assert may_stop(lab, tmp_path, third, 0) == 3
    assert changes_received(lab) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees who has a folder open")
@pytest.mark.parametrize("lab", labs(3), indirect=True)
def test_the_playbook_restarts_all_and_the_leader_last(lab: AgentLab, tmp_path: Path) -> None:
    """Each on its host, by commands; two of three Raft ports are open all the while."""
    leader = lab.wait_for_leader(60)
    suffix = ".global" if lab.layout.kind == "nomad" else ""
    hosts = {f"{name}{suffix}": host for name, host in hosts_of(lab, lab.names).items()}
    (tmp_path / "hosts.json").write_text(json.dumps({"hosts": hosts}), encoding="utf-8")
    words = ("--params-file", str(tmp_path / "hosts.json"), "--yes")
    try:
        with sampled(lab) as samples:
            ended = at_a_terminal(lab, tmp_path, "execute", "rolling-restart", *words)
    finally:
        AgentLab.load(lab.folder).stop()  # its host commands have started them anew
    assert ended.code == 0, ended.text
    assert ended.changes == ["host.service"] * 6
    assert min(samples) >= 2
    stopped = re.findall(r"\d\.stop(?:_last)? +ok +(\w+)[. ]", ended.text)
    assert sorted(stopped) == lab.names, ended.text
    assert stopped[-1] == leader
