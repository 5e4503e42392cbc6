"""A look asks the machines of servers of whom nothing else is missing for *dead*, and of nobody else's."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from math import inf
from pathlib import Path
from typing import IO

import pytest

from runbook.clock import seconds as now
from runbook.cluster import with_hosts
from runbook.cluster.with_hosts import ClusterWithHosts
from runbook.errors import StepError, unexpected
from runbook.hosts.host import Examined, Host, Running, ServiceState
from runbook.hosts.spec import HostSpec
from runbook.raft.liveness import Liveness, judge_once
from runbook.raft.model import ClusterView, Peer, Reach
from tests.raft.worlds import Kind, peer, view_of

UNTRIED = Kind(sight="untried", gossip="failed")
HOSTS = {f"s{number}": HostSpec(f"s{number}", data_folder="/srv/nomad") for number in range(1, 6)}


class StandingCluster:
    """It looks as it is told."""

    name = "nomad:x"
    secrets = ("token",)

    def __init__(self, *kinds: Kind) -> None:
        self.kinds = kinds

    def look(self, *, within: float = inf) -> ClusterView:
        return view_of(self.kinds, at=now())

    def probe(self, addresses: Collection[str]) -> Mapping[str, Reach]:
        return {}

    def remove_peer(self, peer: Peer, *, within: float = inf) -> None:
        raise AssertionError

    def save_state(self, path: Path, *, within: float = inf) -> str:
        raise AssertionError


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whose machines were asked; each has stopped, but that of s4 cannot be reached."""
    names: list[str] = []

    def examine(host: Host, address: str, id_file: str) -> Examined:
        names.append(host.spec.server)
        number = int(host.spec.server.removeprefix("s"))
        assert (address, id_file) == (peer(number).address, "server/node-id")
        if number == 4:
            raise unexpected("ssh was turned away")
        return Examined(
            ServiceState(Running.STOPPED, False, "its unit is inactive"), peer(number).id, True, True, False
        )

    monkeypatch.setattr(Host, "examine", examine)
    return names


def test_only_those_whom_a_word_would_settle_are_asked_in_every_look(asked: list[str]) -> None:
    cluster = StandingCluster(Kind(), Kind(), UNTRIED, UNTRIED, Kind(sight="refused", gossip="failed"))
    hosted = ClusterWithHosts(cluster, HOSTS)
    for _ in range(2):
        view = hosted.look()
        assert judge_once(view, peer(3)).liveness is Liveness.DEAD
        assert "ssh was turned away" in judge_once(view, peer(4)).evidence[0]
    assert sorted(asked) == ["s3", "s3", "s4", "s4"]
    cluster.kinds = (Kind(),) * 5
    assert hosted.look().host_words == {}
    hosted.look()
    assert sorted(asked) == ["s3", "s3", "s3", "s4", "s4", "s4"], "asked beside the look that settled it, and no more"


@pytest.mark.parametrize("hosts", [{}, {"s9": HOSTS["s3"]}, {"10.0.0.3": HOSTS["s3"]}])
def test_a_machine_of_nobody_says_nothing(asked: list[str], hosts: dict[str, HostSpec]) -> None:
    view = ClusterWithHosts(StandingCluster(Kind(), Kind(), UNTRIED), hosts).look()
    assert (view.host_words, asked) == ({}, [])


def test_a_machine_that_hangs_holds_up_a_look_for_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(with_hosts, "LIMIT", 0.2)
    monkeypatch.setattr(Host, "examine", lambda *_: time.sleep(5))
    began = now()
    view = ClusterWithHosts(StandingCluster(Kind(), Kind(), UNTRIED), HOSTS).look()
    assert now() - began < 3
    assert "nothing was said within 0.2 s" in judge_once(view, peer(3)).evidence[0]
    assert view.seconds >= 0.2


def test_a_snapshot_is_restored_by_the_cluster_within_or_not_at_all(tmp_path: Path) -> None:
    """etcd's members restore none while they run, whatever is around them."""

    class Restoring(StandingCluster):
        got = b""

        def restore_state(self, state: IO[bytes], *, within: float = inf) -> None:
            self.got = state.read()

    path, inner = tmp_path / "state.snap", Restoring()
    path.write_bytes(b"state")
    with path.open("rb") as file:
        ClusterWithHosts(inner, HOSTS).restore_state(file)
        assert inner.got == b"state"
        with pytest.raises(StepError, match="etcdutl snapshot restore"):
            ClusterWithHosts(StandingCluster(), HOSTS).restore_state(file)
