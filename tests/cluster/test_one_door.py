"""What is seen through one server's door: the leader's opinions of everybody, and who follows it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runbook.cluster.hashicorp.opinions import opinions_in
from runbook.cluster.hashicorp.pulse import HealthSample
from runbook.raft.advice import GIVE_ADDRESS, GIVE_LEADER, MAY_BE_FROZEN
from runbook.raft.diagnosis.observations import observe_peer
from runbook.raft.liveness import Liveness, is_only_out_of_sight, judge_once
from runbook.raft.model import ClusterView, Reach, Vantage
from runbook.raft.opinions import OpinionKind
from runbook.raft.quorum import voters_in_contact
from runbook.raft.removal import Policy, refusal_to_remove
from tests.cluster.test_pulse import row, sample
from tests.raft.worlds import Kind, peer, view_of

NAMES = ("id-1", "id-2", "id-3", "id-4", "id-5")
DEAD = 5


def through(door: int, samples: list[HealthSample], **seen: Any) -> ClusterView:
    """Five servers, s1 leads, s5 is dead in all gossip, and only one of them has an API that answers this host."""
    world = [Kind()] * 4 + [Kind(sight="refused", gossip="failed")]
    view = view_of(world)
    behind = tuple(vantage for vantage in view.vantages if vantage.server_id == f"id-{door}")
    view = replace(view, vantages=behind, **seen)
    return replace(view, opinions=opinions_in(view, samples), leader_term=7)


def taken(at: float, beat: float, **gossip: str) -> HealthSample:
    """All answer the leader but s5, whose numbers stay as they were."""
    said = {"id_5": "failed", **gossip}
    rows = [
        row(name, "9ms" if name == "id-5" else f"{beat}ms", SerfStatus=said.get(name.replace("-", "_"), "alive"))
        for name in NAMES[1:]
    ]
    return sample(at, *rows, leader="id-1")


TWO = [taken(0.0, 11.0), taken(3.0, 12.0)]


@pytest.mark.parametrize("door", [1, 2], ids=["the leader's own", "a follower's"])
def test_the_living_are_alive_the_dead_dead_and_the_quorum_is_proven(door: int) -> None:
    view = through(door, TWO)
    assert [judge_once(view, peer(number)).liveness.value for number in range(1, 6)] == ["alive"] * 4 + ["dead"]
    assert voters_in_contact(view) == set(NAMES[:4])
    verdicts = {f"id-{number}": judge_once(view, peer(number)) for number in range(1, 6)}
    assert refusal_to_remove(view, verdicts, peer(DEAD), Policy()) is None


def test_what_the_others_hold_of_the_leader_is_told_without_its_own_word() -> None:
    """ "gossip and reply of 5 servers: 4 alive, 1 it leads" is read twice."""
    view = view_of([Kind()] * 5)
    view = replace(view, opinions=opinions_in(view, TWO))
    assert view.opinions["id-1"]["id-1"].kind is OpinionKind.HEARD
    assert observe_peer(view, peer(1)).opinions_in_words == "gossip of 4 servers: alive"


def test_with_one_sample_nobody_is_heard_and_without_a_proof_nothing_is_removed() -> None:
    """Who is alive in the leader's gossip is only out of sight; the product's own proof is enough for the quorum."""
    view = through(2, TWO[:1])
    assert [judge_once(view, peer(number)).liveness.value for number in (1, 2, 3, 4, 5)] == [
        "alive", "alive", "unknown", "unknown", "dead",
    ]  # fmt: skip
    assert is_only_out_of_sight(view, peer(3))
    assert judge_once(view, peer(3)).settled_by == GIVE_ADDRESS
    verdicts = {f"id-{number}": judge_once(view, peer(number)) for number in range(1, 6)}
    refusal = refusal_to_remove(view, verdicts, peer(DEAD), Policy())
    assert refusal is not None
    assert refusal.code == "QuorumLost"
    assert refusal_to_remove(replace(view, quorum_proof="it was read"), verdicts, peer(DEAD), Policy()) is None


def test_who_missed_the_leaders_question_is_unsure_and_may_be_frozen() -> None:
    """Before gossip notices: it accepts connections, and a living server would have answered in between."""
    still = [replace(each, rows={**each.rows, "id-3": TWO[0].rows["id-3"]}) for each in TWO]
    view = through(2, still)
    assert view.opinions["id-1"]["id-3"].kind is OpinionKind.UNSURE
    assert not is_only_out_of_sight(view, peer(3))
    assert judge_once(view, peer(3)).settled_by == MAY_BE_FROZEN
    assert "id-3" not in voters_in_contact(view)


def test_who_is_alive_and_does_not_follow_the_leader_is_not_counted() -> None:
    """It answers the leader's question, and by its own word has not heard from it as a leader for long."""
    apart = [replace(each, rows={**each.rows, "id-3": lonely(each, 34.0 + at)}) for at, each in enumerate(TWO)]
    view = through(2, apart)
    assert judge_once(view, peer(3)).liveness is Liveness.ALIVE
    assert "id-3" not in voters_in_contact(view)


