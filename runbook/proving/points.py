"""Where something can befall a run, and the processes that are forked there: each plays one fault, and shares the
beginning with the run that goes on without it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

from runbook.proving.faults import ProofFault

LONGEST_SCHEDULE = 100_000  # points; a run that reaches more would go on for ever


@dataclass(frozen=True)
class Befallen:
    """A fault at a point of a run: its number, and in words what happens there."""

    at: int
    place: str
    fault: ProofFault

    def __str__(self) -> str:
        return f"{self.place}: {self.fault.value}"


@dataclass(frozen=True)
class Point:
    """A place that a run comes to, and the faults that can befall it there."""

    number: int
    place: str
    faults: tuple[ProofFault, ...]


@dataclass(frozen=True)
class Schedule:
    """What came of one run with its faults. The transcript is kept where something is violated."""

    faults: tuple[str, ...]
    violations: tuple[tuple[str, str], ...]
    ending: str
    steps: tuple[str, ...]
    presumed: tuple[str, ...] = ()
    transcript: tuple[str, ...] = ()


@dataclass
class Points:
    """Of one process. ``fork_at`` says what else is played from a point, in processes of its own, before it goes on."""

    fork_at: Callable[[Point], Collection[ProofFault]] = lambda _point: ()
    seconds: Mapping[tuple[int, str], Sequence[int]] = field(default_factory=dict)
    """Of pairs: the points at which the second fault befalls a run, by the point and the name of the first one."""
    choose: Callable[[Point], ProofFault] = lambda point: point.faults[0]
    number: int = 0
    befallen: list[Befallen] = field(default_factory=list)
    played: list[Schedule] = field(default_factory=list)
    keep: Callable[[], Callable[[], None]] = lambda: lambda: None
    """Of what a forked process may change outside of itself, its files: what makes it as it is now."""
    tell: Callable[[Sequence[Schedule]], NoReturn] | None = None
    """In a process that was forked: tell what was played, and end."""

    def reach(self, place: str, faults: tuple[ProofFault, ...]) -> ProofFault | None:
        """What befalls this process here; nothing in the one that plays all of them."""
        point = Point(self.number, place, faults)
        self.number += 1
        if self.number > LONGEST_SCHEDULE:
            raise RuntimeError(f"a schedule has more than {LONGEST_SCHEDULE} points")
        for fault in self.fork_at(point):
            if self._is_forked(Befallen(point.number, place, fault)):
                return fault
        return None

    def _is_forked(self, befallen: Befallen) -> bool:
        """Whether this is the new process; the old one has all that the new one and its own children played."""
        told, telling = os.pipe()
        restore = self.keep()
        if os.fork() == 0:
            os.close(told)
            self._befalls(befallen, telling)
            return True
        os.close(telling)
        try:
            self.played += read_schedules(told)
        except ValueError:
            died = ("simulation", f"its process died: {befallen}")
            self.played.append(Schedule((*map(str, self.befallen), str(befallen)), (died,), "broken", ()))
        os.wait()
        restore()
        return False

    def _befalls(self, befallen: Befallen, telling: int) -> None:
        self.befallen.append(befallen)
        self.played = []
        self.tell = lambda schedules: tell_and_end(telling, schedules)
        ats = self.seconds.get((befallen.at, befallen.fault.name), ()) if len(self.befallen) == 1 else ()
        self.fork_at = lambda point: [self.choose(point)] * ats.count(point.number) if point.faults else ()


def tell_and_end(telling: int, schedules: Sequence[Schedule]) -> NoReturn:
    """Nothing of this process goes on, no handler and no buffer."""
    try:
        with os.fdopen(telling, "w", encoding="utf-8") as file:
            json.dump([asdict(schedule) for schedule in schedules], file)
    finally:
        os._exit(0)


def read_schedules(told: int) -> list[Schedule]:
    """Raises ValueError where the process died before it told anything."""
    with os.fdopen(told, encoding="utf-8") as file:
        return [_schedule(data) for data in json.load(file)]


def _schedule(data: Mapping[str, Any]) -> Schedule:
    violations = tuple((str(invariant), str(sentence)) for invariant, sentence in data["violations"])
    lists = {name: tuple(data[name]) for name in ("faults", "steps", "presumed", "transcript")}
    return Schedule(ending=data["ending"], violations=violations, **lists)
