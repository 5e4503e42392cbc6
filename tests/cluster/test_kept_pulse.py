"""A check compares with the sample that the one before it kept, and waits for no second one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runbook.cluster.etcd.opinions import StreamLog
from runbook.cluster.etcd.replies import PeerStreams
from runbook.cluster.hashicorp.autopilot import MEMORY, Pulse
from runbook.cluster.hashicorp.client import Client
from runbook.cluster.hashicorp.dialects import CONSUL
from runbook.cluster.hashicorp.pulse import HealthSample
from runbook.cluster.http import HttpSettings
from runbook.cluster.network import SystemNetwork
from runbook.raft.opinions import Opinion, OpinionKind
from runbook.raft.quorum import voters_in_contact
from tests.cluster.test_one_door import NAMES, taken, through
from tests.cluster.test_pulse import row, sample


class Standing(SystemNetwork):
    """A clock that a test sets."""

    at = 0.0

    def monotonic(self) -> float:
        return self.at


def pulse_at(at: float) -> Pulse:
    network = Standing(HttpSettings())
    network.at = at
    return Pulse(Client(CONSUL, network, None))


def resumed(before: HealthSample, now: HealthSample) -> tuple[HealthSample, ...]:
    """The samples of a second process, which has what the first one wrote down."""
    first = pulse_at(before.came_at)
    first.keep(before)
    second = pulse_at(now.came_at)
    second.resume(json.loads(json.dumps(first.record())), now.came_at)
    second.keep(now)
    return second.samples


def test_who_moved_between_two_checks_is_alive_and_proves_no_quorum() -> None:
    """A minute is too long to be counted for the quorum; that the product's own read proves."""
    view = through(2, list(resumed(taken(0.0, 11.0), taken(60.0, 12.0))))
    assert view.opinions["id-1"]["id-3"].kind is OpinionKind.HEARD
    assert view.opinions["id-1"]["id-3"].age == pytest.approx(62.0)
    assert "id-3" not in voters_in_contact(view)
    assert view.opinions["id-1"]["id-5"].kind is OpinionKind.GONE


def test_who_stands_still_between_two_checks_is_named() -> None:
    """A frozen server behind one door, which gossip still calls alive."""
    still = taken(0.0, 11.0, id_5="alive"), taken(60.0, 12.0, id_5="alive")
    assert opinion(resumed(*still), "id-5").words == "alive in gossip, but it did not answer the leader for 60 s"


def test_who_answers_again_is_not_called_silent_for_the_time_before() -> None:
    """Thawed since: one door shows no proof of life yet, and nothing that is wrong with it any more."""
    frozen = sample(0.0, *(row(name, "-1ns" if name == "id-3" else "11ms") for name in NAMES[1:]), leader="id-1")
    held = opinion(resumed(frozen, taken(60.0, 12.0)), "id-3")
    assert (held.kind, held.words) == (OpinionKind.PRESENT, "alive")
    again = sample(120.0, *(row(name, "-1ns" if name == "id-3" else "13ms") for name in NAMES[1:]), leader="id-1")
    assert opinion(resumed(frozen, again), "id-3").kind is OpinionKind.UNSURE


def opinion(samples: tuple[HealthSample, ...], name: str) -> Opinion:
    return through(2, list(samples)).opinions["id-1"][name]


def test_the_first_check_and_one_after_an_election_say_nothing_of_it() -> None:
    """The same leader in a new term has not asked anybody before."""
    newest = taken(60.0, 12.0)
    rows = [row(name, "11ms", term=6) for name in NAMES[1:]]
    for samples in ((newest,), resumed(sample(0.0, *rows, leader="id-1", term=6), newest)):
        assert opinion(samples, "id-3").kind is OpinionKind.PRESENT


def test_a_sample_that_came_just_before_is_kept_until_there_is_one_to_compare() -> None:
    """Whoever checks every second would else never have two that are far enough apart."""
    pulse = pulse_at(1.0)
    pulse.keep(taken(0.0, 11.0))
    pulse.keep(taken(1.0, 12.0))
    assert pulse.record()["asked_at"] == 0.0
    assert pulse_at(1.0).record() is None


GOOD: dict[str, Any] = {"asked_at": 1.0, "came_at": 1.0, "rows": [["a", "alive", True, "0s", 7, 12]]}


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        "x",
        {**GOOD, "asked_at": "soon"},
        {**GOOD, "rows": [["a"]]},
        {**GOOD, "rows": {"a": 1}},
        {**GOOD, "asked_at": 2.0},
        {**GOOD, "asked_at": 99.0, "came_at": 99.0},
        {**GOOD, "asked_at": -MEMORY, "came_at": -MEMORY},
        {**GOOD, "asked_at": float("nan")},
    ],
)
def test_what_is_no_sample_or_an_old_one_tells_nothing(record: Any) -> None:
    pulse = pulse_at(10.0)
    pulse.resume(record, 10.0)
    assert pulse.samples == ()
    pulse.resume(GOOD, 10.0)
    assert len(pulse.samples) == 1


def test_etcds_streams_are_compared_with_the_bytes_of_the_check_before() -> None:
    first, second = StreamLog(), StreamLog()
    first.add(0.0, {"a": {"b": PeerStreams(True, 10.0), "c": PeerStreams(True, 10.0), "d": PeerStreams(True, 90.0)}})
    second.resume(json.loads(json.dumps(first.record())), 60.0)
    second.add(60.0, {"a": {"b": PeerStreams(True, 700.0), "c": PeerStreams(True, 10.0), "d": PeerStreams(True, 5.0)}})
    assert [second.heard_since("a", peer) for peer in "bcd"] == [0.0, None, None]
    assert [second.is_compared("a", peer) for peer in "bcd"] == [True, True, False], "d was started anew"


@pytest.mark.parametrize(
    "record", [None, {}, [[1]], [["a", "b", "x", 1]], [["a", "b", 99.0, 1.0]], [["a", "b", -999.0, 1]]]
)
def test_what_is_no_record_of_streams_tells_nothing(record: Any) -> None:
    log = StreamLog()
    log.resume(record, 60.0)
    log.add(60.0, {"a": {"b": PeerStreams(True, 700.0)}})
    assert not log.is_compared("a", "b")
