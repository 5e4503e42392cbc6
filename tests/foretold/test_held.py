"""On a world that stands still a run that is held to its plan is the run that would be made without one."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from runbook.engine.execute import Ending
from runbook.events import RunCompleted, RunRefused
from runbook.exit_codes import exit_code_of_ending
from runbook.session.saved_plans import PlanTerms, plan_of_run
from tests.foretold.compared import NAMES, ROOT, SHIPPED, ends_of, moves, params_of
from tests.foretold.standing import StandingWorld, quick_disk

SEEDS = int(os.environ.get("HELD_SEEDS", "2"))
TERMS = PlanTerms("/plays/x.yaml", "", (), 86400.0, "2026-01-01T00:00:00+00:00")


@pytest.mark.parametrize("name", NAMES)
def test_held_or_not_it_is_the_same_run(name: str, tmp_path: Path) -> None:
    """Every step ends alike, the same changes are begun; only what could not be foreseen is refused."""
    counts: Counter[str] = Counter()
    for seed in range(SEEDS):
        with quick_disk():
            counts[compare_held(name, seed, tmp_path / str(seed))] += 1
    print(f"{name}: {dict(counts)}")


def compare_held(name: str, seed: int, folder: Path) -> str:
    folder.mkdir()
    dry, foretold = play(name, seed, folder / "dry")
    if not isinstance(foretold, RunCompleted):
        return "no plan"
    held, ending = play(name, seed, folder / "held", dry)
    free, otherwise = play(name, seed, folder / "free", dry_run=False)
    if moves(seed, folder, free.world.timeline.now):
        return "the world moved by itself"
    if isinstance(ending, RunRefused) and ending.code == "NotInPlan" and dry.state.foreseen:
        assert dry.state.foreseen["unknown"], ending
        return "not foreseen"
    assert (type(ending), exit_code_of_ending(ending)) == (type(otherwise), exit_code_of_ending(otherwise)), ending
    for place, end in ends_of(free).items():
        assert ends_of(held)[place]["kind"] == end["kind"], f"{name} {seed} {place}: {ends_of(held)[place]}, {end}"
    assert intents(held) == intents(free)
    return "the same"


def play(
    name: str, seed: int, own: Path, planned: StandingWorld | None = None, *, dry_run: bool = True
) -> tuple[StandingWorld, Ending]:
    """``planned``: held to the plan of that dry run."""
    own.mkdir()
    path = ROOT / "playbooks" / ("" if name in SHIPPED else "examples") / f"{name}.yaml"
    world = StandingWorld(seed, own / "state" / "runs" / "r")
    world.folder.parent.mkdir(parents=True)
    if planned is not None:
        world.plan = plan_of_run(planned.state, planned.records, TERMS)
    return world, world.play(path, params_of(name, world, own), "agrees", dry_run=dry_run and planned is None)


def intents(world: StandingWorld) -> tuple[list[str], set[tuple[str, int | None]]]:
    """The removals in their order, and all other changes, as items may be done beside each other."""
    removals = [r["peer"] for r in world.records if r["kind"] == "removal.requested"]
    changes = {(r["step"], r["item"]) for r in world.records if r["kind"] == "change.begun"}
    return list(dict.fromkeys(removals)), changes
