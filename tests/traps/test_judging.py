"""Traps of docs/servers/traps.md about judging a server, each named by its number and the right behaviour."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runbook.cluster.hashicorp import replies
from runbook.raft.diagnosis.diagnose import diagnose
from runbook.raft.liveness import Liveness, judge, judge_once
from runbook.raft.model import ClusterView, Configuration, Member, MemberStatus, Peer, Reach, Vantage, same_place
from runbook.raft.quorum import failure_tolerance
from runbook.raft.removal import Policy, refusal_to_remove
from tests.raft.worlds import Kind, peer, verdicts_of, view_of, with_gossip

ALIVE, DEAD = Kind(), Kind(sight="refused", gossip="failed")
LOOSE = Policy(min_voters=1)


def at(view: ClusterView, *seconds: float) -> list[ClusterView]:
    return [with_gossip(replace(view, taken_at=second)) for second in seconds]


def verdict(view: ClusterView, number: int) -> Liveness:
    return judge(at(view, 0, 15, 30, 45, 60), peer(number), confirm_for=60).liveness


def code(view: ClusterView, target: Peer, policy: Policy = LOOSE) -> str | None:
    reason = refusal_to_remove(view, verdicts_of(view), target, policy)
    return reason.code if reason else None


def names(view: ClusterView, **more: Any) -> set[str]:
    return {finding.name for finding in diagnose(view, **more)}


def saying(view: ClusterView, number: int, **words: Any) -> ClusterView:
    """The view with one vantage's words changed."""
    changed = tuple(replace(v, **words) if v.server_id == f"id-{number}" else v for v in view.vantages)
    return with_gossip(replace(view, vantages=changed))


def gossip(view: ClusterView, *, of: int, says: MemberStatus, by: int) -> ClusterView:
    vantage = next(v for v in view.vantages if v.server_id == f"id-{by}")
    members = tuple(replace(m, status=says) if m.id == f"id-{of}" else m for m in vantage.members or ())
    return saying(view, by, members=members)


def test_trap_02_a_slow_server_is_not_dead_however_it_looks_once() -> None:
    """Time, several looks in a row, and independent proofs; one sign of life begins it all anew."""
    dead, alive = view_of([ALIVE, ALIVE, DEAD]), view_of([ALIVE, ALIVE, ALIVE])
    target = peer(3, DEAD)
    assert judge(at(dead, 0), target, confirm_for=0).liveness is Liveness.UNKNOWN
    assert judge(at(dead, 0, 15, 30, 45), target, confirm_for=60).liveness is Liveness.UNKNOWN
    paused = [*at(dead, 0, 15), *at(alive, 30), *at(dead, 45, 60)]
    assert judge(paused, target, confirm_for=60).liveness is Liveness.UNKNOWN
    assert judge(at(dead, 0, 15, 30, 45, 60), target, confirm_for=60).liveness is Liveness.DEAD


def test_trap_03_a_living_server_that_autopilot_calls_unhealthy_is_alive() -> None:
    """Releases 1.0 to 1.3 call even the leader unhealthy beside a dead server; who answers lives, full stop."""
    view = replace(view_of([ALIVE, ALIVE, DEAD]), unhealthy=frozenset({"id-1", "id-2", "id-3"}))
    assert (verdict(view, 1), verdict(view, 2)) == (Liveness.ALIVE, Liveness.ALIVE)
    assert "LaggingVoter" not in names(view)


def test_trap_04_a_dead_server_that_autopilot_calls_healthy_gets_no_life_from_it() -> None:
    """From 1.4 on the last statistics are kept for 40 s: only gossip and our own tries count."""
    assert verdict(replace(view_of([ALIVE, ALIVE, DEAD]), unhealthy=frozenset()), 3) is Liveness.DEAD
    early = replace(view_of([ALIVE, ALIVE, Kind(sight="refused", gossip="alive")]), unhealthy=frozenset())
    assert verdict(early, 3) is Liveness.UNKNOWN


def test_trap_05_non_voters_make_no_quorum() -> None:
    """Two of four voters and ten living non-voters are no quorum; a dead non-voter needs a leader and no margin."""
    reader = Kind(voter=False)
    crowd = [ALIVE, ALIVE, DEAD, DEAD, *([reader] * 10)]
    assert code(view_of(crowd), peer(3, DEAD)) == "QuorumLost"
    gone = Kind(voter=False, sight="refused", gossip="failed")
    assert code(view_of([ALIVE, ALIVE, DEAD, gone]), peer(4, gone), Policy(min_voters=3)) is None
    assert code(view_of([ALIVE, ALIVE, DEAD, gone], leader=None), peer(4, gone)) == "NoLeader"


def test_trap_06_the_leader_is_not_removed() -> None:
    """Nor is it called dead by somebody who cannot hear it: then its own gossip is missing."""
    assert code(view_of([ALIVE, ALIVE, ALIVE]), peer(1)) == "TargetIsLeader"
    unheard = view_of([DEAD, ALIVE, ALIVE, DEAD], leader=1)
    assert verdict(unheard, 4) is Liveness.UNKNOWN