def lonely(taken_in: HealthSample, seconds: float) -> Any:
    return replace(taken_in.rows["id-3"], contact=f"{seconds}s")


@pytest.mark.parametrize(
    "changed", [{"state": "Candidate"}, {"term": 8}, {"last_contact": 9.0}, {"last_contact": None},
                {"leader_address": "10.0.0.3:4647"}],
    ids=["a candidate", "another term", "not lately", "never", "another leader"],
)  # fmt: skip
def test_of_those_that_answer_only_who_follows_this_leader_counts(changed: dict[str, Any]) -> None:
    view = view_of([Kind(), Kind(), Kind()])
    assert voters_in_contact(view) == {"id-1", "id-2", "id-3"}
    apart = tuple(replace(v, **changed) if v.server_id == "id-2" else v for v in view.vantages)
    assert voters_in_contact(replace(view, vantages=apart)) == {"id-1", "id-3"}


def test_without_the_leaders_opinion_nobody_is_dead() -> None:
    """A follower's gossip alone, and autopilot refused by an ACL, or right after an election."""
    for samples in ([], [sample(0.0, *(row(name, "1ms") for name in NAMES[:3]), leader="id-4")]):
        view = through(2, samples)
        assert judge_once(view, peer(DEAD)).liveness is Liveness.UNKNOWN
        assert judge_once(view, peer(DEAD)).settled_by == GIVE_LEADER


@pytest.mark.parametrize(
    ("said", "liveness"), [("failed", Liveness.DEAD), ("left", Liveness.DEAD), ("none", Liveness.DEAD),
                           ("alive", Liveness.UNKNOWN), ("leaving", Liveness.UNKNOWN), ("odd", Liveness.UNKNOWN),
                           ("", Liveness.UNKNOWN)],
)  # fmt: skip
def test_the_leaders_gossip_is_read_through_any_door(said: str, liveness: Liveness) -> None:
    """Nomad 2.0 says *left* of a server that failed; autopilot says *none* of who is no member."""
    view = through(2, [taken(0.0, 11.0, id_5=said), taken(3.0, 12.0, id_5=said)])
    assert judge_once(view, peer(DEAD)).liveness is liveness


def test_a_firewall_in_front_of_all_is_blind_though_the_living_are_heard() -> None:
    """A rejected port looks like a dead server's, here as of those that are alive by the leader's pulse."""
    rejected = dict.fromkeys((peer(number).address for number in range(1, 6)), Reach.REFUSED)
    view = through(2, TWO, probes=rejected)
    assert judge_once(view, peer(DEAD)).liveness is Liveness.UNKNOWN
    assert "firewall" in judge_once(view, peer(DEAD)).evidence[0]


def test_something_that_listens_and_says_nothing_where_its_api_should_be_is_a_sign_of_trouble() -> None:
    view = through(2, TWO[:1])
    mute = Vantage("http://10.0.0.3:4646", Reach.ACCEPTED, expected_id="id-3")
    assert not is_only_out_of_sight(replace(view, vantages=(*view.vantages, mute)), peer(3))
