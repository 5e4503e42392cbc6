"""``raft.stop_frozen`` on this machine: a real process that SIGSTOP has stopped, and a shell in its folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any

import pytest

from runbook.cluster_events import Looked
from runbook.errors import RefusedError, StepError
from runbook.events import Event, RunStarted
from runbook.hosts.spec import host_spec
from runbook.hosts.stopping import StoppingHost
from runbook.raft.model import ClusterView, Configuration, Reach
from runbook.run_state import RunState
from runbook.steps.base import StepResult
from runbook.steps.context import StepContext
from tests.raft.worlds import Kind, view_of
from tests.steps.world import FakeClock, NoCluster, World

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root sees who has a folder open")
SERVER = """import socket, sys, time
data = open(sys.argv[1], "w"); line = socket.create_server((sys.argv[2], 4647))
print("up", flush=True); time.sleep(120)"""
STAND = "import os, sys, time; os.chdir(sys.argv[1]); print('up', flush=True); time.sleep(120)"
HOST = f"127.9.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"  # another one for each process that runs tests
FROZEN = Kind(sight="accepts", gossip="failed")


def started(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"up\n"
    return process


def state_of(process: subprocess.Popen[bytes]) -> str:
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]


@dataclass
class Machine:
    """The data folder of ``id-5``, its frozen process, and somebody's shell in there."""

    data: Path
    server: subprocess.Popen[bytes]
    shell: subprocess.Popen[bytes]
    stop: list[str] = field(default_factory=list)

    @property
    def host(self) -> dict[str, Any]:
        service = {"stop": self.stop or ["kill", "-TERM", str(self.server.pid)], "start": ["true"]}
        return {"server": "s5", "local": True, "data_folder": str(self.data), "service": service}


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    data = tmp_path / "data"
    (data / "server").mkdir(parents=True)
    (data / "server" / "node-id").write_text("id-5")
    made = Machine(data, started(SERVER, data / "raft.db", HOST), started(STAND, data / "server"))
    made.server.send_signal(signal.SIGSTOP)
    os.waitpid(made.server.pid, os.WUNTRACED)  # until it stands still, which it is not at once on a busy machine
    yield made
    for process in (made.server, made.shell):
        process.kill()
        process.wait(10)
        assert process.stdout
        process.stdout.close()


@dataclass
class Cluster(NoCluster):
    """Of five, the fifth is where the machine is; whether it accepts, the machine tells."""

    machine: Machine
    clock: FakeClock
    kinds: list[Kind] = field(default_factory=lambda: [Kind()] * 4 + [FROZEN])
    name: str = "nomad:x"
    looks: int = 0

    def look(self, *, within: float = inf) -> ClusterView:
        self.looks += 1
        view = view_of(self.kinds, at=self.clock.monotonic())
        assert view.configuration
        peers = tuple(replace(p, address=f"{HOST}:4647") if p.id == "id-5" else p for p in view.configuration.peers)
        return replace(view, configuration=Configuration(peers), probes={**view.probes, f"{HOST}:4647": Reach.ACCEPTED})

    def probe(self, addresses: Collection[str]) -> Mapping[str, Reach]:
        ended = self.machine.server.poll() is not None
        return dict.fromkeys(addresses, Reach.REFUSED if ended else Reach.ACCEPTED)


@dataclass
class Desk:
    machine: Machine
    folder: Path
    state: RunState = field(default_factory=RunState)
    begun: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cluster = Cluster(self.machine, FakeClock())
        self.emit(RunStarted("r", "stop", "", "nomad:x", "ann", False, {}))

    def emit(self, event: Event) -> None:
        self.state.apply({"at": "", **event.record()}, view=event.view if isinstance(event, Looked) else None)

    def change(
        self, context: StepContext, key: tuple[str, int | None], uses: str, act: Callable[[], StepResult]
    ) -> StepResult:
        self.begun.append(uses)
        return act()

    def stop(self, server: str = "s5", **more: Any) -> str:
        world = World(self.folder, clock=self.cluster.clock, cluster=self.cluster)
        known = {"host": self.machine.host, "within": 1.0, "confirm_for": 30.0, **more}
        hosts = known.pop("hosts", {})
        context = world.context(emit=self.emit, state=self.state, change=self.change, hosts=hosts)
        message, output = world.run("raft.stop_frozen", context, server=server, **known)
        assert (output["id"], output["address"]) == ("id-5", f"{HOST}:4647")
        return message

    def refused(self, **more: Any) -> str:
        with pytest.raises(RefusedError) as caught:
            self.stop(**more)
        assert self.begun == []
        assert state_of(self.machine.server) == "T"
        return f"{caught.value.reason.code}: {caught.value.sentence}"


def test_its_service_does_not_end_it_so_it_is_killed_and_nobody_else_is(machine: Machine, tmp_path: Path) -> None:
    """SIGTERM waits until a stopped process goes on."""
    desk = Desk(machine, tmp_path)
    message = desk.stop()
    assert f"by SIGKILL of process {machine.server.pid}, as its service did not end it within 1 s" in message
    assert machine.server.wait(10) == -signal.SIGKILL
    assert machine.shell.poll() is None
    assert desk.cluster.looks > 10
    assert desk.begun == ["raft.stop_frozen"]


