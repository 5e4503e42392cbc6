"""One wait for all: the same value several times in a row, a pause between, and a limit."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from runbook.clock import wait
from tests.steps.world import FakeClock


def waited(
    values: Iterable[str | None], *, within: float = 10.0, successes: int = 1, every: float = 1.0
) -> tuple[str | None, list[float]]:
    """What came of it, and every pause."""
    clock, told = FakeClock(), iter(values)
    return wait(clock, lambda: next(told), every=lambda *_: every, within=within, successes=successes), clock.slept


@pytest.mark.parametrize(
    ("values", "successes", "result", "pauses"),
    [
        (["a"], 1, "a", 0),
        ([None, None, "a"], 1, "a", 2),
        (["a", "a"], 2, "a", 1),
        (["a", "b", "b"], 2, "b", 2),
        (["a", None, "a", "a"], 2, "a", 3),
        (["a", "a", "b", "b", "b"], 3, "b", 4),
    ],
)
def test_it_ends_when_the_condition_gave_the_same_value_so_often_in_a_row(
    values: list[str | None], successes: int, result: str, pauses: int
) -> None:
    assert waited(values, successes=successes) == (result, [1.0] * pauses)


def test_at_the_limit_it_asks_once_more_and_no_pause_goes_beyond() -> None:
    assert waited([None] * 4, within=2.5) == (None, [1.0, 1.0, 0.5])
    assert waited([None, None, None, "late"], within=2.5) == ("late", [1.0, 1.0, 0.5])
    assert waited(["a"] * 3, within=1.0, successes=3) == (None, [1.0])


def test_within_no_time_it_asks_once() -> None:
    assert waited(["a"], within=0.0) == ("a", [])
    assert waited([None], within=0.0) == (None, [])


def test_a_pause_may_depend_on_the_time_waited_and_on_how_often_it_held() -> None:
    clock, told = FakeClock(), iter([None, "a", "a", None])
    asked: list[tuple[float, int]] = []

    def every(seconds: float, held: int) -> float:
        asked.append((seconds, held))
        return 2.0

    assert wait(clock, lambda: next(told), every=every, within=6.0, successes=3) is None
    assert asked == [(0.0, 0), (2.0, 1), (4.0, 2)]
