"""A fleet without a network: an inventory in a file, and behind each name of it a cluster in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from runbook.cluster.choice import ClusterChoice, chosen_cluster
from runbook.cluster.port import Cluster
from runbook.fleet.execute import FleetEnd, FleetPolicy, execute_fleet
from runbook.fleet.one_run import run_on_cluster
from runbook.fleet.requests import ClusterRunRequest, ClusterRunResult
from runbook.session import open_run as opening
from tests.engine.fake import PLAYBOOK, FakeClock, FakeCluster

NAMES = ("a", "b", "c", "d", "e")


@dataclass
class Watched:
    """What a watcher was told, as words."""

    told: list[str] = field(default_factory=list)
    on_end: Callable[[], object] = lambda: None

    def begun(self, clusters: Sequence[str]) -> None:
        self.told.append(f"begun {' '.join(clusters)}")

    def has_record(self, cluster: str, run: str, folder: str) -> None:
        self.told.append(f"record of {cluster}")

    def ended(self, result: ClusterRunResult) -> None:
        self.told.append(f"{result.cluster} {result.outcome}")
        self.on_end()


def cluster_of(number: int, name: str, clock: FakeClock | None = None) -> FakeCluster:
    """Five servers with numbers of their own, of which the last is dead: no two clusters share a peer."""
    numbers = range(5 * number + 1, 5 * number + 6)
    cluster = FakeCluster(clock or FakeClock(), dead={numbers[-1]}, leader=numbers[0], name=f"nomad:{name}")
    cluster.held = {each: set(numbers) for each in numbers}
    return cluster


class FakeFleet:
    """Clusters by their names, each with one dead server to remove, and a state folder of its own."""

    def __init__(self, folder: Path, names: Sequence[str] = NAMES, clock: FakeClock | None = None) -> None:
        """With one ``clock`` for all, or else one for each."""
        self.clusters = {name: cluster_of(number, name, clock) for number, name in enumerate(names)}
        self.state = folder / "state"
        folder.mkdir(exist_ok=True)
        self.inventory = folder / "clusters.yaml"
        rows = "".join(f"  {name}: {{ kind: nomad, addresses: ['http://{name}'] }}\n" for name in names)
        self.inventory.write_text(f"inventory: 1\nclusters:\n{rows}", encoding="utf-8")

    @property
    def environment(self) -> Mapping[str, str]:
        return {"RUNBOOK_STATE_DIR": str(self.state), "RUNBOOK_INVENTORY": str(self.inventory)}

    @property
    def changed(self) -> list[str]:
        """The clusters that got a request for a change."""
        return [name for name, cluster in self.clusters.items() if cluster.changes]

    def request(self, name: str, **more: Any) -> ClusterRunRequest:
        return ClusterRunRequest("fleet", name, str(PLAYBOOK), who="ann@host", agreed="by --yes", **more)

    @contextmanager
    def behind(self) -> Iterator[None]:
        """The names lead to these clusters."""

        def chosen(choice: ClusterChoice, environment: Mapping[str, str], **how: Any) -> Cluster:
            return self.clusters.get(str(choice.name)) or chosen_cluster(choice, environment, **how)

        with patch.object(opening, "chosen_cluster", chosen):
            yield

    def run(self, request: ClusterRunRequest, begin: Any = lambda *_: None, interrupts: Any = None) -> ClusterRunResult:
        clock = self.clusters[request.cluster].clock if request.cluster in self.clusters else FakeClock()
        return run_on_cluster(request, self.environment, clock, begin=begin, interrupts=interrupts)

    def execute(self, policy: FleetPolicy, watched: Watched | None = None, **more: Any) -> FleetEnd:
        requests = [self.request(name, **more) for name in self.clusters]
        with self.behind():
            return execute_fleet(requests, policy, self.run, watched or Watched())
