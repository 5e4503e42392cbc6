"""`check --all` and who hears of it: one notice for each cluster that changed, one ping for all, one file of memory."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runbook.cluster.inventory.model import InventoryAddress, InventoryCluster
from runbook.errors import Mark
from runbook.fleet import watch
from runbook.fleet.watch import FleetChecked, FleetCheckRequest, check_fleet, checks_here
from runbook.inspection.check_look import LookedAt
from runbook.inspection.check_memory import CheckMemory
from runbook.raft.diagnosis.health import CRITICAL, OK, UNKNOWN, WARNING, ClusterHealth
from runbook.raft.diagnosis.thresholds import Thresholds, parse_range
from runbook.redaction import Redactor
from tests.engine.fake import FakeClock

MARK = Mark("clusters.yaml", 1, 1)
CLUSTERS = tuple(
    InventoryCluster(name, "nomad", MARK, (InventoryAddress(f"http://{name}", MARK),)) for name in ("a", "b", "c")
)
NOTIFY, PING = "http://127.0.0.1/notify", "http://127.0.0.1/ping"


class Fleet:
    """Three clusters, of which each check sees these levels; what was posted, and what becomes of it."""

    def __init__(self, state: Path) -> None:
        self.environment = {"RUNBOOK_STATE_DIR": str(state)}
        self.clock = FakeClock()
        self.posted: list[tuple[str, bytes]] = []
        self.trouble: dict[str, str] = {}
        self.pulses: dict[str, Any] = {}

    def check(self, levels: Mapping[str, int] = {}, *, failing: tuple[str, ...] = (), **more: Any) -> FleetChecked:
        self.clock.sleep(60)
        self.posted.clear()

        def look(cluster: InventoryCluster, kept: CheckMemory) -> LookedAt:
            self.pulses[cluster.name] = kept.pulse
            level = levels.get(cluster.name, OK)
            if level == UNKNOWN:
                raise ValueError("nothing listens there")
            health = ClusterHealth(level, f"level {level}", 3, 3, 1, 0, 0, has_leader=True, findings=())
            return LookedAt(health, (), {"of": cluster.name})

        def post(url: str, body: bytes, _seconds: float) -> str:
            self.posted.append((url, body))
            return "it answered 500" if url == NOTIFY and json.loads(body)["cluster"] in failing else ""

        request = FleetCheckRequest("clusters.yaml", **{"notify": NOTIFY, **more})
        return check_fleet(request, CLUSTERS, checks_here(look), self.environment, Redactor(), self.clock, post=post)

    @property
    def notices(self) -> set[tuple[str, str, str]]:
        told = [json.loads(body) for url, body in self.posted if url == NOTIFY]
        assert len({each["cluster"] for each in told}) == len(told)
        return {(each["cluster"], each["event"], each["status"]) for each in told}


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def test_each_that_changed_is_told_once_and_again_when_it_is_well(fleet: Fleet) -> None:
    seen = []
    for levels in ({}, {"b": WARNING, "c": UNKNOWN}, {"b": WARNING, "c": UNKNOWN}, {"b": CRITICAL}, {}):
        fleet.check(levels)
        seen.append(fleet.notices)
    assert seen == [
        set(),
        {("b", "problem", "WARNING"), ("c", "problem", "UNKNOWN")},
        set(),
        {("b", "problem", "CRITICAL"), ("c", "recovery", "OK")},
        {("b", "recovery", "OK")},
    ]


def test_what_did_not_arrive_comes_again_and_is_said(fleet: Fleet) -> None:
    """Of two that changed one was told."""
    told = fleet.check({"a": WARNING, "b": WARNING}, failing=("b",))
    assert told.remarks == ("notify: 1 of 2 notices did not arrive: it answered 500",)
    fleet.check({"a": WARNING, "b": WARNING})
    assert fleet.notices == {("b", "problem", "WARNING")}


def test_a_webhook_that_hangs_costs_its_time_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many changed: what was not sent within it comes with the next check."""
    monkeypatch.setattr(watch, "SENDING", 0.2)
    monkeypatch.setattr(watch, "NOTICES_WITHIN", 0.3)
    monkeypatch.setattr(watch, "NOTICES_AT_ONCE", 1)

    def hang(_url: str, _body: bytes, _seconds: float) -> str:
        time.sleep(5)
        return ""

    began = time.monotonic()
    trouble = watch._send_all({str(number): b"{}" for number in range(9)}, NOTIFY, hang)
    assert time.monotonic() - began < 2
    assert (len(trouble), trouble["0"], trouble["8"]) == (9, "no answer in time", "there was no time left after 0.3 s")


