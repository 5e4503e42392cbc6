"""The check of many clusters: a few at a time, each with a deadline of its own, as one that hangs must hold up none."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from runbook.clock import seconds as now
from runbook.cluster.inventory.model import InventoryCluster
from runbook.cluster.threads import within
from runbook.raft.diagnosis.health import CRITICAL, OK, UNKNOWN, WARNING, ClusterHealth

WORST_FIRST = (CRITICAL, UNKNOWN, WARNING, OK)
"""What nobody could see may be as bad as it gets, and what was seen to be broken is worse still."""

Check = Callable[[InventoryCluster], ClusterHealth]


@dataclass(frozen=True)
class CheckedCluster:
    """What the check of one cluster found; without ``health`` it found nothing, and ``sentence`` says why."""

    cluster: InventoryCluster
    level: int
    sentence: str
    seconds: float
    health: ClusterHealth | None = None


def select(clusters: Iterable[InventoryCluster], labels: Mapping[str, str]) -> tuple[InventoryCluster, ...]:
    """The clusters that have all of these labels."""
    return tuple(cluster for cluster in clusters if labels.items() <= cluster.labels.items())


def check_clusters(
    clusters: Sequence[InventoryCluster], check: Check, *, timeout: float, at_once: int
) -> Iterator[CheckedCluster]:
    """Each as soon as it is checked, in any order.

    Args:
        clusters: which.
        check: looks at one and judges it; whatever it raises is the sentence of that cluster.
        timeout: seconds that each may take, once it is begun.
        at_once: how many are looked at together; each takes a thread and a connection a server.
    """
    waiting: queue.SimpleQueue[InventoryCluster] = queue.SimpleQueue()
    done: queue.SimpleQueue[CheckedCluster] = queue.SimpleQueue()
    for cluster in clusters:
        waiting.put(cluster)

    def work() -> None:
        while True:
            try:
                cluster = waiting.get_nowait()
            except queue.Empty:
                return
            done.put(_check_one(cluster, check, timeout))

    for _ in range(min(at_once, len(clusters))):
        threading.Thread(target=work, name="check", daemon=True).start()
    for _ in clusters:
        yield done.get()


def _check_one(cluster: InventoryCluster, check: Check, timeout: float) -> CheckedCluster:
    began = now()
    try:
        health = within(timeout, lambda: check(cluster))
    except TimeoutError:
        return CheckedCluster(cluster, UNKNOWN, f"the look did not finish within {timeout:g} s", now() - began)
    except Exception as error:
        return CheckedCluster(cluster, UNKNOWN, " ".join(str(error).split()), now() - began)
    return CheckedCluster(cluster, health.level, health.sentence, now() - began, health)


def gather_checks(
    checks: Iterator[CheckedCluster], clusters: Sequence[InventoryCluster]
) -> tuple[tuple[CheckedCluster, ...], bool]:
    """Worst first, and whether it was interrupted: then those that were not checked say so."""
    found: dict[str, CheckedCluster] = {}
    interrupted = False
    try:
        for checked in checks:
            found[checked.cluster.name] = checked
    except KeyboardInterrupt:
        interrupted = True
    for cluster in clusters:
        found.setdefault(cluster.name, CheckedCluster(cluster, UNKNOWN, "not checked: interrupted", 0.0))
    in_file_order = [found[cluster.name] for cluster in clusters]
    return tuple(sorted(in_file_order, key=lambda each: WORST_FIRST.index(each.level))), interrupted
