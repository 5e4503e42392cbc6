"""Cuts of the network: between servers, and between them and the tool."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from runbook.simulation.cluster import SimulatedCluster
from tests.simulation.network import IncidentNetwork
from tests.simulation.timeline import ActorsTimeline


class Cuts:
    """``changed`` does what changes the world. All of them heal at once, whichever ends first."""

    def __init__(
        self,
        model: SimulatedCluster,
        network: IncidentNetwork,
        timeline: ActorsTimeline,
        chance: Random,
        changed: Callable[[Callable[[], None]], None],
    ) -> None:
        self._model, self._network, self._timeline = model, network, timeline
        self._chance, self._changed = chance, changed

    def partition(self, lasts: float, *, smaller: bool) -> str | None:
        """The tool's host is on one of the two sides."""
        names = list(self._model.state.servers)
        self._chance.shuffle(names)
        cut = self._chance.randint(1, (len(names) - 1) // 2) if smaller else self._chance.randint(1, len(names) - 1)
        here, there = names[:cut], names[cut:]
        self._changed(lambda: self._model.partition([here, there]))
        self._network.links.blocked = set(there)
        self._timeline.after(lasts, self.heal)
        return f"{' '.join(here)} with the tool | {' '.join(there)}"

    def one_way(self, lasts: float) -> str | None:
        one, other = self._chance.sample(list(self._model.state.servers), 2)
        self._changed(lambda: self._model.drop_packets(one, other))
        self._timeline.after(lasts, self.heal)
        return f"{one} to {other}"

    def cut_off(self, lasts: float) -> str | None:
        self._changed(lambda: self._network.links.blocked.update(self._few()))
        self._timeline.after(lasts, self.heal)
        return " ".join(sorted(self._network.links.blocked))

    def deafen(self, lasts: float) -> str | None:
        self._changed(lambda: self._network.links.deaf.update(self._few()))
        self._timeline.after(lasts, self.heal)
        return " ".join(sorted(self._network.links.deaf))

    def heal(self) -> None:
        self._changed(self._model.heal)
        self._network.links.blocked.clear()
        self._network.links.deaf.clear()

    def _few(self) -> list[str]:
        names = list(self._model.state.servers)
        return self._chance.sample(names, self._chance.randint(1, len(names) // 2))
