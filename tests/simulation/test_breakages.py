"""The simulation would notice: each guard that is broken on purpose is caught by an invariant."""

from __future__ import annotations

from itertools import chain

import pytest

from tests.simulation.breakages import BREAKAGES, Breakage
from tests.simulation.simulate import played

MOST_SEEDS = 400


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.name)
def test_a_broken_guard_is_caught(breakage: Breakage) -> None:
    """What the simulation cannot catch, it does not prove."""
    with breakage.made():
        caught = next((r for r in played(chain([breakage.caught_at], range(MOST_SEEDS))) if r.violations), None)
    assert caught is not None
    print(f"{breakage.name}: caught at seed {caught.seed} by {caught.violations[0].invariant}")
