"""The check of many clusters: a few at a time, each with a deadline of its own, as one that hangs must hold up none."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from runbook.clock import seconds as now
from runbook.cluster.inventory.model import InventoryCluster
from runbook.cluster.threads import Begun
from runbook.dataclass import dataclass
from runbook.inspection.check_look import LookedAt
from runbook.raft.diagnosis.check_result import CheckResult, ClusterIdentity, with_thresholds
from runbook.raft.diagnosis.health import CRITICAL, OK, UNKNOWN, WARNING
from runbook.raft.diagnosis.thresholds import NO_THRESHOLDS, Thresholds

WORST_FIRST = (CRITICAL, UNKNOWN, WARNING, OK)
"""What nobody could see may be as bad as it gets, and what was seen to be broken is worse still."""

SLOW = 1.0  # seconds: a healthy cluster is done long before, and one that hangs keeps nobody busy
MOST_SLOW = 200  # that wait beside those that are looked at, each with some threads

Check = Callable[[InventoryCluster], LookedAt]


@dataclass(frozen=True)
class CheckedCluster:
    """What the check of one cluster found, and the sample for its next look."""

    cluster: InventoryCluster
    result: CheckResult
    pulse: Any = None

    @property
    def level(self) -> int:
        return self.result.level

    @property
    def sentence(self) -> str:
        return self.result.sentence


def identity_in_fleet(cluster: InventoryCluster) -> ClusterIdentity:
    """How monitors tell it apart."""
    return ClusterIdentity(cluster.name, cluster.kind, cluster.addresses[0].url if cluster.addresses else "")


def select(clusters: Iterable[InventoryCluster], labels: Mapping[str, str]) -> tuple[InventoryCluster, ...]:
    """The clusters that have all of these labels."""
    return tuple(cluster for cluster in clusters if labels.items() <= cluster.labels.items())


def check_clusters(
    clusters: Sequence[InventoryCluster],
    check: Check,
    *,
    timeout: float,
    at_once: int,
    thresholds: Thresholds = NO_THRESHOLDS,
) -> Iterator[CheckedCluster]:
    """Each as soon as it is checked, in any order.

    Args:
        clusters: which.
        check: looks at one and judges it; whatever it raises is the sentence of that cluster.
        timeout: seconds that each may take, once it is begun.
        at_once: how many are looked at together; each takes some threads and a connection a server. One that is not
            done after ``SLOW`` seconds makes room for the next, as all that it does is wait.
        thresholds: what each is held against.
    """
    done: queue.SimpleQueue[CheckedCluster] = queue.SimpleQueue()
    places, waits, over = threading.Semaphore(at_once), threading.Semaphore(MOST_SLOW), threading.Event()

    def begin_all() -> None:
        for cluster in clusters:
            places.acquire()
            if over.is_set():
                return
            Begun(partial(check_one, cluster))

    def check_one(cluster: InventoryCluster) -> None:
        began, begun = now(), Begun(lambda: check(cluster))
        checked = _result_within(min(SLOW, timeout), cluster, begun, began)
        makes_room = checked is None and waits.acquire(blocking=False)
        if makes_room:
            places.release()
        checked = checked or _result_within(began + timeout - now(), cluster, begun, began)
        checked = checked or _unseen(cluster, f"the look did not finish within {timeout:g} s", timeout)
        done.put(replace(checked, result=with_thresholds(checked.result, thresholds)))
        (waits if makes_room else places).release()

    threading.Thread(target=begin_all, name="checks", daemon=True).start()
    try:
        for _ in clusters:
            yield done.get()
    finally:
        over.set()


def _result_within(
    seconds: float, cluster: InventoryCluster, begun: Begun[LookedAt], began: float
) -> CheckedCluster | None:
    """None where nothing came in this time."""
    try:
        looked = begun.result(max(0.0, seconds))
    except TimeoutError:
        return None
    except Exception as error:
        return _unseen(cluster, " ".join(str(error).split()), now() - began)
    health, took = looked.health, now() - began
    result = CheckResult(
        identity_in_fleet(cluster), health.level, health.sentence, took, health, remarks=looked.remarks
    )
    return CheckedCluster(cluster, result, looked.pulse)


def _unseen(cluster: InventoryCluster, why: str, seconds: float) -> CheckedCluster:
    return CheckedCluster(cluster, CheckResult(identity_in_fleet(cluster), UNKNOWN, why, seconds))


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
        found.setdefault(cluster.name, _unseen(cluster, "not checked: interrupted", 0.0))
    in_file_order = [found[cluster.name] for cluster in clusters]
    return tuple(sorted(in_file_order, key=lambda each: WORST_FIRST.index(each.level))), interrupted
