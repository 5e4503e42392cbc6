"""Which shapes incidents have, and what a person says beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from runbook.lab.virtual.approach import Approach, Shape
from runbook.simulation.settings import SimulationSettings

SHAPES = (Shape.ONE_DOOR, Shape.ONE_DOOR, Shape.TUNNEL, Shape.BALANCER, Shape.FAR_BALANCER)


@dataclass(frozen=True)
class Word:
    """What a person says beforehand: of so many servers that are off, and of some other one, right or wrong."""

    most: int
    wrong: bool


def draw_approach(chance: Random, settings: SimulationSettings) -> Approach:
    shape = chance.choice(SHAPES) if chance.random() < 0.25 else Shape.OPEN
    return Approach(shape, chance.choice(settings.names))


def draw_word(chance: Random, approach: Approach) -> Word | None:
    """Mostly where nothing else would settle it."""
    if chance.random() >= (0.1 if approach.is_open else 0.5):
        return None
    return Word(chance.choice((0, 1, 1, 2)), wrong=chance.random() < 0.3)
