"""What stands between this host and the servers: firewalls that reject or drop, one door, a tunnel. Real servers.

Each on a machine of its own, in network namespaces. In every shape a frozen server stays, and a dead one goes by the
word of its host, or of a person, and not without one.
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
from tests.contract.machines import AWAY, BASTION, WATCHER, Machines, at, machine_lab, why_not
from tests.contract.test_full_queue import full_queues, many_handles
from tests.contract.test_recovery import PLAYBOOK, QUICK, ROOT, VARIABLE, Outcome, changes_received, followers

__all__ = ["many_handles"]  # a fixture
NAMES = [f"s{number}" for number in range(1, 6)]
KINDS = ["consul", pytest.param("nomad", marks=pytest.mark.nomad)]  # no namespaces, no test, also in CI
OFF = ("--because", "powered off, console checked", "--confirmed-off")


@dataclass
class Scene:
    """A cluster of which a host knows one server's address, and what stands between."""

    lab: AgentLab
    machines: Machines
    door: str
    folder: Path
    ssh: Path
    asks_from: str = BASTION
    address: str = ""

    def __post_init__(self) -> None:
        self.address = self.lab.layout.address(self.door)
        self.victim = next(name for name in followers(self.lab) if name != self.door)

    def execute(self, *options: str) -> Outcome:
        """As somebody would who knows the door and nothing else."""
        environment = {**os.environ, "PATH": f"{self.ssh}:{os.environ['PATH']}"}
        environment["RUNBOOK_STATE_DIR"] = str(self.folder / "runs")
        environment[VARIABLE[self.lab.layout.kind]] = self.address
        command = [sys.executable, "-m", "runbook", "execute", PLAYBOOK, *QUICK, *options]
        with at(self.asks_from):
            done = subprocess.run(
                command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
            )
        newest = max((self.folder / "runs" / "runs").iterdir(), key=lambda folder: folder.stat().st_mtime)
        events = [json.loads(line) for line in (newest / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
        return Outcome(done.returncode, done.stdout + done.stderr, events)

    def execute_with_hosts(self) -> Outcome:
        """As somebody would whose inventory says how each machine is reached."""
        layout = self.lab.layout
        hosts = {
            layout.gossip_name(name): {
                "ssh": f"root@{layout.host(name)}",
                "data_folder": str(self.lab.folder / f"{name}.data"),
            }
            for name in NAMES
        }
        cluster = {"kind": layout.kind, "addresses": [self.address], "hosts": hosts}
        path = self.folder / "clusters.yaml"
        path.write_text(json.dumps({"inventory": 1, "clusters": {"practice": cluster}}), encoding="utf-8")
        return self.execute("--cluster", "practice", "--inventory", str(path))


@pytest.fixture
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    """The door is a follower; the lab is driven from the watcher's place, which no firewall keeps out."""
    kind = request.param
    reason = why_not(kind, "iptables", "ssh", "sshd")
    if reason:
        pytest.skip(reason)
    with ExitStack() as stack:
        machines = Machines(NAMES, stack)
        machines.start()
        ssh = machines.let_in(tmp_path)
        stack.enter_context(at(WATCHER))
        lab = stack.enter_context(machine_lab(kind, len(NAMES), tmp_path / "lab"))
        door = followers(lab)[0]
        yield Scene(lab, machines, door, tmp_path, ssh)


def rejects(*how: str) -> Callable[[Scene], None]:
    """The Raft ports of all, and the APIs of all but the door."""

    def set_up(scene: Scene) -> None:
        ports = scene.lab.layout.rpc_port, scene.lab.layout.http_port
        for name in NAMES:
            closed = ports[: 1 if name == scene.door else 2]
            for port in closed:
                scene.machines.filter(name, "--dport", str(port), "-j", "REJECT", *how)

    return set_up


def drops(*but: str) -> Callable[[Scene], None]:
    """All but the API of the door, and ``but`` these ports of all."""

    def set_up(scene: Scene) -> None:
        layout = scene.lab.layout
        for name in NAMES:
            for port in but:
                scene.machines.filter(name, "--dport", port, "-j", "ACCEPT")
            if name == scene.door:
                scene.machines.filter(name, "--dport", str(layout.http_port), "-j", "ACCEPT")
            scene.machines.filter(name, "-j", "DROP")

    return set_up


def tunnel(scene: Scene) -> None:
    """This host has no route to any server, and the door's address says nothing of theirs."""
    scene.asks_from = AWAY
    scene.address = scene.machines.tunnel(scene.ssh / "ssh", scene.address.removeprefix("http://"))


SHAPES = {
    "rejected by a reset": rejects("--reject-with", "tcp-reset"),
    "rejected by ICMP": rejects(),
    "prohibited by ICMP": rejects("--reject-with", "icmp-admin-prohibited"),
    "all dropped but the door and ssh": drops("22"),
    "an ssh tunnel": tunnel,
}


@pytest.mark.long
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("scene", KINDS, indirect=True)
def test_a_frozen_server_stays_and_a_dead_one_goes_by_the_word_of_its_host(
    scene: Scene, shape: Callable[[Scene], None]
) -> None:
    lab, victim = scene.lab, scene.victim
    shape(scene)
    lab.freeze(victim)
    lab.wait_for_gossip(victim, "failed")
    outcome = scene.execute()
    assert (outcome.code, outcome.asked, changes_received(lab)) == (3, [], []), outcome.text
    outcome = scene.execute_with_hosts()
    assert (outcome.code, outcome.asked, changes_received(lab)) == (3, [], []), outcome.text
    assert f"{lab.folder}/{victim}.data is open in" in outcome.text, outcome.text
    lab.kill(victim)
    outcome = scene.execute()
    assert (outcome.code, outcome.asked, changes_received(lab)) == (3, [], []), outcome.text
    assert "name its machine in the inventory" in outcome.text, outcome.text
    assert f"--confirmed-off {lab.layout.gossip_name(victim)}" in outcome.text, outcome.text
    outcome = scene.execute_with_hosts()
    assert (outcome.code, outcome.asked) == (0, [victim]), outcome.text


@pytest.mark.long
@pytest.mark.parametrize("scene", KINDS, indirect=True)
def test_where_all_is_dropped_but_the_door_a_dead_server_goes_by_a_persons_word(scene: Scene) -> None:
    """Every machine is as silent as one that is off, but the door's."""
    lab, victim = scene.lab, scene.victim
    drops()(scene)
    lab.freeze(victim)
    lab.wait_for_gossip(victim, "failed")
    for run in (scene.execute, scene.execute_with_hosts):
        outcome = run()
        assert (outcome.code, outcome.asked, changes_received(lab)) == (3, [], []), outcome.text
    unseen = ("nothing could be seen: ssh to", "nothing was said within")  # the one that is given up first
    assert any(words in outcome.text for words in unseen), outcome.text
    lab.kill(victim)
    outcome = scene.execute(*OFF, lab.layout.gossip_name(victim))
    assert (outcome.code, outcome.asked) == (0, [victim]), outcome.text


@pytest.mark.usefixtures("many_handles")
@pytest.mark.parametrize("scene", KINDS, indirect=True)
def test_where_only_the_servers_own_ports_are_open_a_frozen_one_with_full_queues_stays(scene: Scene) -> None:
    """It is as silent as a machine that is off, and the living answer on ports of their processes only."""
    lab, victim = scene.lab, scene.victim
    drops(*map(str, lab.layout.ports))(scene)
    lab.freeze(victim)
    with full_queues(lab.layout.host(victim), lab.layout.ports):
        lab.wait_for_gossip(victim, "failed")
        outcome = scene.execute()
    assert (outcome.code, outcome.asked, changes_received(lab)) == (3, [], []), outcome.text


@pytest.mark.long
@pytest.mark.parametrize("scene", KINDS, indirect=True)
def test_a_powered_off_neighbour_goes_and_a_frozen_one_stays(scene: Scene) -> None:
    """On the same subnet: this host's own kernel says that there is no such neighbour, or says nothing in time."""
    lab, victim = scene.lab, scene.victim
    frozen = next(name for name in followers(lab) if name not in (scene.door, victim))
    lab.freeze(frozen)
    lab.wait_for_gossip(frozen, "failed")
    scene.machines.unplug(victim)
    lab.wait_for_gossip(victim, "failed")
    outcome = scene.execute()
    print(outcome.text)
    assert (outcome.code, outcome.asked) == (0, [victim]), outcome.text
    assert lab.layout.gossip_name(frozen) in outcome.text.partition("not proven dead")[0], outcome.text
