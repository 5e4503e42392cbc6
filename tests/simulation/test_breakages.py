"""The simulation would notice: each guard that is broken on purpose is caught by an invariant."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

import pytest

from tests.simulation.breakages import BREAKAGES, Breakage
from tests.simulation.simulate import play_seeds

MOST_SEEDS = 400


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.name)
def test_a_broken_guard_is_caught(breakage: Breakage, summarize: Callable[[str], None]) -> None:
    """What the simulation cannot catch, it does not prove."""
    with breakage.made():
        caught = next((r for r in play_seeds(chain([breakage.caught_at], range(MOST_SEEDS))) if r.violations), None)
    assert caught is not None
    where = f"{breakage.name}: caught at seed {caught.seed} by {caught.violations[0].invariant}"
    if caught.seed == breakage.caught_at:
        print(where)
    else:
        summarize(f"{where}; write that down as its caught_at, as all before it were played in vain")
