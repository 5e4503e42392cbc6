"""``host.service``, ``host.backup`` and ``raft.write_peers`` on this machine, with a process that has a folder open."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from runbook.cluster.port import Cluster
from runbook.errors import RefusedError, StepError
from runbook.hosts.spec import host_map, host_spec
from runbook.raft.model import Reach
from runbook.steps.context import StepContext
from tests.steps.world import World

GOOD: dict[str, Any] = {"ssh": "admin@10.0.0.11", "data_folder": "/opt/consul", "service": {"unit": "consul"}}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "neither ssh nor local": ({"ssh": None}, "needs either ssh: USER@HOST or local: true"),
    "both": ({"local": True}, "needs either ssh: USER@HOST or local: true"),
    "an unknown key": ({"sudoo": True}, "has the unknown key sudoo"),
    "a relative folder": ({"data_folder": "consul"}, "needs data_folder, an absolute path"),
    "no folder": ({"data_folder": None}, "needs data_folder, an absolute path"),
    "a port that is none": ({"port": 70000}, "has the port 70000, which is none"),
    "no service": ({"service": None}, "needs service, with unit or with stop and start"),
    "half a service": ({"service": {"stop": "x"}}, "needs service with unit, or with both stop and start"),
    "a unit and a command": ({"service": {"unit": "x", "stop": "y"}}, "needs service with unit, or with both"),
    "a quote that does not end": ({"service": {"stop": "'", "start": "x"}}, "the quotes in its command do not match"),
    "a command that is none": ({"service": {"stop": 1, "start": "x"}}, "a command is a text, or a list of words"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_host_that_cannot_be_one(case: str) -> None:
    """Each fault names the server and the key, before anything was done."""
    changed, words = BAD[case]
    with pytest.raises(StepError, match="the host of s1.*"):
        host_spec("s1", {**GOOD, **changed})
    with pytest.raises(StepError) as caught:
        host_spec("s1", {**GOOD, **changed})
    assert words in str(caught.value)


def test_a_host_comes_through_a_record() -> None:
    """What a step gives to later ones means the same host."""
    for told in (GOOD, {**GOOD, "ssh": None, "local": True, "service": {"stop": "sh -c 'x y'", "start": ["a b"]}}):
        spec = host_spec("s1", {key: value for key, value in told.items() if value is not None})
        assert host_spec("s1", host_map(spec)) == spec


pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root sees who has a folder open")
SERVER = "import time; f = open({file!r}, 'w'); open({up!r}, 'w').close(); time.sleep(120)"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A server that runs until its stop command."""
    raft = tmp_path / "data" / "raft"
    raft.mkdir(parents=True)
    (raft / "peers.info").write_text("info")
    code = SERVER.format(file=str(raft / "raft.db"), up=str(tmp_path / "up"))
    process = subprocess.Popen([sys.executable, "-c", code])
    while not (tmp_path / "up").exists():
        assert process.poll() is None
    service = {"stop": ["sh", "-c", f"kill {process.pid}"], "start": [sys.executable, "-c", "pass"]}
    yield {"server": "s1", "local": True, "data_folder": str(tmp_path / "data"), "service": service}
    process.kill()
    process.wait(10)


def test_a_server_is_stopped_once_and_then_copied(host: dict[str, Any], tmp_path: Path) -> None:
    """What is copied under a running server need not fit together; a second stop and a second copy do nothing."""
    world = World(tmp_path / "20261126-run")
    with pytest.raises(StepError, match="the server runs .*Stop it first"):
        world.run("host.backup", host=host, folder="raft")
    assert world.run("host.service", host=host, do="stop")[1] == {"running": False, "changed": True}
    assert world.run("host.service", host=host, do="stop")[1] == {"running": False, "changed": False}
    path = f"{tmp_path}/data/raft.before-20261126-run"
    assert [world.run("host.backup", host=host, folder="raft")[1]["path"] for _ in range(2)] == [path] * 2
    assert (Path(path) / "peers.info").read_text() == "info"


def test_a_server_that_does_not_start_is_said(host: dict[str, Any], tmp_path: Path) -> None:
    """Its command ends well, and nothing runs."""
    world = World(tmp_path)
    world.run("host.service", host=host, do="stop")
    with pytest.raises(StepError, match=r"start was asked for, and after 1 s no process has its data folder open"):
        world.run("host.service", host=host, do="start", within=1.0)