@pytest.mark.parametrize(("world", "policy", "expected"), [
    ([ALIVE, DEAD], Policy(min_voters=1), "QuorumLost"),  # one of two is no quorum
    ([ALIVE, ALIVE, DEAD], Policy(), "BelowMinimumVoters"),
    ([ALIVE, ALIVE, DEAD], Policy(min_voters=0), None),
])  # fmt: skip
def test_trap_07_voters_do_not_fall_below_the_floor(world: list[Kind], policy: Policy, expected: str | None) -> None:
    """Three by default; a person may name a lower number, and the last voter stays in any case."""
    assert code(view_of(world), peer(len(world), DEAD), policy) == expected


def test_trap_08_no_removal_while_too_few_voters_answer_though_the_leader_still_leads() -> None:
    """It would be appended, never committed, and bar the next election."""
    view = view_of([ALIVE, DEAD, DEAD])
    assert view.leader_id is not None
    assert code(view, peer(3, DEAD)) == "QuorumLost"
    assert names(view) >= {"QuorumLostTransient"}


def test_trap_11_one_address_under_two_ids_is_left_to_the_leader() -> None:
    """Only an id that no gossip carries could be removed, and while the address is held by another, not even that."""
    view = view_of([ALIVE, ALIVE, ALIVE])
    twin = Peer("id-old", peer(3).address, voter=True, name="s3.global", protocol=3)
    listed = Configuration((*(view.configuration.peers if view.configuration else ()), twin))
    both = replace(view, configuration=listed)
    assert judge(at(both, 0, 15, 30, 45, 60), twin, confirm_for=60).liveness is Liveness.UNKNOWN
    assert "DuplicateAddress" in names(both)


def test_trap_12_a_wiped_server_is_a_new_one_and_its_old_id_waits_for_reconcile() -> None:
    """Matched by id and by address: the old id looks alive by name and by port, and is neither alive nor removed."""
    view = view_of([ALIVE, ALIVE, Kind(sight="accepts")])
    for by in (1, 2):
        vantage = next(v for v in view.vantages if v.server_id == f"id-{by}")
        members = tuple(replace(m, id="id-new") if m.id == "id-3" else m for m in vantage.members or ())
        view = saying(view, by, members=members)
    answering = Vantage("http://10.0.0.3:4646", next(iter(view.vantages)).reach, "id-new", "s3.global", peer(3).address)
    seen = replace(view, vantages=(*view.vantages, answering))
    for each in (view, seen):
        assert verdict(each, 3) is Liveness.UNKNOWN
        assert "DuplicateName" in names(each)
    unseen = replace(view, probes={**view.probes, peer(3).address: Reach.ACCEPTED})
    assert "accepts connections" in judge_once(unseen, peer(3)).evidence[0]
    two_minutes = at(seen, *range(0, 135, 15))
    settled = judge(two_minutes, peer(3), confirm_for=30)
    assert settled.liveness is Liveness.DEAD
    assert "another server, s3.global (id-new), answers at its address" in settled.evidence[1]
    assert judge(two_minutes[:-2], peer(3), confirm_for=30).liveness is Liveness.UNKNOWN
    elsewhere = Member("s3.global", MemberStatus.ALIVE, "id-3", "10.0.0.33:4647")  # it moved, and lives
    members = (*(seen.vantages[0].members or ()), elsewhere)
    moved = at(saying(seen, 1, members=members), *range(0, 135, 15))
    assert judge(moved, peer(3), confirm_for=30).liveness is Liveness.UNKNOWN


@pytest.mark.parametrize(("said", "expected"), [("left", Liveness.DEAD), ("failed", Liveness.DEAD),
                                                ("leaving", Liveness.UNKNOWN), ("none", Liveness.UNKNOWN)])  # fmt: skip
def test_trap_13_left_and_failed_are_gone_and_leaving_is_not_touched(said: str, expected: Liveness) -> None:
    assert verdict(view_of([ALIVE, ALIVE, Kind(sight="refused", gossip=said)]), 3) is expected


def test_trap_14_gossip_and_raft_are_compared_both_ways() -> None:
    """A member outside the configuration comes back; a peer outside gossip is stale."""
    view = view_of([ALIVE, ALIVE, ALIVE, ALIVE])
    assert view.configuration is not None
    assert "ZombiePeer" in names(replace(view, configuration=view.configuration.without("id-4")), removed={"id-4"})
    assert "StalePeer" in names(view_of([ALIVE, ALIVE, ALIVE, Kind(sight="refused", gossip="absent")]))


def test_trap_15_who_is_alive_in_gossip_is_not_removed_however_dead_it_is() -> None:
    """The leader would add it back seven seconds later."""
    early = Kind(sight="refused", gossip="alive")
    assert code(view_of([ALIVE, ALIVE, ALIVE, early]), peer(4, early)) == "TargetUnknown"