def test_a_service_that_wakes_it_ends_it(machine: Machine, tmp_path: Path) -> None:
    """As systemd does, which sends SIGCONT after SIGTERM: then nothing is killed."""
    pid = machine.server.pid
    machine.stop = ["sh", "-c", f"kill -TERM {pid}; kill -CONT {pid}"]
    assert "by its service" in Desk(machine, tmp_path).stop()
    assert machine.server.wait(10) == -signal.SIGTERM


def test_one_that_wakes_while_its_service_takes_its_time_is_not_killed(machine: Machine, tmp_path: Path) -> None:
    """The look on which the stop was decided is a minute old by then, and a server that runs again may still lead."""
    desk, machine.stop = Desk(machine, tmp_path), ["true"]
    change = desk.change

    def wakes(*given: Any) -> StepResult:
        desk.cluster.kinds = [Kind()] * 5
        return change(*given)

    desk.change = wakes  # type: ignore[method-assign, assignment]
    with pytest.raises(StepError, match=r"s5.global is alive: .*, so it was not killed"):
        desk.stop()
    assert machine.server.poll() is None


def test_a_stop_command_that_hangs_or_fails_is_not_waited_for(machine: Machine, tmp_path: Path) -> None:
    machine.stop = ["false"]
    assert "as its service did not: s5 (this host): false: ended with 1" in Desk(machine, tmp_path).stop()
    assert machine.server.wait(10) == -signal.SIGKILL


def test_a_server_that_is_heard_is_refused_with_the_numbers(machine: Machine, tmp_path: Path) -> None:
    desk = Desk(machine, tmp_path)
    desk.cluster.kinds = [Kind()] * 5
    assert "heard in 5 of 5 looks over 12 s" in desk.refused()


def test_a_server_that_comes_and_goes_is_refused(machine: Machine, tmp_path: Path) -> None:
    desk = Desk(machine, tmp_path)
    look = desk.cluster.look

    def now_and_then(*, within: float = inf) -> ClusterView:
        desk.cluster.kinds = [Kind()] * 4 + [Kind(sight="accepts") if desk.cluster.looks % 4 == 0 else FROZEN]
        return look(within=within)

    desk.cluster.look = now_and_then  # type: ignore[method-assign]
    words = r"NotConfirmed: s5 was seen frozen in \d+ of \d+ looks over 120 s, and not for 30 s in a row; else "
    assert re.match(words, desk.refused())


def test_one_that_wakes_while_a_person_thinks_is_refused(machine: Machine, tmp_path: Path) -> None:
    desk = Desk(machine, tmp_path)

    def permit(*_: object) -> bool:
        desk.cluster.kinds = [Kind()] * 5
        return True

    world = World(tmp_path, clock=desk.cluster.clock, cluster=desk.cluster)
    context = world.context(emit=desk.emit, state=desk.state, change=desk.change, permit=permit)
    with pytest.raises(RefusedError, match="heard in 1 of 1 looks"):
        world.run("raft.stop_frozen", context, server="s5", host=machine.host)
    assert (desk.begun, state_of(machine.server)) == ([], "T")


def test_the_host_must_be_its_own_and_its_process_must_run(machine: Machine, tmp_path: Path) -> None:
    desk = Desk(machine, tmp_path)
    (machine.data / "server" / "node-id").write_text("id-4")
    assert "WrongHost: s5 (this host) has the id id-4: it is another server's host" in desk.refused()
    (machine.data / "server" / "node-id").unlink()
    other = {**machine.host, "data_folder": str(tmp_path / "other")}
    (tmp_path / "other").mkdir()
    assert "is it" in desk.refused(host=other) or "listens for" in desk.refused(host=other)
    machine.server.kill()
    machine.server.wait(10)
    with pytest.raises(RefusedError, match="listens for|does not run"):
        desk.stop()


def test_the_inventory_knows_its_host(machine: Machine, tmp_path: Path) -> None:
    desk = Desk(machine, tmp_path)
    spec = host_spec("s5", machine.host)
    assert "NoHost: s5.global cannot be stopped: no host of it is given" in desk.refused(host=None, hosts={"s4": spec})
    half = replace(spec, data_folder="")
    assert "its host has no data_folder" in desk.refused(host=None, hosts={"s5": half})
    assert "was stopped" in desk.stop(host=None, hosts={"s4": half, "s5": spec})


def test_who_does_not_hold_the_folder_any_more_is_not_killed(machine: Machine, tmp_path: Path) -> None:
    """A number may have become another process's: it is looked at once more, just before."""
    stranger = started(STAND, tmp_path)
    StoppingHost(host_spec("s5", machine.host)).kill([str(stranger.pid), "4194303"])
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait(10)
    assert stranger.stdout
    stranger.stdout.close()
