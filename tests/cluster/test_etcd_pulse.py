"""What streams prove: the leader's bytes are a pulse, and streams that are up may lead to a frozen member of etcd."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbook.cluster.etcd.opinions import StreamLog, opinions_in
from runbook.cluster.etcd.replies import PeerStreams
from runbook.raft.liveness import Liveness, judge_once
from runbook.raft.model import ClusterView
from runbook.raft.opinions import OpinionKind
from runbook.raft.quorum import voters_in_contact
from runbook.raft.stopping import StopProof, may_stop
from tests.raft.worlds import Kind, peer, view_of

UP, DOWN = PeerStreams(True), PeerStreams(False)


def one_door(*samples: tuple[float, dict[str, PeerStreams]], door: int = 1, leader: int = 1) -> ClusterView:
    """Three members with one API that answers this host: what it shows of the two others at these moments."""
    view = view_of([Kind()] * 3, leader=leader)
    only = tuple(vantage for vantage in view.vantages if vantage.server_id == f"id-{door}")
    view, log = replace(view, vantages=only, opinions={}), StreamLog()
    for at, streams in samples:
        log.add(at, {f"id-{door}": streams})
    return replace(view, opinions=opinions_in(view, log, samples[-1][0], only[0]))


def came(second: float, third: float) -> dict[str, PeerStreams]:
    return {"id-2": PeerStreams(True, second), "id-3": PeerStreams(True, third)}


def test_whose_bytes_come_to_the_leader_is_alive_and_follows_it() -> None:
    view = one_door((0.0, came(10, 20)), (1.5, came(700, 710)))
    assert [judge_once(view, peer(number)).liveness for number in (2, 3)] == [Liveness.ALIVE] * 2
    assert voters_in_contact(view) == {"id-1", "id-2", "id-3"}
    assert "bytes came by its streams to it in the last 2 s" in view.opinions["id-1"]["id-2"].words


def test_a_frozen_member_whose_streams_stay_up_is_not_alive() -> None:
    """etcd 3.6 keeps them up for a minute and more; nobody else may be stopped then."""
    samples = [(float(at), came(10 + 400 * at, 900)) for at in range(0, 60, 2)]
    view = one_door(*samples)
    assert view.opinions["id-1"]["id-3"].kind is OpinionKind.UNSURE
    assert judge_once(view, peer(3)).liveness is Liveness.UNKNOWN
    assert voters_in_contact(view) == {"id-1", "id-2"}
    assert not isinstance(may_stop(view, "s2"), StopProof)


@pytest.mark.parametrize(
    ("samples", "heard"),
    [
        ([(0.0, 10.0)], False),
        ([(0.0, 10.0), (0.5, 200.0)], False),
        ([(0.0, 10.0), (1.0, 200.0)], True),
        ([(0.0, 10.0), (1.0, 200.0), (1.5, 200.0)], True),
        ([(0.0, 10.0), (1.0, 200.0), (2.0, 200.0)], False),
        ([(0.0, 900.0), (1.0, 10.0)], False),
        ([(0.0, 900.0), (1.0, 10.0), (2.0, 300.0)], True),
    ],
    ids=["one", "too soon", "two", "and one too soon", "it froze", "started anew", "and goes on"],
)
def test_two_samples_a_second_apart_make_a_pulse(samples: list[tuple[float, float]], heard: bool) -> None:
    view = one_door(*[(at, came(received, received)) for at, received in samples])
    assert (view.opinions["id-1"]["id-2"].kind is OpinionKind.HEARD) is heard


def test_where_the_leader_is_known_no_followers_streams_prove_life() -> None:
    view = view_of([Kind()] * 3)
    only = tuple(vantage for vantage in view.vantages if vantage.server_id != "id-3")
    view, log = replace(view, vantages=only, opinions={}), StreamLog()
    for at in (0.0, 20.0, 40.0):
        log.add(at, {"id-1": came(10 + at, 900), "id-2": {"id-1": UP, "id-3": UP}})
    view = replace(view, opinions=opinions_in(view, log, 40.0, only[0]))
    assert view.opinions["id-2"]["id-3"].kind is OpinionKind.PRESENT
    assert judge_once(view, peer(3)).liveness is Liveness.UNKNOWN


def test_without_that_metric_and_by_a_followers_door_streams_that_stay_up_count_as_before() -> None:
    view = one_door((0.0, {"id-2": UP, "id-3": DOWN}), (12.0, {"id-2": UP, "id-3": DOWN}))
    assert [view.opinions["id-1"][each].kind for each in ("id-2", "id-3")] == [OpinionKind.HEARD, OpinionKind.GONE]
    through = one_door((0.0, {"id-1": UP, "id-3": UP}), (12.0, {"id-1": UP, "id-3": UP}), door=2)
    assert through.opinions["id-2"]["id-3"].kind is OpinionKind.HEARD
    assert "id-3" not in voters_in_contact(through)