def test_trap_16_out_of_sight_from_here_is_not_dead() -> None:
    """Those that only this host cannot reach live in the leader's view; without a leader nothing is changed at all."""
    hidden = Kind(sight="silent", gossip="alive")
    assert code(view_of([ALIVE, ALIVE, ALIVE, hidden]), peer(4, hidden)) == "TargetUnknown"
    assert "ObserversDisagree" in names(view_of([ALIVE, ALIVE, ALIVE, hidden]))
    gone = Kind(sight="silent", gossip="failed")
    minority = replace(view_of([ALIVE, ALIVE, gone, gone, gone], leader=None), error_kind="no_leader")
    assert code(minority, peer(3, gone)) == "NoLeader"
    assert diagnose(minority)[0].name == "MinorityPartition"
    assert all(judge_once(minority, p).liveness is not Liveness.DEAD for p in minority.best_configuration.peers)  # type: ignore[union-attr]


def test_trap_16_survivors_that_disagree_mean_a_partition_and_a_stop() -> None:
    """One observer that still hears it is enough, whatever the leader and the others say."""
    view = view_of([ALIVE, ALIVE, ALIVE, DEAD])
    split = gossip(view, of=4, says=MemberStatus.ALIVE, by=3)
    assert (verdict(view, 4), verdict(split, 4)) == (Liveness.DEAD, Liveness.UNKNOWN)
    assert "ObserversDisagree" in names(split)


def test_trap_24_only_our_own_monotonic_clock_counts() -> None:
    """Looks a minute apart on it are a minute apart; what the servers' clocks say is never read."""
    rows = [{"ID": "a", "Healthy": False, "StableSince": stamp} for stamp in ("0001-01-01T00:00:00Z", "2999-01-01")]
    assert {replies.unhealthy({"Servers": [row]}) for row in rows} == {frozenset({"a"})}
    back_in_time = at(view_of([ALIVE, ALIVE, DEAD]), 60, 30, 0)
    assert judge(back_in_time, peer(3, DEAD), confirm_for=60).liveness is Liveness.UNKNOWN


def test_trap_25_what_is_said_behind_a_shared_address_proves_nothing() -> None:
    """The leader met only through a load balancer has no gossip of its own, so nobody is called dead."""
    view = saying(view_of([ALIVE, ALIVE, DEAD]), 1, other_id="id-2", members=None, configuration=None)
    assert verdict(view, 3) is Liveness.UNKNOWN
    assert "SharedAddress" in names(view)


def test_trap_28_an_ipv6_address_is_the_same_in_every_spelling() -> None:
    assert same_place("[2001:db8::1]:4647", "[2001:DB8:0:0::1]:4647")
    assert not same_place("[2001:db8::1]:4647", "[2001:db8::1]:4648")
    assert not same_place("10.0.0.1:4647", "10.0.0.11:4647")
    entry = {"Name": "s1.global", "Addr": "2001:db8:0::1", "Status": "alive", "Tags": {"port": "4647", "id": "x"}}
    old = Peer("[2001:db8::1]:4647", "[2001:db8::1]:4647", voter=True, protocol=2)
    seen = Vantage("http://x", view_of([ALIVE]).vantages[0].reach, members=(replies.member(entry),))
    assert seen.member_for(old) == Member("s1.global", MemberStatus.ALIVE, "x", "[2001:db8:0::1]:4647")


def test_trap_31_on_protocol_2_the_id_is_the_address_whatever_gossip_carries() -> None:
    """A living server that only this host cannot reach was called dead there, as its UUID in gossip did not fit."""
    for said, expected in ((MemberStatus.ALIVE, Liveness.UNKNOWN), (MemberStatus.FAILED, Liveness.DEAD)):
        view = view_of([ALIVE, ALIVE, Kind(sight="refused", gossip=said.value)])
        old = tuple(replace(p, id=p.address, protocol=2) for p in (peer(1), peer(2), peer(3)))
        looks = at(replace(view, configuration=Configuration(old), leader_id=old[0].id), 0, 15, 30, 45, 60)
        assert judge(looks, old[2], confirm_for=60).liveness is expected


def test_trap_36_a_replacement_counts_once_it_is_a_voter() -> None:
    """Three of five voters with a living newcomer are as much at risk as without it."""
    newcomer = Kind(voter=False)
    view = view_of([ALIVE, ALIVE, ALIVE, DEAD, DEAD, newcomer])
    assert {"QuorumAtRisk", "NonVoterStuck"} <= names(view)
    assert failure_tolerance(5, 3) == 0


def test_trap_38_two_members_with_one_id_stop_everything_about_it() -> None:
    """A cloned machine: the one that answers is not the one that is looked for."""
    view = view_of([ALIVE, ALIVE, DEAD])
    vantage = view.vantages[0]
    clone = Member("s3-clone.global", MemberStatus.FAILED, "id-3", "10.0.0.33:4647")
    twice = saying(view, 1, members=(*(vantage.members or ()), clone))
    assert verdict(twice, 3) is Liveness.UNKNOWN
    assert "DuplicateName" in names(twice)
