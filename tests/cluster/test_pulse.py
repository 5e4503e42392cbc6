"""The pulse of the leader: what is a sign of life between two samples, and what never is."""

from __future__ import annotations

from typing import Any

import pytest

from runbook.cluster.hashicorp.pulse import HealthSample, beats, health_rows
from runbook.decode import go_seconds


def row(server: str, contact: Any, index: Any = 12, term: Any = 7, **more: Any) -> dict[str, Any]:
    return {"ID": server, "SerfStatus": "alive", "LastContact": contact, "LastTerm": term, "LastIndex": index, **more}


def sample(at: float, *rows: dict[str, Any], leader: str = "s1", term: int = 7) -> HealthSample:
    """Asked for and come at the same moment; the leader's own row is always 0s."""
    servers = [row(leader, "0s", term=term, Leader=True), *rows]
    return HealthSample(at, at, health_rows({"Servers": servers}))


def heard(before: dict[str, Any], after: dict[str, Any], apart: float = 3.0) -> bool:
    return "s2" in beats([sample(0.0, before), sample(apart, after)])


SAMPLES = [
    ("another number", row("s2", "15.357523ms"), row("s2", "2.936858ms"), True),
    ("the same number to the nanosecond", row("s2", "79.82123ms"), row("s2", "79.82123ms"), False),
    ("the same number and a higher index", row("s2", "79.82123ms", 12), row("s2", "79.82123ms", 13), True),
    ("no answer any more", row("s2", "15.357523ms"), row("s2", "-1ns"), False),
    ("no answer before", row("s2", "-1ns"), row("s2", "15.357523ms"), False),
    ("a new leader's empty row", row("s2", "24.260531ms"), row("s2", "0s", 0, 0), False),
    ("an index that fell", row("s2", "24.260531ms", 12), row("s2", "2.936858ms", 11), False),
    ("null", row("s2", "24.260531ms"), row("s2", None), False),
    ("no number", row("s2", "24.260531ms"), row("s2", "soon"), False),
    ("a number of a thousand digits", row("s2", "24.260531ms"), row("s2", "9" * 1000 + "s"), False),
]


@pytest.mark.parametrize(
    ("before", "after", "alive"), [each[1:] for each in SAMPLES], ids=[each[0] for each in SAMPLES]
)
def test_a_sign_of_life_is_a_change_that_only_the_server_itself_can_make(
    before: dict[str, Any], after: dict[str, Any], alive: bool
) -> None:
    assert heard(before, after) == alive


def test_two_samples_of_one_refresh_say_nothing() -> None:
    """The leader asks every 2 s: what differs within that was drawn before."""
    assert not heard(row("s2", "15ms"), row("s2", "2ms"), apart=2.0)
    assert heard(row("s2", "15ms"), row("s2", "2ms"), apart=2.5)


@pytest.mark.parametrize(("leader", "term"), [("s3", 7), ("s1", 8)], ids=["another leader", "elected again"])
def test_a_change_of_leader_begins_the_samples_anew(leader: str, term: int) -> None:
    before, after = sample(0.0, row("s2", "15ms")), sample(3.0, row("s2", "2ms"), leader=leader, term=term)
    assert beats([before, after]) == {}
    again = sample(6.0, row("s2", "9ms"), leader=leader, term=term)
    assert set(beats([before, after, again])) == {"s2"}


def test_a_living_server_that_flaps_is_heard_by_the_samples_before() -> None:
    """Up to Nomad 1.3 all servers share one second, and a dead one makes living ones miss it."""
    taken = [sample(at, row("s2", contact)) for at, contact in ((0, "15ms"), (3, "2ms"), (6, "-1ns"))]
    assert beats(taken)["s2"].age == pytest.approx(8.0)


def test_a_leader_that_misses_its_own_question_spoils_no_pulse() -> None:
    """Nomad 1.0.18 shows even the leader at -1ns, without a term, now and then while another server is dead."""
    flapped = HealthSample(4.0, 4.0, health_rows({"Servers": [row("s1", "-1ns", 0, 0, Leader=True), row("s2", "4ms")]}))
    taken = [sample(0.0, row("s2", "15ms")), sample(3.0, row("s2", "2ms")), flapped]
    assert flapped.leader is not None
    assert set(beats(taken)) == {"s2"}
    assert beats([flapped]) == {}


def test_the_age_counts_from_the_earlier_sample_and_the_refresh_before_it() -> None:
    taken = [sample(at, row("s2", contact)) for at, contact in ((0, "15ms"), (3, "2ms"), (6, "8ms"))]
    assert beats(taken)["s2"].age == pytest.approx(5.0)
    assert beats(taken)["s2"].contact == pytest.approx(0.008)


def test_a_reply_without_one_leader_is_no_picture() -> None:
    """A text comes as no sample at all; ``Servers: null`` and two leaders as one that says nothing."""
    assert health_rows({"Servers": None}) == {}
    two = [row("s1", "0s", Leader=True), row("s2", "0s", Leader=True)]
    nobody = HealthSample(3.0, 3.0, health_rows({"Servers": two}))
    assert beats([sample(0.0, row("s2", "15ms")), nobody]) == {}
    assert beats([]) == {}


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("15.357523ms", 0.015357523), ("0s", 0.0), ("1m2.5s", 62.5), ("1h0m0s", 3600.0), ("20µs", 2e-5), ("700ns", 7e-7),
     ("-1ns", None), ("never", None), ("", None), ("0", None), (None, None), (7, None)],
)  # fmt: skip
def test_a_duration_as_go_writes_it(told: Any, seconds: float | None) -> None:
    assert go_seconds(told) == (None if seconds is None else pytest.approx(seconds))
