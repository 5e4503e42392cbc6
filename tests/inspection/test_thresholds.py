"""The monitoring plugins' range syntax, by the table of their development guidelines and beyond its ends."""

from __future__ import annotations

import pytest

from runbook.raft.diagnosis.check_result import CheckResult, ClusterIdentity, with_thresholds
from runbook.raft.diagnosis.health import CRITICAL, OK, UNKNOWN, WARNING, ClusterHealth
from runbook.raft.diagnosis.thresholds import Thresholds, parse_range

RANGES = {  # the range: what is well, and what alerts
    "10": ((0, 10, 5.5), (-0.1, 10.1)),
    "10:": ((10, 1e9), (9.999, -1)),
    "~:10": ((10, -1e9), (10.001,)),
    "10:20": ((10, 20, 15), (9.9, 20.1)),
    "@10:20": ((9.9, 20.1), (10, 20, 15)),
    ":5": ((0, 5), (-1, 6)),
    "-5:-2": ((-5, -2), (-6, 0)),
    "~:": ((-1e9, 0, 1e9), ()),
    "@0": ((0.5, -0.5), (0,)),
    "1.5:": ((1.5,), (1.4,)),
}


@pytest.mark.parametrize("text", RANGES)
def test_a_range_means_what_the_plugins_mean(text: str) -> None:
    """Both ends belong to it."""
    well, alerting = RANGES[text]
    assert [value for value in well if parse_range(text).alerts(value)] == []
    assert [value for value in alerting if not parse_range(text).alerts(value)] == []


@pytest.mark.parametrize("text", ["", ":", "@", "@:", "a", "10:5", "1:2:3", "1e3", "nan", "10 :20", "٣", "9" * 40, "~"])
def test_what_is_no_range_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"a range is|begins at"):
        parse_range(text)


def result(level: int, sentence: str = "healthy: 5 of 5", tolerance: int = 1) -> CheckResult:
    health = ClusterHealth(level, sentence, 5, 5, tolerance, 0, 0, has_leader=True, findings=())
    return CheckResult(ClusterIdentity("prod", "nomad", "http://a"), level, sentence, 0.5, health)


LEVELS = [  # ours, the tolerance, and the level with a warning at 2: and critical at 1:
    (OK, 2, OK),
    (OK, 1, WARNING),
    (OK, 0, CRITICAL),
    (WARNING, 1, WARNING),
    (CRITICAL, 2, CRITICAL),
    (UNKNOWN, 1, UNKNOWN),
    (UNKNOWN, 0, CRITICAL),
]


@pytest.mark.parametrize(("level", "tolerance", "expected"), LEVELS)
def test_a_threshold_raises_the_level_and_never_lowers_it(level: int, tolerance: int, expected: int) -> None:
    """What nobody could see stays unknown, but for what is critical by a number that is known."""
    thresholds = Thresholds({"failure_tolerance": parse_range("2:")}, {"failure_tolerance": parse_range("1:")})
    held = with_thresholds(result(level, tolerance=tolerance), thresholds)
    assert held.level == expected
    assert ("failure_tolerance is" in held.sentence) == (expected != level)
    assert ("next: runbook diagnose --cluster prod" in held.sentence) == (expected != level)


def test_a_number_that_nobody_gave_crosses_nothing() -> None:
    """Nobody showed a certificate."""
    held = with_thresholds(result(OK), Thresholds({}, {"certificate_days": parse_range("7:")}))
    assert (held.level, held.sentence) == (OK, "healthy: 5 of 5")
