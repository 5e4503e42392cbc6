"""`runbook recover plan` against real servers: what it prints is pasted as it stands, each part in a shell of its host.

The shells have a `sudo` and a `systemctl` of the lab's: all else is as printed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runbook.lab.agents import ADDRESS_VARIABLES, AgentLab
from tests.contract.lost_quorum import lose, read_key, write_key
from tests.contract.test_recovery import ROOT, labs

SYSTEMCTL = """#!{python}
import sys
from pathlib import Path
from runbook.lab.agents import AgentLab

lab, verb = AgentLab.load(Path({folder!r})), sys.argv[1]
name = {name!r}
if verb == "is-active":
    sys.exit(0 if next(row for row in lab.status() if row.name == name).state != "stopped" else 3)
lab.restart(name) if verb == "start" else lab.kill(name)
"""
SUDO = '#!/bin/sh\nexec "$@"\n'


def plan(lab: AgentLab, *options: str) -> subprocess.CompletedProcess[str]:
    address = next(row.address for row in lab.status() if row.state == "running")
    environment = {**os.environ, ADDRESS_VARIABLES[lab.layout.kind]: address}
    command = [sys.executable, "-m", "runbook", "recover", "plan", "--confirm-for", "1s", *options]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def parts(text: str) -> list[tuple[str, str]]:
    """The host and the commands of each part, in their order."""
    blocks = [block for block in text.split("\n\n") if block.startswith("# on ")]
    return [(block.split()[2].split(".")[0], block.split("\n", 1)[1]) for block in blocks]


@pytest.fixture
def shells(lab: AgentLab, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A PATH for the shell of each host."""
    paths = {}
    for name in lab.names:
        folder = tmp_path / f"bin-{name}"
        folder.mkdir()
        systemctl = SYSTEMCTL.format(python=sys.executable, folder=str(lab.folder), name=name)
        for program, body in (("systemctl", systemctl), ("sudo", SUDO)):
            (folder / program).write_text(body, encoding="utf-8")
            (folder / program).chmod(0o700)
        paths[name] = f"{folder}:{os.environ['PATH']}"
    yield paths
    AgentLab.load(lab.folder).stop()


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AgentLab]:
    kind, servers = request.param
    with AgentLab(kind, servers, folder=tmp_path / "lab") as lab:
        lab.wait_for_leader(60)
        yield lab


def paste(commands: str, path: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": path, "HOME": "/nonexistent", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["/bin/bash", "-c", commands], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.usefixtures("short_hold")
@pytest.mark.parametrize("lab", labs(5), indirect=True)
def test_three_of_five_are_lost_with_their_disks_and_what_is_printed_brings_the_cluster_back(
    lab: AgentLab, shells: dict[str, str]
) -> None:
    """A leader, both survivors, the file consumed, and a key written before the outage."""
    write_key(lab, "written before the outage")
    dead = lose(lab, 3, wipe=True)
    refused = plan(lab)
    assert (refused.returncode, "silence is all there is of" in refused.stderr) == (3, True), refused.stderr
    printed = plan(lab, *(word for name in dead for word in ("--lost", name)))
    assert printed.returncode == 0, printed.stderr
    told = " ".join(line.removeprefix("# ").strip() for line in printed.stdout.splitlines())
    assert told.count("IF IT STILL RUNS, WHAT IT ACCEPTED SINCE THE CUT WILL BE LOST WITHOUT A WORD") == 3
    survivors = [name for name in lab.names if name not in dead]
    for host, commands in parts(printed.stdout):
        if host in dead:
            continue
        done = paste(commands, shells[host])
        assert done.returncode == 0, f"{host}: {done.stdout}{done.stderr}"
    recovered = AgentLab.load(lab.folder)
    assert recovered.wait_for_leader(60) in survivors
    assert read_key(recovered) == "written before the outage"
    assert list(lab.folder.rglob("peers.json")) == []


@pytest.mark.usefixtures("short_hold")
@pytest.mark.parametrize("lab", labs(5), indirect=True)
def test_a_frozen_server_can_be_named_by_nobody(lab: AgentLab) -> None:
    """Its port accepts: it may wake up with all its data, and no word outweighs that."""
    alive, *rest = lose(lab, 2, wipe=True, frozen=1)
    printed = plan(lab, *(word for name in (alive, *rest) for word in ("--lost", name)))
    assert (printed.returncode, printed.stdout) == (3, "")
    assert f"there is a sign of life of {alive}" in printed.stderr, printed.stderr


@pytest.mark.usefixtures("short_hold")
@pytest.mark.parametrize("lab", labs(3), indirect=True)
def test_a_part_stops_before_it_changes_anything_where_the_host_is_another(
    lab: AgentLab, shells: dict[str, str]
) -> None:
    """Pasted into the wrong window, and where peers.info is missing: the server goes on, and nothing was written."""
    dead = lose(lab, 2, wipe=False)
    printed = plan(lab, *(word for name in dead for word in ("--lost", name)))
    (survivor,) = (name for name in lab.names if name not in dead)
    commands = next(commands for host, commands in parts(printed.stdout) if host == survivor)
    folder = next(lab.folder.glob(f"{survivor}.data/**/raft"))
    other = commands.replace(f"{survivor}.data", f"{dead[0]}.data")
    assert "its id is another one" in paste(other, shells[survivor]).stderr
    shutil.move(folder / "peers.info", folder / "moved")
    assert "delete peers.json unread" in paste(commands, shells[survivor]).stderr
    time.sleep(0.2)
    assert next(row for row in lab.status() if row.name == survivor).state == "running"
    assert list(lab.folder.rglob("peers.json*")) == []