PLAN = {
    "method": "peers.json",
    "peers_json": "[]\n",
    "raft_folder": "raft",
    "like": "peers.info",
    "survivors": [{"address": "10.0.0.1:8300"}],
    "left_out": [{"name": "s3.global", "address": "10.0.0.3:8300"}, {"name": "old", "address": "10.0.0.1:8300"}],
}


def context_with(context: StepContext, reach: Reach, survivor: Reach | None = None) -> StepContext:
    """One whose cluster has this to say of the port of s3, and of the survivor's where one is given; of no other."""
    known = {"10.0.0.3:8300": reach, **({"10.0.0.1:8300": survivor} if survivor else {})}

    class Ports:
        def probe(self, addresses: Collection[str]) -> Mapping[str, Reach]:
            return {address: known[address] for address in addresses}

    return replace(context, cluster=cast("Cluster", Ports()))


def test_a_file_is_written_only_for_a_confirmed_plan_and_a_stopped_server(host: dict[str, Any], tmp_path: Path) -> None:
    """What is in it is what a person has agreed to in this run; and not where a server that it leaves out is back."""
    world, plan = World(tmp_path), PLAN
    with pytest.raises(StepError, match="no raft.confirm_recovery of this run has confirmed this plan"):
        world.run("raft.write_peers", host=host, plan=plan)
    context = world.context()
    context.state.uses["confirmed"], context.state.outputs["confirmed"] = "raft.confirm_recovery", plan
    with pytest.raises(StepError, match="no raft.confirm_recovery of this run has confirmed this plan"):
        world.run("raft.write_peers", context, host=host, plan={**plan, "peers_json": '["10.0.0.9:8300"]\n'})
    with pytest.raises(StepError, match="Stop every survivor first"):
        world.run("raft.write_peers", context, host=host, plan=plan)
    world.run("host.service", host=host, do="stop")
    with pytest.raises(RefusedError, match=r"no survivor begins anew without s3.global: the Raft port accepts"):
        world.run("raft.write_peers", context_with(context, Reach.ACCEPTED), host=host, plan=plan)
    assert not (tmp_path / "data" / "raft" / "peers.json").exists()
    context = context_with(context, Reach.REFUSED)
    told = [world.run("raft.write_peers", context, host=host, plan=plan)[1]["changed"] for _ in range(2)]
    assert told == [True, False]
    assert (tmp_path / "data" / "raft" / "peers.json").read_text() == "[]\n"


def test_no_survivor_is_started_first_where_a_server_that_was_left_out_is_back(
    host: dict[str, Any], tmp_path: Path
) -> None:
    """A run that was killed after the files were written may be resumed hours later; nothing is started then."""
    world, context = World(tmp_path), World(tmp_path).context()
    with pytest.raises(StepError, match="no raft.confirm_recovery of this run has confirmed this plan"):
        world.run("host.service", host={**host, "data_folder": str(tmp_path / "none")}, do="start", plan=PLAN)
    context.state.uses["confirmed"], context.state.outputs["confirmed"] = "raft.confirm_recovery", PLAN
    world.run("host.service", host=host, do="stop")
    host["service"]["start"] = ["touch", str(tmp_path / "started")]
    back = context_with(context, Reach.ACCEPTED, survivor=Reach.REFUSED)
    with pytest.raises(RefusedError, match=r"no survivor begins anew without s3.global: the Raft port accepts"):
        world.run("host.service", back, host=host, do="start", plan=PLAN, within=1.0)
    assert not (tmp_path / "started").exists()
    for known in (
        context_with(context, Reach.REFUSED, survivor=Reach.REFUSED),
        context_with(context, Reach.ACCEPTED, survivor=Reach.ACCEPTED),
    ):
        with pytest.raises(StepError, match="start was asked for"):
            world.run("host.service", known, host=host, do="start", plan=PLAN, within=1.0)
        (tmp_path / "started").unlink()


def test_a_dry_run_touches_nothing(host: dict[str, Any], tmp_path: Path) -> None:
    """And says what it would do where."""
    world = World(tmp_path)
    assert world.dry("host.service", host=host, do="stop")[0] == "would stop the server on s1"
    assert world.dry("host.backup", host=host, folder="raft")[0] == "would copy the raft folder of s1 aside"
    assert world.dry("raft.write_peers", host=host, plan={})[0] == "would write peers.json on the host of s1"
    told = world.dry("raft.force_new_cluster", host=host, plan={})[0]
    assert told == "would start etcd once with --force-new-cluster on s1"
    assert world.dry("raft.join_empty", host=host, plan={})[0] == "s1 would join as an empty member"
