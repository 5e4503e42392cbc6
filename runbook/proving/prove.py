"""A playbook with every fault at every point, and with pairs of faults that a seed draws, on every core.

The run without a fault is played once by each core. At every point that it comes to, each fault that can befall it
there is played by a process forked at that point, so no schedule plays its beginning again.
"""

from __future__ import annotations

import contextlib
import gc
import os
import random
import tempfile
import traceback
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import NoReturn

from runbook.engine.plan import Plan
from runbook.proving.demands import not_played
from runbook.proving.faults import ProofFault
from runbook.proving.play import Cast, Performance
from runbook.proving.points import Point, Points, Schedule, read_schedules, tell_and_end
from runbook.simulation.scenario import Scenario

JITTER = 1  # the seed of what retries draw: a proof is the same each time
MEMORY = "/dev/shm"  # noqa: S108 - a folder of its own is made there
NEAR = 120  # points: within so many after the first fault the second one of a pair befalls
Pairs = Mapping[tuple[int, str], tuple[int, ...]]


@dataclass(frozen=True)
class Violated:
    """What did not hold in some schedules, the invariant first; and the one with the shortest transcript."""

    invariant: str
    sentence: str
    schedules: int
    shortest: Schedule


@dataclass(frozen=True)
class Proof:
    """What was played. ``unfaulted`` is how the run ends to which nothing happens, by the scenario."""

    scenarios: tuple[str, ...]
    points: int
    singles: int
    pairs: int
    unfaulted: Mapping[str, str]
    faults: Mapping[str, int]
    endings: Mapping[str, int]
    never_reached: tuple[str, ...]
    not_played: tuple[str, ...]
    presumed: tuple[str, ...]
    violations: tuple[Violated, ...] = ()

    @property
    def schedules(self) -> int:
        return self.singles + self.pairs + len(self.scenarios)

    @property
    def is_complete(self) -> bool:
        """Whether every step was played as it is, and the run ends well where nothing happens to it."""
        well = all(ending.split()[0] in ("completed", "refused") for ending in self.unfaulted.values())
        return well and not (self.never_reached or self.not_played or self.presumed or self.violations)


@dataclass
class _Found:
    """What the schedules of all scenarios have told so far."""

    singles: int = 0
    pairs: int = 0
    points: int = 0
    unfaulted: dict[str, str] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    steps: set[str] = field(default_factory=set)
    presumed: set[str] = field(default_factory=set)
    violated: dict[tuple[str, str], list[Schedule]] = field(default_factory=dict)

    def add(self, schedule: Schedule) -> None:
        self.singles += len(schedule.faults) == 1
        self.pairs += len(schedule.faults) == 2
        self.faults.update(fault.rpartition(": ")[2] for fault in schedule.faults)
        self.endings[schedule.ending] += 1
        self.steps.update(schedule.steps)
        self.presumed.update(schedule.presumed)
        if schedule.violations:
            invariant, sentence = schedule.violations[0]
            self.violated.setdefault((invariant, _without_numbers(sentence)), []).append(schedule)


def prove(plan: Plan, scenarios: Sequence[Scenario], *, pairs: int, jobs: int) -> Proof:
    """Every single fault at every point in each scenario, and so many pairs in all of them together.

    What befalls single reads is played in the first one alone: a look is the same in each.
    """
    found = _Found()
    with open_proof_folder() as folder:
        for number, scenario in enumerate(scenarios):
            cast = Cast(plan, scenario, folder, reads=number == 0)
            _prove_in(cast, range(number, pairs, len(scenarios)), jobs, found)
    names = {step.id for step in plan.playbook.every_step() if step.id}
    reached = {part for place in found.steps for part in place.split(".")}
    return Proof(
        tuple(scenario.name for scenario in scenarios),
        found.points,
        found.singles,
        found.pairs,
        found.unfaulted,
        found.faults,
        found.endings,
        tuple(sorted(names - reached)),
        not_played(plan),
        tuple(sorted(found.presumed)),
        tuple(_violations(found)),
    )


