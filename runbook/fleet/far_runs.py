"""The runs of a fleet by the workers of each region: an order goes out, and its end is waited for or told."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runbook.clock import seconds as now
from runbook.clock import wall_seconds
from runbook.cluster.inventory.model import InventoryCluster
from runbook.decode import ODD
from runbook.errors import NotStartedError, RunbookError
from runbook.exit_codes import FAILED, INTERRUPTED
from runbook.exit_codes import NOT_STARTED as NOT_STARTED_CODE
from runbook.fleet.brought_home import keep_record
from runbook.fleet.far_checks import OUTAGE
from runbook.fleet.one_run import Begin
from runbook.fleet.orders import RUN, Order, new_id
from runbook.fleet.post import LOST, TAKEN_WITHIN, Post, nobody_took_it, not_in_a_region
from runbook.fleet.regions import region_of, run_queue
from runbook.fleet.requests import INTERRUPTION, NOT_STARTED, ClusterRunRequest, ClusterRunResult
from runbook.fleet.shared import KEPT
from runbook.fleet.worker import began_and_not_ended
from runbook.inspection.check_look import one_line
from runbook.session.interrupts import RunInterrupts

POLL = 0.25  # seconds
STOPS_WITHIN = 60.0  # seconds for which the handlers of a run that was interrupted are waited for
DIED_WITHIN = 10.0  # seconds after the last sign of life in which a result may still come


class FarRunner:
    """Does one run at a time in each of several threads. ``fleets`` is where the records of runs are kept."""

    def __init__(self, post: Post, clusters: Mapping[str, InventoryCluster], fleets: Path) -> None:
        self._post, self._clusters, self._fleets = post, clusters, fleets
        self._sending = threading.Lock()

    def __call__(self, request: ClusterRunRequest, begin: Begin, interrupts: RunInterrupts) -> ClusterRunResult:
        """To its end, or until nobody can tell it. Never raises but for a fault of the program."""
        began = now()
        region = region_of(self._clusters[request.cluster])
        if not region:
            return ClusterRunResult(request.cluster, NOT_STARTED, not_in_a_region(request.cluster), NOT_STARTED_CODE)
        sent = wall_seconds()
        expires = sent + TAKEN_WITHIN + 5
        order = Order(new_id(), RUN, region, request.cluster, sent, expires, request.to_dict())
        try:
            with self._sending:
                (message,) = self._post.sealed([order])
                self._post.send_run(order, message, run_queue(region))
        except RunbookError as error:
            return ClusterRunResult(request.cluster, NOT_STARTED, one_line(error), NOT_STARTED_CODE)
        return _Waiting(self._post, order, request, begin, interrupts, self._fleets, began).end()


class _Waiting:
    """For the end of one order."""

    def __init__(
        self,
        post: Post,
        order: Order,
        request: ClusterRunRequest,
        begin: Begin,
        interrupts: RunInterrupts,
        fleets: Path,
        began: float,
    ) -> None:
        self._post, self._order, self._request = post, order, request
        self._begin, self._interrupts, self._fleets = begin, interrupts, fleets
        self._began = self._alive_at = began
        self._run, self._worker = "", ""
        self._stopped_at: float | None = None
        self._silent_since: float | None = None

    def end(self) -> ClusterRunResult:
        """Each wait in it has a limit: for a worker, for a sign of life of its run, for a Redis that is away."""
        while now() - self._began < KEPT:
            if self._interrupts.pending() and (result := self._interrupted()):
                return result
            try:
                result = self._asked()
                self._silent_since = None
            except NotStartedError as error:
                result = self._not_told(error)
            if result is not None:
                return result
            time.sleep(POLL)
        return self._unknown("it has no end after a day")

    def _asked(self) -> ClusterRunResult | None:
        """The result, or why there is none to come. Raises NotStartedError where Redis does not answer."""
        shared, order = self._post.shared, self._order
        alive = shared.is_alive(order.id)  # first: a run that ends now has its result before it is seen to be gone
        holder = shared.claimed(order.id)
        replies = self._post.replies([order.id])
        if replies:
            return self._ended(replies[order.id])
        if holder is None:
            return self._untaken() if now() - self._began > TAKEN_WITHIN else None
        self._note(holder)
        if alive:
            self._alive_at = now()
        elif now() - self._alive_at > DIED_WITHIN:
            return began_and_not_ended(self._request.cluster, holder)
        if self._stopped_at is not None and now() - self._stopped_at > STOPS_WITHIN:
            return self._unknown(f"it did not end within {STOPS_WITHIN:g} s of the interruption")
        return None

    def _note(self, holder: Mapping[str, str]) -> None:
        self._worker = holder.get("worker", "")
        if holder.get("run") and not self._run:
            self._run = holder["run"]
            self._begin(self._run, holder.get("folder", ""))

    def _untaken(self) -> ClusterRunResult | None:
        """From now on no worker begins it. None where one was faster."""
        if self._post.shared.claim(self._order.id, {"worker": "", "by": "home"}) is not None:
            return None
        workers = self._post.shared.workers(self._order.region)
        sentence = nobody_took_it(self._order.region, TAKEN_WITHIN)
        if workers:
            sentence = f"no worker took it within {TAKEN_WITHIN:g} s: {', '.join(workers[:3])} had no place free"
        return ClusterRunResult(self._request.cluster, NOT_STARTED, sentence, NOT_STARTED_CODE)

    # -- interrupted

    def _interrupted(self) -> ClusterRunResult | None:
        """The first time the run is told to end; the second time it is not waited for."""
        if self._stopped_at is not None:
            return self._unknown("its end was not waited for")
        self._stopped_at = now()
        try:
            if self._post.shared.claim(self._order.id, {"worker": "", "by": "home"}) is None:
                sentence = "interrupted before any worker began it"
                return ClusterRunResult(self._request.cluster, INTERRUPTION, sentence, INTERRUPTED)
            self._post.shared.stop(self._order.id)
        except NotStartedError as error:
            return self._unknown(f"{error}, so it was not told to end")
        return None

    def _not_told(self, error: NotStartedError) -> ClusterRunResult | None:
        self._silent_since = self._silent_since or now()
        self._alive_at = now()  # nobody could have heard of it
        silent = now() - self._silent_since > OUTAGE
        return self._unknown(str(error)) if silent else None

    def _unknown(self, why: str) -> ClusterRunResult:
        """The run may go on."""
        there = f"; on worker {self._worker}: runbook show {self._run}" if self._run else ""
        stopped = self._stopped_at is not None
        outcome, code = (INTERRUPTION, INTERRUPTED) if stopped else ("failed", FAILED)
        return ClusterRunResult(
            self._request.cluster, outcome, f"{why}: the run may still be at work{there}", code, self._run
        )

    # -- ended

    def _ended(self, reply: Any) -> ClusterRunResult:
        if isinstance(reply, dict) and LOST in reply:
            holder = self._post.shared.claimed(self._order.id) or {}
            return began_and_not_ended(self._request.cluster, holder)
        try:
            result = ClusterRunResult.from_dict(reply["result"])
            worker, record, unsent = str(reply["worker"]), reply["record"], str(reply["unsent"])
        except (NotStartedError, RecursionError, *ODD):
            return self._unknown("what its worker sent is no result of this version")
        if result.cluster != self._request.cluster:
            return self._unknown("what its worker sent is the result of another cluster")
        if result.run:
            self._note({"worker": worker, "run": result.run, "folder": result.folder})
        return self._kept(result, worker, record, unsent)

    def _kept(self, result: ClusterRunResult, worker: str, record: Any, unsent: str) -> ClusterRunResult:
        """With its record at home, and where the run itself is where it needs somebody."""
        remarks = [unsent] if unsent else []
        try:
            keep_record(self._fleets, self._request.fleet, result.run, record)
        except (NotStartedError, OSError) as error:
            remarks.append(f"its record could not be kept here: {one_line(error)}")
        if result.run and not result.ended_well:
            remarks.append(f"the run is on worker {worker}")
        sentence = "; ".join([result.sentence, *remarks])
        values = {**result.to_dict(), "sentence": sentence, "seconds": round(now() - self._began, 3)}
        return ClusterRunResult.from_dict(values)
