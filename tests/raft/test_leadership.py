"""Who may be given the leadership, whom the tool takes where nobody is named, and the numbers of every no."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbook.raft.leadership import MAY_PASS, TransferProof, may_transfer
from runbook.raft.model import ClusterView
from runbook.raft.removal import Refusal
from tests.raft.worlds import Kind, view_of

ALIVE, DEAD = Kind(), Kind(sight="refused", gossip="failed")
FROZEN, OBSERVER = Kind(sight="accepts", gossip="failed"), Kind(voter=False)


def answer(view: ClusterView, name: str = "") -> str:
    """``s1 to s2``, or the code of the refusal."""
    made = may_transfer(view, name)
    if isinstance(made, Refusal):
        return made.code
    return f"{made.before.label.split('.')[0]} to {made.to.label.split('.')[0] if made.to else 'anybody'}"


def of_product(view: ClusterView, product: str) -> ClusterView:
    return replace(view, cluster=f"{product}:x")


def with_release(view: ClusterView, product: str, *releases: str | None) -> ClusterView:
    """By server, the leader first."""
    told = tuple(replace(v, version=release) for v, release in zip(view.vantages, releases, strict=True))
    return of_product(replace(view, vantages=told), product)


@pytest.mark.parametrize(
    ("kinds", "name", "expected"),
    [
        ([ALIVE] * 3, "s2", "s1 to s2"),
        ([ALIVE] * 3, "s3.global", "s1 to s3"),
        ([ALIVE] * 3, "id-3", "s1 to s3"),
        ([ALIVE] * 3, "10.0.0.3:4647", "s1 to s3"),
        ([ALIVE] * 3, "", "s1 to s2"),
        ([ALIVE, ALIVE, DEAD], "s2", "s1 to s2"),
        ([ALIVE, DEAD, ALIVE], "", "s1 to s3"),
        ([ALIVE, OBSERVER, ALIVE], "", "s1 to s3"),
        ([ALIVE, ALIVE], "", "s1 to s2"),
        ([ALIVE] * 3, "s9", "NoSuchServer"),
        ([ALIVE, ALIVE, DEAD], "s3", "TargetDead"),
        ([ALIVE, ALIVE, FROZEN], "s3", "TargetUnknown"),
        ([ALIVE, ALIVE, ALIVE, OBSERVER], "s4", "TargetHasNoVote"),
        ([ALIVE, DEAD, DEAD], "", "QuorumLost"),
        ([ALIVE, ALIVE, DEAD, DEAD], "s2", "QuorumLost"),
        ([ALIVE], "", "NoSuccessor"),
        ([ALIVE, OBSERVER], "", "NoSuccessor"),
    ],
)
def test_only_a_voter_that_lives_and_follows_may_lead(kinds: list[Kind], name: str, expected: str) -> None:
    assert answer(view_of(kinds), name) == expected


def test_without_a_leader_nothing_is_asked_for() -> None:
    assert answer(view_of([ALIVE] * 3, leader=None)) == "NoLeader"


def test_who_lost_the_leader_is_not_taken_though_it_lives() -> None:
    """It would first have to be brought up to date, by a leader that does not hear it."""
    view = view_of([ALIVE] * 5)
    late = replace(view, vantages=tuple(replace(v, last_contact=9.0) if v.server_id == "id-2" else v
                                        for v in view.vantages))  # fmt: skip
    assert answer(late, "s2") == "TargetOutOfContact"
    assert answer(late) == "s1 to s3"


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ([900, 900, 900], "s1 to s2"),
        ([900, 700, 900], "s1 to s2"),
        ([900, 100, 900], "s1 to s3"),
        ([900, 900, 100], "s1 to s2"),
    ],
)
def test_whose_log_is_far_behind_is_not_taken(ends: list[int], expected: str) -> None:
    """A few entries make no difference: else two looks a moment apart would choose two."""
    view = view_of([ALIVE] * 3)
    told = tuple(replace(v, last_log_index=end) for v, end in zip(view.vantages, ends, strict=True))
    assert answer(replace(view, vantages=told)) == expected


@pytest.mark.parametrize(
    ("product", "releases", "expected"),
    [
        ("nomad", ("1.6.10", "1.11.3", "1.11.3"), "CannotTransfer"),
        ("nomad", ("1.7.0", "1.6.10", "1.6.10"), "s1 to s2"),
        ("nomad", (None, "1.6.10", "1.11.3"), "CannotTransfer"),
        ("nomad", ("2.0.5-dev", None, None), "s1 to s2"),
        ("consul", ("1.8.7", "1.8.7", "1.8.7"), "CannotTransfer"),
        ("consul", ("1.15.0", "1.8.7", "1.8.7"), "s1 to s2"),
        ("consul", ("unread", "unread", "unread"), "s1 to s2"),
    ],
)
def test_a_release_that_cannot_is_refused_before_it_is_asked(
    product: str, releases: tuple[str | None, ...], expected: str
) -> None:
    """The leader's, where it could be asked."""
    assert answer(with_release(view_of([ALIVE] * 3), product, *releases)) == expected


@pytest.mark.parametrize("product", ["vault", "openbao"])
def test_where_a_leader_steps_down_nobody_is_chosen(product: str) -> None:
    view = of_product(view_of([ALIVE] * 3), product)
    assert (answer(view), answer(view, "s2")) == ("s1 to anybody", "CannotChooseLeader")


def test_where_the_product_has_proven_the_quorum_not_every_voter_need_be_seen() -> None:
    """Behind one door nobody may be seen but the leader and the target."""
    view = view_of([ALIVE, ALIVE, *[Kind(sight="untried")] * 3])
    assert answer(view, "s2") == "QuorumLost"
    assert answer(replace(view, quorum_proof="a consistent read"), "s2") == "s1 to s2"


def test_etcd_asks_the_leader_itself_or_nobody() -> None:
    view = of_product(replace(view_of([ALIVE] * 3), quorum_proof="a read"), "etcd")
    assert answer(view) == "s1 to s2"
    away = replace(view, vantages=tuple(v for v in view.vantages if v.server_id != "id-1"), leader_term=7)
    assert answer(away) == "LeaderOutOfReach"


def test_a_refusal_has_its_numbers_and_the_way_on() -> None:
    lost = may_transfer(view_of([ALIVE, DEAD, DEAD]), "s2")
    assert str(lost) == (
        "1 of 3 voters are alive and in contact with the leader s1.global, and 2 are needed to elect another. "
        "Bring servers back first: runbook diagnose says how each of them is"
    )
    old = may_transfer(with_release(view_of([ALIVE] * 3), "consul", "1.8.7", None, None), "")
    assert str(old) == (
        "consul 1.8.7 cannot move its leadership: that came with 1.15. Restart the agent of the leader, and another is "
        "elected: runbook execute safe-to-stop --param server=s1.global says whether it may be stopped"
    )
    dead = may_transfer(view_of([ALIVE, ALIVE, DEAD]), "s3")
    assert isinstance(dead, Refusal)
    assert dead.next_action == "Name one of s2.global"


def test_a_proof_has_its_numbers() -> None:
    proof = may_transfer(view_of([ALIVE, ALIVE, ALIVE, DEAD, OBSERVER]), "s2")
    assert isinstance(proof, TransferProof)
    assert (proof.live, proof.voters, proof.needed) == (3, 4, 3)


def test_what_another_look_may_show_is_no_last_word() -> None:
    """One look misses somebody now and then; who is dead in it is not looked for again."""
    assert {"QuorumLost", "TargetUnknown", "TargetOutOfContact", "NoSuccessor"} == MAY_PASS
