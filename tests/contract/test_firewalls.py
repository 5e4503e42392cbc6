"""What stands between this host and the servers: firewalls that reject or drop, one door, a tunnel. Real servers.

Each on a machine of its own, in network namespaces. In every shape a frozen server stays, and a dead one goes by a
person's word and not without one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from runbook.lab.agents import AgentLab
from tests.contract.machines import BASTION, WATCHER, Machines, at, machine_lab, why_not
from tests.contract.test_full_queue import full_queues, many_handles
from tests.contract.test_recovery import PLAYBOOK, QUICK, ROOT, VARIABLE, Outcome, changes_received, followers

__all__ = ["many_handles"]  # a fixture
NAMES = [f"s{number}" for number in range(1, 6)]
KINDS = ["consul", pytest.param("nomad", marks=pytest.mark.nomad)]  # no namespaces, no test, also in CI
OFF = ("--because", "powered off, console checked", "--confirmed-off")


@dataclass
class Scene:
    """A cluster of which this host knows one server's address, and what stands between."""

    lab: AgentLab
    machines: Machines
    door: str
    state: Path

    @property
    def victim(self) -> str:
        """A follower that is not the door."""
        return next(name for name in followers(self.lab) if name != self.door)

    def execute(self, *options: str) -> Outcome:
        command = [sys.executable, "-m", "runbook", "execute", PLAYBOOK, *QUICK, *options]
        environment = {**os.environ, "RUNBOOK_STATE_DIR": str(self.state)}
        environment[VARIABLE[self.lab.layout.kind]] = self.lab.layout.address(self.door)
        with at(BASTION):
            done = subprocess.run(
                command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
            )
        newest = max((self.state / "runs").iterdir(), key=lambda folder: folder.stat().st_mtime)
        events = [json.loads(line) for line in (newest / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
        return Outcome(done.returncode, done.stdout + done.stderr, events)


@pytest.fixture
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    """The door is a follower; the lab is driven from the watcher's place, which no firewall keeps out."""
    kind = request.param
    reason = why_not(kind, "iptables")
    if reason:
        pytest.skip(reason)
    with ExitStack() as stack:
        machines = Machines(NAMES, stack)
        machines.start()
        stack.enter_context(at(WATCHER))
        lab = stack.enter_context(machine_lab(kind, len(NAMES), tmp_path / "lab"))
        door = followers(lab)[0]
        yield Scene(lab, machines, door, tmp_path / "runs")


def rejects(*how: str) -> Callable[[Scene], None]:
    """The Raft ports of all, and the APIs of all but the door."""

    def set_up(scene: Scene) -> None:
        ports = scene.lab.layout.rpc_port, scene.lab.layout.http_port
        for name in NAMES:
            closed = ports[: 1 if name == scene.door else 2]
            for port in closed:
                scene.machines.filter(name, "--dport", str(port), "-j", "REJECT", *how)

    return set_up


def drops(*but: str, door: bool = True) -> Callable[[Scene], None]:
    """All but the API of the door, and ``but`` these ports of all."""

    def set_up(scene: Scene) -> None:
        layout = scene.lab.layout
        for name in NAMES:
            for port in but or ():
                scene.machines.filter(name, "--dport", port, "-j", "ACCEPT")
            if name == scene.door and door:
                scene.machines.filter(name, "--dport", str(layout.http_port), "-j", "ACCEPT")
            scene.machines.filter(name, "-j", "DROP")

    return set_up


SHAPES = {
    "rejected by a reset": rejects("--reject-with", "tcp-reset"),
    "rejected by ICMP": rejects(),
    "prohibited by ICMP": rejects("--reject-with", "icmp-admin-prohibited"),
    "all dropped but the door": drops(),
    "all dropped but the door and ssh": drops("22"),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("scene", KINDS, indirect=True)
def test_a_frozen_server_stays_and_a_dead_one_goes_by_a_word_only(scene: Scene, shape: Callable[[Scene], None]) -> None:
    lab = scene.lab
    victim = scene.victim
    shape(scene)
    lab.freeze(victim)
    lab.wait_for_gossip(victim, "failed")
    outcome = scene.execute()
    assert (outcome.code, outcome.asked, changes_received(lab)) == (3, [], []), outcome.text
    lab.kill(victim)
    outcome = scene.execute()
    assert (outcome.code, outcome.asked, changes_received(lab)) == (3, [], []), outcome.text
    assert f"--confirmed-off {lab.layout.gossip_name(victim)}" in outcome.text, outcome.text
    outcome = scene.execute(*OFF, lab.layout.gossip_name(victim))
    assert (outcome.code, outcome.asked) == (0, [victim]), outcome.text


@pytest.mark.usefixtures("many_handles")
@pytest.mark.parametrize("scene", KINDS, indirect=True)
def test_where_only_the_servers_own_ports_are_open_a_frozen_one_with_full_queues_stays(scene: Scene) -> None:
    """It is as silent as a machine that is off, and the living answer on ports of their processes only."""
    lab = scene.lab
    victim = scene.victim
    drops(*map(str, lab.layout.ports))(scene)
    lab.freeze(victim)
    with full_queues(lab.layout.host(victim), lab.layout.ports):
        lab.wait_for_gossip(victim, "failed")
        outcome = scene.execute()
    assert (outcome.code, outcome.asked, changes_received(lab)) == (3, [], []), outcome.text
