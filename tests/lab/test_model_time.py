"""The simulated cluster's time: what is passed over, and ways on which packets are lost in one direction."""

from __future__ import annotations

from typing import Any

import pytest

from runbook.simulation.cluster import SimulatedCluster
from tests.lab.asking import cluster, followers, leader_of, statuses, wait


def test_a_way_lost_in_one_direction_ends_raft_and_not_gossip() -> None:
    """The gossip path works and the Raft path does not; lost both ways, gossip notices too."""
    model = cluster(5)
    leader, other = leader_of(model), followers(model)[0]
    model.drop_packets(leader, other)
    wait(model, 60)
    assert statuses(model, other) == {"alive"}
    assert model.state.now - model.server(other).heard_at > 50
    model.drop_packets(other, leader)
    wait(model, 60)
    assert model.server(leader).gossip[other].status.value == "failed"
    model.heal()
    wait(model, 20)
    assert statuses(model, other) == {"alive"}


@pytest.mark.parametrize("servers", [3, 5, 7])
def test_time_that_is_passed_over_is_time_in_which_nothing_happens(servers: int) -> None:
    """One leap of a minute ends as twelve hundred single moments do, whatever befell the cluster before."""
    leaping, stepping = cluster(servers, cleanup=True), cluster(servers, cleanup=True)
    for befall in (SimulatedCluster.kill, SimulatedCluster.restart, SimulatedCluster.freeze, SimulatedCluster.thaw):
        for model in (leaping, stepping):
            befall(model, "s2")
        wait(leaping, 90)
        for _ in range(1800):
            wait(stepping, 0.05)
        assert told_of(leaping) == told_of(stepping)


def test_a_cluster_of_the_dead_waits_without_end() -> None:
    """Nothing is ever due where nobody runs."""
    model = cluster(3)
    for name in ("s1", "s2", "s3"):
        model.kill(name)
    wait(model, 1000)
    assert model.state.now >= 1000


def told_of(model: SimulatedCluster) -> list[Any]:
    """What does not hang on chance: who is listed, votes, runs, and what gossip says."""
    return [
        (
            server.process,
            sorted((peer.address, peer.voter) for peer in server.peers),
            {name: seen.status for name, seen in server.gossip.items()},
            server.change_pending,
        )
        for server in model.state.servers.values()
    ]
