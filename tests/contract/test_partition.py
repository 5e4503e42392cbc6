"""The wrong side of a cut, for real: servers in two network namespaces, and the tool among the fewer.

Needs Linux, root, `ip` and an agent; elsewhere it is skipped. Nothing leaves the machine: the two namespaces have one
link, to each other.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runbook.lab.agent_layout import HTTP_PORTS, AgentLayout
from runbook.lab.process import LabProcess
from tests.contract.machines import ip, why_not
from tests.contract.test_recovery import PLAYBOOK, QUICK, ROOT, VARIABLE

FEW, MANY = "few", "many"
SIDE = {"s1": FEW, "s2": FEW, "s3": MANY, "s4": MANY, "s5": MANY}
NET = {FEW: "10.77.1", MANY: "10.77.2"}
LINK = {FEW: "10.77.0.1", MANY: "10.77.0.2"}
CABLE = "cable"
FORMED_WITHIN = 60.0  # seconds


class SplitLayout(AgentLayout):
    """As on loopback, and each server at an address of its own side."""

    def host(self, name: str) -> str:
        return f"{NET[SIDE[name]]}.{name[1:]}"


@dataclass
class Split:
    """Two namespaces with a link, five agents, and a command line on the side of the fewer."""

    spaces: dict[str, str]
    layout: SplitLayout
    folder: Path

    def cut(self) -> None:
        """The many no longer know the way to the few: what the few send arrives, and nothing comes back."""
        ip("-n", self.spaces[MANY], "route", "del", f"{NET[FEW]}.0/24")
        ip("-n", self.spaces[MANY], "route", "del", LINK[FEW])

    def runbook(self, side: str, *words: str) -> subprocess.CompletedProcess[str]:
        asked = self.layout.address("s1" if side == FEW else "s3")
        environment = {**os.environ, VARIABLE[self.layout.kind]: asked, "RUNBOOK_STATE_DIR": str(self.folder / "state")}
        command = ["ip", "netns", "exec", self.spaces[side], sys.executable, "-m", "runbook", *words]
        return subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
        )

    def findings(self, side: str) -> list[dict[str, Any]]:
        done = self.runbook(side, "diagnose", "--format", "json")
        return list(json.loads(done.stdout)["findings"]) if done.returncode == 0 else []

    def removals_received(self) -> int:
        logs = [(self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace") for name in SIDE]
        assert all("method=GET" in log for log in logs)  # that reads are listed shows that requests are
        return sum(log.count("method=DELETE") for log in logs)


@pytest.fixture(params=["consul", pytest.param("nomad", marks=pytest.mark.nomad)])
def split(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Split]:
    kind = request.param
    reason = why_not(kind)
    if reason:
        pytest.skip(reason)
    spaces = {side: f"rb-{os.getpid()}-{side}" for side in (FEW, MANY)}
    with ExitStack() as stack:
        for space in spaces.values():
            ip("netns", "add", space)
            stack.callback(ip, "netns", "del", space)
        connect(spaces)
        port = HTTP_PORTS[kind]
        layout = SplitLayout(kind, len(SIDE), shutil.which(kind) or "", 0, port, cleanup_dead_servers=False)
        for name, side in SIDE.items():
            stack.callback(spawn(layout, name, spaces[side], tmp_path).kill)
        yield Split(spaces, layout, tmp_path)


def connect(spaces: dict[str, str]) -> None:
    """One pair of cables; the servers' own addresses are on each side's loopback, so that a cut leaves them there."""
    few, many = spaces[FEW], spaces[MANY]
    ip("-n", few, "link", "add", "name", CABLE, "type", "veth", "peer", "name", CABLE, "netns", many)
    for side, other in ((FEW, MANY), (MANY, FEW)):
        space = spaces[side]
        for device in ("lo", CABLE):
            ip("-n", space, "link", "set", device, "up")
        ip("-n", space, "addr", "add", LINK[side], "peer", LINK[other], "dev", CABLE)
        for name in (name for name, where in SIDE.items() if where == side):
            ip("-n", space, "addr", "add", f"{NET[side]}.{name[1:]}/32", "dev", "lo")
        ip("-n", space, "route", "add", f"{NET[other]}.0/24", "via", LINK[other], "dev", CABLE)


def spawn(layout: SplitLayout, name: str, space: str, folder: Path) -> LabProcess:
    config = folder / f"{name}.json"
    config.write_text(json.dumps(layout.config(name, folder / f"{name}.data")), encoding="utf-8")
    command = [shutil.which("ip") or "", "netns", "exec", space, *layout.command(config)]
    return LabProcess.spawn(command, folder / f"{name}.log")


def wait_for(split: Split, side: str, wanted: str) -> list[dict[str, Any]]:
    """The findings as soon as the first is the wanted one, or the last that were seen."""
    until = time.monotonic() + FORMED_WITHIN
    found: list[dict[str, Any]] = []
    while time.monotonic() < until:
        found = split.findings(side)
        if found and found[0]["name"] == wanted:
            break
        time.sleep(0.5)
    return found


def test_on_the_side_of_the_fewer_nothing_is_changed(split: Split) -> None:
    """Must show 5: `MinorityPartition` for a person and for a run, exit 4, and not one removal in any server's log."""
    assert [f["name"] for f in wait_for(split, FEW, "Healthy")] == ["Healthy"]
    split.cut()
    found = wait_for(split, FEW, "MinorityPartition")
    assert (found[0]["name"], found[0]["certainty"]) == ("MinorityPartition", "likely"), found
    assert {server["name"].partition(".")[0] for server in found[0]["servers"]} == {"s3", "s4", "s5"}
    done = split.runbook(FEW, "execute", PLAYBOOK, *QUICK)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "MinorityPartition" in done.stdout + done.stderr
    assert split.removals_received() == 0
    beyond = split.runbook(MANY, "diagnose")
    assert beyond.returncode == 0
    assert "QuorumAtRisk" in beyond.stdout, beyond.stdout


@pytest.mark.long
@pytest.mark.usefixtures("short_hold")
@pytest.mark.parametrize("split", ["consul"], indirect=True)
def test_from_the_side_of_the_fewer_a_cut_looks_like_dead_machines(split: Split) -> None:
    """Silence allows no recovery; and who names the living majority reads three times what that means."""
    assert [f["name"] for f in wait_for(split, FEW, "Healthy")] == ["Healthy"]
    split.cut()
    wait_for(split, FEW, "MinorityPartition")
    refused, until = plan(split, FEW), time.monotonic() + FORMED_WITHIN
    while "there is a sign of life" in refused.stderr and time.monotonic() < until:  # gossip needs some seconds
        refused = plan(split, FEW)
    assert (refused.returncode, refused.stdout) == (3, ""), refused.stderr
    assert "silence is all there is of s3, s4 and s5" in refused.stderr
    assert plan(split, FEW, "s3", "s4").returncode == 3
    named = plan(split, FEW, "s3", "s4", "s5")
    assert named.returncode == 0, named.stderr
    told = " ".join(line.removeprefix("# ").strip() for line in named.stdout.splitlines())
    assert told.count("IF IT STILL RUNS, WHAT IT ACCEPTED SINCE THE CUT WILL BE LOST WITHOUT A WORD") == 3
    beyond = plan(split, MANY, "s1", "s2")
    assert (beyond.returncode, "there was a leader" in beyond.stderr) == (3, True), beyond.stderr


def plan(split: Split, side: str, *lost: str) -> subprocess.CompletedProcess[str]:
    return split.runbook(
        side, "recover", "plan", "--confirm-for", "1s", *(w for name in lost for w in ("--lost", name))
    )