def test_an_interrupted_check_tells_nobody_and_keeps_nothing(fleet: Fleet) -> None:
    """Those that were not checked are not unknown, they were not asked."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    request = FleetCheckRequest("clusters.yaml", notify=NOTIFY, ping=PING)
    posted: list[str] = []

    def post(url: str, _body: bytes, _seconds: float) -> str:
        posted.append(url)
        return ""

    def look(_cluster: InventoryCluster, _kept: CheckMemory) -> LookedAt:
        raise ValueError("x")

    checked = check_fleet(
        request, CLUSTERS, checks_here(look), fleet.environment, Redactor(), fleet.clock, tick=interrupt, post=post
    )
    assert checked.interrupted
    assert posted in ([], [f"{PING}/start"])
    assert not list(Path(fleet.environment["RUNBOOK_STATE_DIR"]).glob("**/*.json"))


@pytest.mark.parametrize(
    ("levels", "end"),
    [({}, ""), ({"b": WARNING}, "/1"), ({"a": WARNING, "b": CRITICAL}, "/2"), ({"a": UNKNOWN}, "/fail")],
)
def test_one_ping_for_all_of_them(fleet: Fleet, levels: Mapping[str, int], end: str) -> None:
    """With the exit status of the worst, and its sentence."""
    checked = fleet.check(levels, ping=PING, notify="")
    assert [url for url, _ in fleet.posted] == [f"{PING}/start", f"{PING}{end}"]
    assert f"3 clusters, the worst {checked.clusters[0].result.identity.name}: " in fleet.posted[1][1].decode()


def test_thresholds_hold_for_each_and_sort_them(fleet: Fleet) -> None:
    """Beside a level that is worse already they change nothing."""
    thresholds = Thresholds(critical={"voters": parse_range("5:")})
    checked = fleet.check({"b": WARNING, "c": UNKNOWN}, thresholds=thresholds)
    assert [(each.cluster.name, each.level) for each in checked.clusters] == [
        ("a", CRITICAL),
        ("b", CRITICAL),
        ("c", UNKNOWN),
    ]
    assert checked.clusters[0].sentence.startswith("voters is 3, not in 5: (critical); level 0")


def test_what_flaps_is_told_as_that(fleet: Fleet) -> None:
    for number in range(6):
        checked = fleet.check({"b": WARNING * (number % 2)})
    assert [each.result.flapping for each in checked.clusters if each.cluster.name == "b"] == [True]
    assert fleet.notices == {("b", "flapping", "WARNING")}


def test_the_last_pulse_of_each_is_handed_on_in_one_file(fleet: Fleet) -> None:
    """And whatever else lies there is as if nothing did."""
    fleet.check()
    assert set(fleet.pulses.values()) == {None}
    fleet.check({"b": UNKNOWN})
    fleet.check()
    assert fleet.pulses == {name: {"of": name} for name in "abc"}
    (kept,) = Path(fleet.environment["RUNBOOK_STATE_DIR"]).glob("checks/*.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    for odd in ("", "[]", '{"boot": null, "clusters": {"nomad:a http://a": 3}}', "[" * 100_000):
        kept.write_text(odd, encoding="utf-8")
        fleet.check()
        assert set(fleet.pulses.values()) == {None}


def test_other_labels_and_thresholds_are_another_way_to_check(fleet: Fleet) -> None:
    """A cluster that is in two fleets is told for each."""
    fleet.check({"b": WARNING})
    fleet.check({"b": WARNING}, labels={"env": "prod"})
    assert fleet.notices == {("b", "problem", "WARNING")}
