"""The picture of a death: what the others would see of it, when, and who would lead."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbook.errors import ClusterError, ErrorKind, NotStartedError
from runbook.lab.virtual.from_live import stage_of
from runbook.lab.virtual.picture import PictureStage
from runbook.raft.deaths import ELECTION, Deaths, after_deaths, noticed_after
from runbook.raft.liveness import Liveness, judge_once
from runbook.raft.model import ClusterView, Peer
from runbook.raft.shadow import stands_still
from tests.diagnosis.test_cases import view_of

WELL = replace(view_of("all_is_well"), cluster="consul:x")
LATE = 100.0  # seconds


def peer(number: int, view: ClusterView = WELL) -> Peer:
    """The leader is the first, the others follow by name."""
    assert view.configuration is not None
    ordered = sorted(view.configuration.peers, key=lambda each: (each != view.leader, each.label))
    return ordered[number]


def dead(*numbers: int, seconds: float = LATE) -> ClusterView:
    return after_deaths(WELL, Deaths(killed=frozenset(peer(each).id for each in numbers), seconds=seconds))


def test_nobody_dies_and_nothing_changes() -> None:
    assert dead() == WELL


@pytest.mark.parametrize(("seconds", "verdict"), [(noticed_after("consul:x") - 1, "unknown"), (LATE, "dead")])
def test_a_death_is_judged_dead_once_the_others_have_noticed(seconds: float, verdict: str) -> None:
    """Nobody else is judged otherwise than before."""
    view = dead(3, seconds=seconds)
    assert judge_once(view, peer(3)).liveness.value == verdict
    assert [judge_once(view, peer(each)).liveness for each in (0, 1, 2, 4)] == [Liveness.ALIVE] * 4
    assert stands_still(view) is (verdict == "dead")


def test_a_frozen_server_is_never_dead() -> None:
    """Its port accepts."""
    view = after_deaths(WELL, Deaths(frozen=frozenset({peer(2).id}), seconds=LATE))
    assert judge_once(view, peer(2)).liveness is Liveness.UNKNOWN


def test_after_the_leader_another_leads_who_hears_the_living() -> None:
    """Once there was an election, and not before."""
    early, late = dead(0, seconds=ELECTION - 1), dead(0)
    assert (early.leader_id, early.configuration, early.error_kind) == (None, None, "no_leader")
    assert late.leader is not None
    assert late.leader != peer(0)
    assert (late.leader_term or 0) == (WELL.leader_term or 0) + 1
    assert judge_once(late, peer(0)).liveness is Liveness.DEAD
    assert stands_still(late)


@pytest.mark.parametrize("numbers", [(1, 2, 3), (0, 1, 2)])
def test_without_a_quorum_nobody_leads(numbers: tuple[int, ...]) -> None:
    """With the old leader among the living, too; each of them says so."""
    view = dead(*numbers)
    assert (view.leader_id, view.quorum_proof, view.unhealthy) == (None, None, None)
    assert {vantage.state for vantage in view.answering} == {"Follower"}


def test_a_removal_takes_effect_in_the_picture_while_somebody_leads() -> None:
    stage = PictureStage(WELL, Deaths(killed=frozenset({peer(4).id})))
    cluster = stage.cluster()
    stage.timeline.wait(LATE)
    cluster.remove_peer(peer(4))
    view = cluster.look()
    assert view.configuration is not None
    assert view.configuration.peer(peer(4).id) is None
    assert cluster.probe([peer(4).address, peer(3).address]).keys() == {peer(3).address}
    lost = PictureStage(WELL, Deaths(killed=frozenset(peer(each).id for each in (1, 2, 3))))
    with pytest.raises(ClusterError) as caught:
        lost.cluster().remove_peer(peer(4))
    assert caught.value.kind is ErrorKind.NO_LEADER


def test_a_cluster_without_a_leader_is_no_beginning() -> None:
    with pytest.raises(NotStartedError, match="no leader now"):
        stage_of(replace(WELL, configuration=None, leader_id=None), (), ())
