"""The simulated cluster does as real ones do, in its own time: nothing here waits, opens a socket or can be late."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runbook.errors import LabError
from runbook.simulation.cluster import SimulatedCluster
from tests.lab.asking import (
    CONFIGURATION,
    TRANSFER,
    cluster,
    followers,
    leader_of,
    peers,
    remove,
    seconds_until,
    statuses,
    terms,
    told,
    wait,
)

LOST = b"leadership lost while committing log"


def test_gossip_notices_a_death_as_late_as_in_reality() -> None:
    """35 to 48 s, and each server in its own time."""
    model = cluster(5)
    victim = followers(model)[0]
    model.kill(victim)
    wait(model, 35)
    assert statuses(model, victim) == {"alive"}
    noticed = seconds_until(model, lambda: "failed" in statuses(model, victim), 13)
    assert seconds_until(model, lambda: statuses(model, victim) == {"failed"}, 13 - noticed) > 0
    model.restart(victim)
    wait(model, 0.1)
    assert statuses(model, victim) == {"alive"}


def test_a_dead_leader_is_replaced_within_seconds_and_reads_wait_for_it() -> None:
    """About 2.8 s, less than the hold of 5 s; a forwarded call to the dead one is refused before that."""
    model = cluster(5)
    leader = leader_of(model)
    asked = followers(model)[0]
    model.kill(leader)
    refused = told(model, asked, CONFIGURATION)
    assert refused.status == 500
    assert refused.body.startswith(b"rpc error: failed to get conn: dial tcp 127.0.0.")
    assert seconds_until(model, lambda: model.leader() not in (None, leader), 5) < 5
    assert told(model, asked, CONFIGURATION).status == 200


def test_without_a_quorum_the_leader_steps_down_and_only_stale_reads_are_answered() -> None:
    """Half a second of lease, five seconds of hold, then `No cluster leader`."""
    model = cluster(3)
    leader = leader_of(model)
    for name in followers(model):
        model.kill(name)
    assert 0.4 < seconds_until(model, lambda: model.leader() is None, 1) < 0.7
    before = model.state.now
    reply = told(model, leader, CONFIGURATION)
    assert (reply.status, reply.body) == (500, b"No cluster leader")
    assert 5.0 <= model.state.now - before < 5.2
    assert {row["Leader"] for row in peers(model, leader).values()} == {False}
    assert remove(model, leader, at=leader) == (500, b"No cluster leader")


def test_a_dead_server_removed_before_gossip_knows_comes_back_as_a_non_voter() -> None:
    """The next reconcile finds it alive in gossip, and nobody takes it out again."""
    model = cluster(5)
    victim = followers(model)[0]
    address = model.server(victim).address
    wait(model, 55)
    model.kill(victim)
    assert remove(model, victim) == (200, b"")
    assert address not in peers(model, leader_of(model))
    wait(model, 7)
    assert peers(model, leader_of(model))[address]["Voter"] is False
    wait(model, 60)
    assert peers(model, leader_of(model))[address]["Voter"] is False


def test_a_living_server_that_was_removed_campaigns_and_becomes_a_voter_again() -> None:
    """It does not know, the term grows, the next reconcile adds it and autopilot promotes it."""
    model = cluster(5, version="1.0.18")
    name = followers(model)[0]
    address, term = model.server(name).address, terms(model)
    assert remove(model, name) == (200, b"")
    wait(model, 30)
    assert terms(model) > term + 5
    assert address not in peers(model, leader_of(model))
    seconds_until(model, lambda: model.leader() and address in peers(model, leader_of(model)), 60)
    seconds_until(model, lambda: model.leader() and peers(model, leader_of(model))[address]["Voter"], 60)


def test_the_leader_may_be_removed_and_comes_back() -> None:
    """Nothing forbids it, and it works; so the guard must be ours."""
    model = cluster(5)
    name = leader_of(model)
    address = model.server(name).address
    assert remove(model, name, at=followers(model)[0]) == (200, b"")
    seconds_until(model, lambda: model.leader() not in (None, name), 5)
    wait(model, 1)
    assert peers(model, leader_of(model))[address]["Voter"] is False
    seconds_until(model, lambda: peers(model, leader_of(model))[address]["Voter"], 40)


@pytest.mark.parametrize("version", ["1.8.0", "1.11.3"])
def test_the_leadership_moves_at_once_and_stays_where_the_target_is_dead(version: str) -> None:
    """No election has to be waited for, with pre-vote (1.9) or without; and the logs are equal afterwards."""
    model = cluster(5, version=version)
    before, term = leader_of(model), terms(model)
    wanted, dead, *_ = followers(model)
    reply = told(model, before, f"{TRANSFER}?id={model.server(wanted).uuid}", "PUT")
    assert (reply.status, leader_of(model), terms(model)) == (200, wanted, term + 1)
    for _ in range(50):
        wait(model, 0.2)
    assert (leader_of(model), terms(model)) == (wanted, term + 1)
    assert len({tuple(server.log) for server in model.state.servers.values()}) == 1
    model.kill(dead)
    reply = told(model, wanted, f"{TRANSFER}?id={model.server(dead).uuid}", "PUT")
    assert (reply.status, leader_of(model)) == (500, wanted)
    assert b"failed to transfer leadership in 3 attempts" in reply.body


@pytest.mark.parametrize("version", ["1.0.18", "1.11.3"])
def test_a_removal_after_quorum_is_lost_ends_in_the_dead_end(version: str) -> None:
    """With it sent, two of three alive are not enough; without it they would be."""
    model = cluster(3, version=version)
    leader = leader_of(model)
    removed, other = followers(model)
    model.kill(removed)
    model.kill(other)
    assert remove(model, removed) == (500, LOST)
    assert model.server(removed).address not in peers(model, leader)
    model.restart(removed)
    wait(model, 60)
    assert model.leader() is None
    model.restart(other)
    seconds_until(model, lambda: model.leader() is not None, 10)


def test_without_that_removal_two_of_three_elect_a_leader() -> None:
    """The other half of the dead end: it is the removal that makes it one."""
    model = cluster(3)
    first, second = followers(model)
    model.kill(first)
    model.kill(second)
    wait(model, 2)
    model.restart(first)
    seconds_until(model, lambda: model.leader() is not None, 10)


def test_of_two_voters_a_quick_removal_of_the_dead_one_succeeds() -> None:
    """The new configuration has a quorum of one; once the lease is over it is too late."""
    quick, late = cluster(2), cluster(2)
    quick.kill(followers(quick)[0])
    assert remove(quick, "s1" if quick.leader() == "s2" else "s2") == (200, b"")
    wait(quick, 30)
    assert quick.leader() is not None
    leader = leader_of(late)
    dead = followers(late)[0]
    late.kill(dead)
    wait(late, 1)
    assert remove(late, dead, at=leader) == (500, b"No cluster leader")


def test_a_wiped_server_is_a_new_one_at_an_old_address_until_reconcile_settles_it() -> None:
    """The old id looks known and alive; then it is replaced, as a non-voter first."""
    model = cluster(3)
    name = followers(model)[0]
    server = model.server(name)
    old = server.uuid
    model.restart(name, wiped=True)
    wait(model, 1)
    row = peers(model, leader_of(model))[server.address]
    assert (row["ID"], row["Node"], row["Voter"]) == (old, f"{name}.global", True)
    members = json.loads(told(model, leader_of(model), "/v1/agent/members").body)["Members"]
    assert {row["Tags"]["id"] for row in members if row["Addr"] == server.host} == {server.uuid}
    assert server.uuid != old
    wait(model, 60)
    assert (peers(model, leader_of(model))[server.address]["ID"]) == server.uuid
    seconds_until(model, lambda: peers(model, leader_of(model))[server.address]["Voter"], 30)


def test_a_partition_leaves_the_smaller_side_without_leader_and_heals() -> None:
    """Both sides answer, each calls the other failed in the end, and only one may change anything."""
    model = cluster(5, gossip_delay=2)
    leader = leader_of(model)
    beside, *rest = followers(model)
    model.partition([[leader, beside], rest])
    wait(model, 10)
    assert model.leader() in rest
    assert {told(model, name, CONFIGURATION).body for name in (leader, beside)} == {b"No cluster leader"}
    assert told(model, rest[0], CONFIGURATION).status == 200
    assert model.server(leader).gossip[rest[0]].status.value == "failed"
    assert model.server(rest[0]).gossip[leader].status.value == "failed"
    model.heal()
    wait(model, 5)
    assert {row["Leader"] for row in peers(model, leader).values()} == {True, False}
    assert statuses(model, leader) == statuses(model, rest[0]) == {"alive"}


def test_a_thawed_leader_believes_in_itself_for_one_more_read() -> None:
    """Even a default read may be an ex-leader's; the next one is right."""
    model = cluster(3)
    old = leader_of(model)
    model.freeze(old)
    seconds_until(model, lambda: model.leader() is not None, 10)
    new = model.server(leader_of(model))
    model.thaw(old)
    assert led_by(model, old) == {model.server(old).address}
    wait(model, 0.1)
    assert led_by(model, old) == {new.address}


