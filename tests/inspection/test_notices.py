"""What a check tells, and when: fifty minutes of it are played in a moment."""

from __future__ import annotations

import json

import pytest

from runbook.inspection.notices import WatchedState, read_watched, told, watch

OK, WARNING, CRITICAL, UNKNOWN = range(4)
Script = list[tuple[int, int, str]]  # from this minute on, this level by this finding

INCIDENT: Script = [(0, OK, ""), (7, WARNING, "DeadFollower"), (19, CRITICAL, "QuorumAtRisk"), (31, OK, "")]
FLAP: Script = [
    (0, OK, ""),
    (5, WARNING, "DeadFollower"),
    (6, OK, ""),
    (8, WARNING, "DeadFollower"),
    (9, OK, ""),
    (11, WARNING, "DeadFollower"),
    (12, OK, ""),
    (14, WARNING, "DeadFollower"),
    (15, CRITICAL, "QuorumAtRisk"),
    (16, WARNING, "DeadFollower"),
    (18, CRITICAL, "QuorumAtRisk"),
    (20, OK, ""),
]


def play(script: Script, minutes: int = 50, deaf: range = range(0)) -> list[tuple[int, str, int, str]]:
    """The notices, with their minute. In the ``deaf`` minutes none arrives. What is kept goes by a file, as JSON."""
    kept: WatchedState | None = None
    heard = []
    for minute in range(minutes):
        _, level, name = next(row for row in reversed(script) if row[0] <= minute)
        watched, notice = watch(kept, level, name, 60.0 * minute)
        if notice is not None and minute not in deaf:
            heard.append((minute, notice.kind, notice.state.level, notice.state.name))
            watched = told(watched, notice)
        kept = read_watched(json.loads(json.dumps(watched.record())))
        assert kept == watched
    return heard


def test_each_change_is_told_once_and_the_recovery_again() -> None:
    assert play(INCIDENT) == [
        (7, "problem", WARNING, "DeadFollower"),
        (19, "problem", CRITICAL, "QuorumAtRisk"),
        (31, "recovery", OK, ""),
    ]


def test_a_flap_is_named_once_and_what_is_worse_still_comes_through() -> None:
    """Eleven changes in fifteen minutes are seven notices: four of changes, the flap, what is worse, and its end."""
    assert play(FLAP) == [
        (5, "problem", WARNING, "DeadFollower"),
        (6, "recovery", OK, ""),
        (8, "problem", WARNING, "DeadFollower"),
        (9, "recovery", OK, ""),
        (11, "flapping", WARNING, "DeadFollower"),
        (15, "flapping", CRITICAL, "QuorumAtRisk"),
        (35, "steady", OK, ""),
    ]


def test_nothing_is_told_of_what_was_always_well_and_at_once_of_what_never_was() -> None:
    assert play([(0, OK, "")]) == []
    assert play([(0, CRITICAL, "QuorumAtRisk")]) == [(0, "problem", CRITICAL, "QuorumAtRisk")]


def test_what_did_not_arrive_comes_again() -> None:
    """Nobody answers in minutes 7 to 9; one change that came and went in the meantime is no news any more."""
    assert play(INCIDENT, deaf=range(7, 10))[0] == (10, "problem", WARNING, "DeadFollower")
    assert play([(0, OK, ""), (7, WARNING, "x"), (8, OK, "")], deaf=range(7, 8)) == []


def test_a_steady_alarm_after_a_flap_says_how_it_stands() -> None:
    script = [*FLAP[:-1], (20, CRITICAL, "QuorumAtRisk")]
    assert play(script)[-1] == (33, "steady", CRITICAL, "QuorumAtRisk")


def test_a_clock_that_was_set_back_holds_nothing_up() -> None:
    """Changes of the future are forgotten."""
    watched, _ = watch(None, OK, "", 1e9)
    for at in range(6):
        watched, _ = watch(watched, WARNING if at % 2 else OK, "x" if at % 2 else "", 1e9 + at)
    assert watched.now.flapping
    for at in (0, 1000):
        watched, _ = watch(watched, OK, "", 1e9 - 1e6 + at)
    assert not watched.now.flapping


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"now": [0, "", False], "since": 0},
        {"now": [7, "", False], "since": 0, "changes": [], "told": None},
        {"now": [True, "", False], "since": 0, "changes": [], "told": None},
        {"now": [0, "x" * 200, False], "since": 0, "changes": [], "told": None},
        {"now": [0, "", False], "since": "soon", "changes": [], "told": None},
        {"now": [0, "", False], "since": 0, "changes": {"a": 1}, "told": None},
        {"now": [0, ""], "since": 0, "changes": [], "told": None},
    ],
)
def test_what_is_no_state_is_none(data: object) -> None:
    assert read_watched(data) is None
