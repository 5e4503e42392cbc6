"""`check --all` by the workers of each region: all orders go out at once, and each reply is shown as it comes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from runbook.clock import seconds as now
from runbook.clock import wall_seconds
from runbook.cluster.inventory.model import InventoryCluster
from runbook.errors import NotStartedError
from runbook.fleet.check import CheckedCluster, identity_in_fleet
from runbook.fleet.check_records import FarCheck, level_of_check, read_check_reply, unseen
from runbook.fleet.orders import CHECK, Order, new_id
from runbook.fleet.post import LOST, TAKEN_WITHIN, Post, nobody_took_it, not_in_a_region
from runbook.fleet.regions import check_queue, region_of
from runbook.fleet.watch import Checks, FleetCheckRequest, Remembered
from runbook.raft.diagnosis.check_result import CheckResult, with_thresholds

POLL = 0.05  # seconds between two looks for replies
REDONE_WITHIN = 45.0  # seconds in which a broker hands on what a killed worker had, and it is done again
OUTAGE = 60.0  # seconds for which a Redis that is started anew is waited for


@dataclass
class _Region:
    """What is still waited for of one region, and since when it gave no sign."""

    waiting: dict[str, InventoryCluster]
    heard: float


def checks_via(post: Post) -> Checks:
    """The workers keep the samples for their next looks themselves."""

    def checks(
        request: FleetCheckRequest, clusters: Sequence[InventoryCluster], _remembered: Remembered
    ) -> Iterator[CheckedCluster]:
        for cluster, seen in _FarChecks(post, request, clusters).gather():
            level = level_of_check(seen)
            result = CheckResult(
                identity_in_fleet(cluster), level, seen.sentence, seen.seconds, seen.health, remarks=seen.remarks
            )
            yield CheckedCluster(cluster, with_thresholds(result, request.thresholds))

    return checks


class _FarChecks:
    def __init__(self, post: Post, request: FleetCheckRequest, clusters: Sequence[InventoryCluster]) -> None:
        self._post, self._timeout, self._clusters = post, request.timeout, clusters
        self._silent_since: float | None = None

    def gather(self) -> Iterator[tuple[InventoryCluster, FarCheck]]:
        """Each once, in any order. Nothing is waited for without an end: a region that gives no sign is given up."""
        regions: dict[str, _Region] = {}
        orders = []
        for cluster in self._clusters:
            named = region_of(cluster)
            if not named:
                yield cluster, unseen(not_in_a_region(cluster.name))
                continue
            order = self._order(cluster, named)
            orders.append(order)
            regions.setdefault(named, _Region({}, now())).waiting[order.id] = cluster
        yield from self._sent(orders, regions)
        while any(region.waiting for region in regions.values()):
            before = now()
            for name, region in regions.items():
                yield from self._replies(region)
                if region.waiting and (why := self._given_up(name, region)):
                    yield from ((cluster, unseen(why, self._timeout)) for cluster in region.waiting.values())
                    region.waiting.clear()
            time.sleep(max(0.0, POLL - (now() - before)))

    def _order(self, cluster: InventoryCluster, region: str) -> Order:
        """Good for as long as its region may need for all of them, one after another."""
        sent = wall_seconds()
        lasts = TAKEN_WITHIN + REDONE_WITHIN + self._timeout * (1 + len(self._clusters))
        return Order(new_id(), CHECK, region, cluster.name, sent, sent + lasts, {"timeout": self._timeout})

    def _sent(
        self, orders: Sequence[Order], regions: Mapping[str, _Region]
    ) -> Iterator[tuple[InventoryCluster, FarCheck]]:
        try:
            for order, message in zip(orders, self._post.sealed(orders), strict=True):
                self._post.send_check(order, message, check_queue(order.region))
        except NotStartedError as error:
            for region in regions.values():
                yield from ((cluster, unseen(str(error))) for cluster in region.waiting.values())
                region.waiting.clear()
        for region in regions.values():
            region.heard = now()

    def _replies(self, region: _Region) -> Iterator[tuple[InventoryCluster, FarCheck]]:
        try:
            replies = self._post.replies(list(region.waiting))
        except NotStartedError as error:
            self._silent_since = self._silent_since or now()
            region.heard = now()
            if now() - self._silent_since > OUTAGE:
                yield from ((cluster, unseen(str(error))) for cluster in region.waiting.values())
                region.waiting.clear()
            return
        self._silent_since = None
        for order, reply in replies.items():
            cluster = region.waiting.pop(order)
            region.heard = now()
            if isinstance(reply, dict) and LOST in reply:
                yield cluster, unseen(f"the process of the worker ended in the middle of the check: {reply[LOST]}")
                continue
            try:
                yield cluster, read_check_reply(reply)
            except NotStartedError as error:
                yield cluster, unseen(str(error))

    def _given_up(self, name: str, region: _Region) -> str:
        """Why; empty while one of its workers may still be at it."""
        waited = now() - region.heard
        if waited <= TAKEN_WITHIN:
            return ""
        try:
            workers = self._post.shared.workers(name)
        except NotStartedError:
            return ""
        if not workers:
            return nobody_took_it(name, TAKEN_WITHIN)
        longest = TAKEN_WITHIN + self._timeout + REDONE_WITHIN
        if waited <= longest:
            return ""
        return f"no worker of region {name} replied within {longest:.0f} s, though {', '.join(workers[:3])} is there"
