"""The real engine, steps and adapter on the simulated cluster: no incident makes them do harm, and each ends well."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.simulation.simulate import format_result, play_seeds

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "100"))
BATCHES = 6
KEPT = Path(__file__).with_name("seeds.txt")


@pytest.mark.parametrize("batch", range(BATCHES))
def test_every_invariant_holds_in_every_incident(batch: int) -> None:
    """Safety after every event while there are faults, and an ending once they are over."""
    for result in play_seeds(range(batch, SEEDS, BATCHES)):
        assert not result.violations, format_result(result)


def test_seeds_that_once_failed_do_not_fail_again() -> None:
    """What was found once is looked for ever after."""
    lines = [line for line in KEPT.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    for result in play_seeds(int(line.split()[0]) for line in lines):
        assert not result.violations, format_result(result)


def test_the_same_seed_is_the_same_incident() -> None:
    """A seed that fails must fail again, for the one who mends it: with a second run at once, too."""
    seeds = (0, 3, 7, 11)
    assert [(each.text, each.counts) for each in play_seeds(seeds)] == [
        (each.text, each.counts) for each in play_seeds(seeds)
    ]
