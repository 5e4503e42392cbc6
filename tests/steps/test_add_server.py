"""``raft.add_server`` on this machine: what keeps a server from being started, and when it counts as joined."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Any

import pytest

from runbook.errors import ClusterError, ErrorKind, RefusedError, StepError
from runbook.raft.model import ClusterView
from runbook.steps.raft.joining import add_as_learner
from tests.raft.worlds import Kind, view_of
from tests.steps.world import NoCluster, World

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root sees who has a folder open")
ALIVE, DEAD = Kind(), Kind(sight="refused", gossip="failed")
SERVER = "import os, time; f = open({file!r}, 'w'); time.sleep(60)"


class Cluster(NoCluster):
    """Three voters; and a fourth, in this many looks after its process is there, first without a vote."""

    def __init__(self, kind: str, before: list[Kind], pid: Path) -> None:
        self.name, self._before, self._pid, self._since = f"{kind}:test", before, pid, 0

    def look(self, *, within: float = inf) -> ClusterView:
        if not self._pid.exists():
            return view_of(self._before)
        self._since += 1
        return view_of([*self._before, Kind(voter=self._since > 3)] if self._since > 1 else self._before)


@pytest.fixture
def pid(tmp_path: Path) -> Iterator[Path]:
    """Where the started process writes its id; it is ended with the test."""
    yield tmp_path / "pid"
    with suppress(OSError, ValueError):
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


@pytest.fixture
def host(tmp_path: Path, pid: Path) -> dict[str, Any]:
    (tmp_path / "data").mkdir()
    server = shlex.join([sys.executable, "-c", SERVER.format(file=str(tmp_path / "data" / "log"))])
    started = f"setsid {server} >/dev/null 2>&1 </dev/null & echo $! >{pid}; sleep 0.5"
    service = {"stop": ["true"], "start": ["sh", "-c", started]}
    return {"local": True, "data_folder": str(tmp_path / "data"), "service": service}


def world(tmp_path: Path, pid: Path, kind: str = "consul", before: list[Kind] | None = None) -> World:
    return World(tmp_path / "20261126-run", cluster=Cluster(kind, before or [ALIVE] * 3, pid))


def test_it_is_started_and_waited_for_until_it_votes(tmp_path: Path, pid: Path, host: dict[str, Any]) -> None:
    message, output = world(tmp_path, pid).run("raft.add_server", server="s4", host=host)
    assert (output, message) == ({"id": "id-4", "voters": 4, "changed": True}, "s4 (this host): a voter, one of 4")
    again = world(tmp_path, pid)
    again.cluster.look()
    for _ in range(3):
        again.cluster.look()
    assert again.run("raft.add_server", server="s4", host=host)[1] == {"id": "id-4", "voters": 4, "changed": False}


def test_nobody_is_started_beside_a_dead_voter(tmp_path: Path, pid: Path, host: dict[str, Any]) -> None:
    ours = world(tmp_path, pid, before=[ALIVE, ALIVE, DEAD])
    for context in (ours.context(), ours.context(dry_run=True)):
        with pytest.raises(RefusedError, match="2 of 3 voters are alive .* Bring s3.* back, or remove it") as caught:
            ours.run("raft.add_server", context, server="s4", host=host)
        assert caught.value.reason.code == "NotAllAlive"
    assert not pid.exists()


def test_old_data_is_refused_or_kept_beside(tmp_path: Path, pid: Path, host: dict[str, Any]) -> None:
    (tmp_path / "data" / "raft").mkdir()
    ours = world(tmp_path, pid)
    with pytest.raises(StepError, match=r"data/raft is there: this server was a member before.*move_aside"):
        ours.run("raft.add_server", server="s4", host=host)
    assert not pid.exists()
    assert ours.run("raft.add_server", server="s4", host=host, old_data="move_aside")[1]["voters"] == 4
    assert [each.name for each in sorted((tmp_path / "data").iterdir())] == ["log", "raft.before-20261126-run"]


@pytest.mark.parametrize("words", [[], ["etcd"], ["/usr/bin/etcd", 5]])
def test_etcd_needs_a_first_start(tmp_path: Path, pid: Path, host: dict[str, Any], words: list[Any]) -> None:
    with pytest.raises(StepError, match="etcd joins by a first start of its own, and first_start is no such command"):
        world(tmp_path, pid, "etcd").run("raft.add_server", server="s4", host=host, first_start=words)
    assert not pid.exists()


def test_a_first_start_says_who_it_is(tmp_path: Path, pid: Path, host: dict[str, Any]) -> None:
    words = ["/usr/bin/etcd", "--name=s4"]
    with pytest.raises(StepError, match="first_start sets no name or no initial-advertise-peer-urls"):
        world(tmp_path, pid, "etcd").run("raft.add_server", server="s4", host=host, first_start=words)
    (tmp_path / "data" / "member").mkdir()
    words.append("--initial-advertise-peer-urls=http://10.0.0.4:2380")
    with pytest.raises(StepError, match="member is there: this server was a member before"):
        world(tmp_path, pid, "etcd").run("raft.add_server", server="s4", host=host, first_start=words)


def test_who_does_not_join_is_told_with_why(tmp_path: Path, pid: Path, host: dict[str, Any]) -> None:
    ours = world(tmp_path, pid)
    with pytest.raises(ClusterError, match="it has no vote after 5 s: it is not listed yet"):
        ours.run("raft.add_server", server="other", host=host, within=5.0)


def test_without_a_host_nothing_is_done(tmp_path: Path, pid: Path) -> None:
    with pytest.raises(StepError, match="no host of s4 is known"):
        world(tmp_path, pid).run("raft.add_server", server="s4")


def test_a_dry_run_starts_nothing(tmp_path: Path, pid: Path, host: dict[str, Any]) -> None:
    assert world(tmp_path, pid).dry("raft.add_server", server="s4", host=host) == (
        "s4 would be started and join as a new server",
        {},
    )
    assert not pid.exists()


class NotReady(NoCluster):
    """etcd's, which takes no member in this many attempts."""

    name = "etcd:test"

    def __init__(self, attempts: int, kind: ErrorKind = ErrorKind.UNAVAILABLE) -> None:
        self._left, self._kind = attempts, kind

    def add_learner(self, peer_urls: tuple[str, ...], *, within: float = inf) -> tuple[str, dict[str, str]]:
        self._left -= 1
        if self._left >= 0:
            raise ClusterError(self._kind, "http://a answered 503: etcdserver: unhealthy cluster")
        return "ff", {"ff": f"={peer_urls[0]}"}

    def promote(self, member_id: str, *, within: float = inf) -> None:
        raise AssertionError("it has no vote to get here")


def test_a_member_is_added_once_the_cluster_takes_one(tmp_path: Path) -> None:
    """As right after a recovery, when etcd calls the cluster unhealthy until all have been connected for 5 s."""
    ours = World(tmp_path, cluster=NotReady(6))
    assert add_as_learner(ours.context(), ("http://d:2380",), 600.0) == ("ff", {"ff": "=http://d:2380"})
    assert ours.clock.slept == [1.0] * 6
    assert [event.kind for event in ours.events] == ["step.waiting"]
    with pytest.raises(ClusterError, match="no new member for 60 s: http://a answered 503.*See with runbook diagnose"):
        add_as_learner(World(tmp_path, cluster=NotReady(99)).context(), ("http://d:2380",), 600.0)
    with pytest.raises(ClusterError, match="unhealthy"):
        add_as_learner(World(tmp_path, cluster=NotReady(1, ErrorKind.AMBIGUOUS)).context(), ("http://d:2380",), 600.0)