def led_by(model: SimulatedCluster, asked: str) -> set[str]:
    rows = json.loads(told(model, asked, CONFIGURATION).body)["Servers"]
    return {row["Address"] for row in rows if row["Leader"]}


def test_a_failed_member_made_to_leave_goes_out_of_raft_and_a_living_one_does_not() -> None:
    """By its whole gossip name; any other name is taken without a word and does nothing."""
    model = cluster(5, gossip_delay=2)
    dead, living = followers(model)[:2]
    model.kill(dead)
    wait(model, 5)
    leader = leader_of(model)
    for name in (dead, f"{living}.global", "nobody.global"):
        assert told(model, leader, f"/v1/agent/force-leave?node={name}", "PUT").status == 200
    wait(model, 1)
    assert len(peers(model, leader)) == 5
    assert told(model, leader, f"/v1/agent/force-leave?node={dead}.global", "PUT").status == 200
    wait(model, 1)
    assert set(peers(model, leader)) == {s.address for s in model.state.servers.values() if s.name != dead}


@pytest.mark.parametrize(("cleanup", "left"), [(True, 4), (False, 5)])
def test_autopilot_removes_a_dead_server_only_where_it_is_told_to(cleanup: bool, left: int) -> None:
    """One tick after gossip; with it off an operator must, which is what the lab is for."""
    model = cluster(5, cleanup=cleanup)
    model.kill(followers(model)[0])
    wait(model, 60)
    assert len(peers(model, leader_of(model))) == left


WRONG: list[tuple[Any, str]] = [
    (lambda: cluster(0), "1 to 244 servers, not 0"),
    (lambda: cluster(3, raft_protocol=4), "2 or 3, not 4"),
    (lambda: cluster(3, raft_protocol=2, version="1.4.0"), "raft_protocol must be 3"),
    (lambda: cluster(3, version="newest"), "a version is written like"),
    (lambda: cluster(3, gossip_delay=0), "above 0"),
    (lambda: cluster(3).kill("s4"), "no server s4 in this lab: it has s1, s2, s3"),
    (lambda: cluster(3).partition([["s1"], ["s1"]]), "one group"),
    (lambda: cluster(3).partition([["s1", "x"]]), "no server x"),
]


@pytest.mark.parametrize(("use", "text"), WRONG, ids=[text for _, text in WRONG])
def test_a_wrong_use_is_told_in_words(use: Any, text: str) -> None:
    """The text reaches the operator as it stands."""
    with pytest.raises(LabError, match=text):
        use()


def test_a_killed_server_cannot_be_frozen() -> None:
    """It would look like one that is hung, and that is another incident."""
    model = cluster()
    model.kill("s2")
    with pytest.raises(LabError, match="s2 is killed"):
        model.freeze("s2")