@contextlib.contextmanager
def open_proof_folder() -> Iterator[Path]:
    """For what the runs of a proof write: in memory where the system has such a place, as each of them waits for it."""
    place = MEMORY if os.access(MEMORY, os.W_OK | os.X_OK) else None
    with tempfile.TemporaryDirectory(prefix="runbook-proof-", dir=place) as folder:
        yield Path(folder)


def _violations(found: _Found) -> list[Violated]:
    violated = []
    for (invariant, _), schedules in sorted(found.violated.items()):
        shortest = min(schedules, key=lambda schedule: (len(schedule.transcript), schedule.faults))
        violated.append(Violated(invariant, shortest.violations[0][1], len(schedules), shortest))
    return violated


def _prove_in(cast: Cast, seeds: Sequence[int], jobs: int, found: _Found) -> None:
    gc.collect()
    gc.freeze()  # what is loaded is there to stay, and a look through it would copy all of it for each process
    points: list[Point] = []
    counting = Points(lambda point: points.append(point) or ())  # type: ignore[func-returns-value]
    random.seed(JITTER)
    unfaulted = Performance(_in_own_folder(cast, "first"), counting).play()
    found.unfaulted[cast.scenario.name] = unfaulted.ending
    found.points += len(points)
    found.add(unfaulted)
    seconds = _draw(points, seeds)
    pipes = [_start(cast, worker, jobs, seconds) for worker in range(jobs)]
    for told in pipes:
        for schedule in read_schedules(told):
            found.add(schedule)
    for _ in pipes:
        os.wait()


def _draw(points: Sequence[Point], seeds: Sequence[int]) -> Pairs:
    """The points at which the second faults befall, by the point and the name of the first: a pair for each seed."""
    drawn: dict[tuple[int, str], tuple[int, ...]] = {}
    places = [point for point in points if point.faults]
    if len(places) < 2:
        return drawn
    for seed in seeds:
        chance = Random(f"pair {seed}")  # noqa: S311 - a proof must be repeatable
        at = chance.randrange(len(places) - 1)
        first, second = places[at], chance.choice(places[at + 1 : at + NEAR])
        key = first.number, chance.choice(first.faults).name
        drawn[key] = (*drawn.get(key, ()), second.number)
    return drawn


def _start(cast: Cast, worker: int, jobs: int, seconds: Pairs) -> int:
    """A process that plays from every so manieth point. Returns where it tells what it played, in the end."""
    told, telling = os.pipe()
    if os.fork() == 0:
        os.close(told)
        _work(cast, worker, jobs, seconds, telling)
    os.close(telling)
    return told


def _work(cast: Cast, worker: int, jobs: int, seconds: Pairs, telling: int) -> NoReturn:
    parent = os.getppid()

    def fork_at(point: Point) -> Collection[ProofFault]:
        if os.getppid() != parent:  # nobody waits for it any more
            os._exit(1)
        return point.faults if point.number % jobs == worker else ()

    def choose(point: Point) -> ProofFault:
        return Random(f"{point.number} {point.place}").choice(point.faults)  # noqa: S311 - repeatable

    random.seed(JITTER)
    points = Points(fork_at, seconds, choose)
    try:
        Performance(_in_own_folder(cast, f"core {worker}"), points).play()
    except BaseException:  # told as what it is, and nothing of the process that it came from goes on here
        points.played.append(Schedule((), (("simulation", traceback.format_exc()),), "broken", ()))
    tell_and_end(telling, points.played)


def _in_own_folder(cast: Cast, name: str) -> Cast:
    return replace(cast, folder=cast.folder / cast.scenario.name / name)


def _without_numbers(sentence: str) -> str:
    return "".join("#" if letter.isdigit() else letter for letter in sentence)
