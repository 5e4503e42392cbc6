"""A small world for one step: a clock that a test moves, a record of its events, and no cluster behind it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any

from runbook.cluster.port import Cluster
from runbook.events import Event
from runbook.raft.model import ClusterView, Peer, Reach
from runbook.raft.removal import Policy
from runbook.run_state import RunState
from runbook.steps.base import Output
from runbook.steps.context import StepContext
from runbook.steps.registry import CATALOG, body_of


@dataclass
class FakeClock:
    """Time passes only when somebody sleeps."""

    seconds: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> str:
        return "2026-11-24T03:00:00.000+00:00"

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


class NoCluster:
    """A cluster whose whole story is one view."""

    name = "none"

    secrets: tuple[str, ...] = ()

    def __init__(self, view: ClusterView | None = None) -> None:
        self._view = view

    def look(self, *, within: float = inf) -> ClusterView:
        assert self._view is not None, "this step has no business with a cluster"
        return self._view

    def probe(self, addresses: Collection[str]) -> Mapping[str, Reach]:
        return {}

    def remove_peer(self, peer: Peer, *, within: float = inf) -> None:
        raise AssertionError("nothing is removed here")

    def save_state(self, path: Path, *, within: float = inf) -> str:
        raise AssertionError("nothing is saved here")


@dataclass
class World:
    """``run("http.request", url=…)`` does one step as the engine would, with every default filled in."""

    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)
    events: list[Event] = field(default_factory=list)
    cluster: Cluster = field(default_factory=NoCluster)

    def context(self, **more: Any) -> StepContext:
        context = StepContext(
            cluster=self.cluster,
            clock=self.clock,
            emit=self.events.append,
            folder=self.folder,
            step="it",
            policy=Policy(),
            dry_run=False,
            state=RunState(),
        )
        return replace(context, **more)

    def run(self, uses: str, /, context: StepContext | None = None, **arguments: Any) -> tuple[str, Output]:
        known = {parameter.name: parameter.default for parameter in CATALOG[uses].parameters}
        assert set(arguments) <= set(known), f"{uses} has no {set(arguments) - set(known)}"
        done = body_of(uses)(context or self.context(), {**known, **arguments})
        return done.message, done.output

    def dry(self, uses: str, /, reads: bool = False, **arguments: Any) -> tuple[str, Output]:
        """In a dry run; ``reads`` where the playbook says ``effect: read`` and the command line ``--run-reads``."""
        return self.run(uses, self.context(dry_run=True, reads=reads, run_reads=reads), **arguments)
