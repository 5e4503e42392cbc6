"""What a worker does with an order: refuse it in words, or do it with this host's inventory and credentials."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from runbook.clock import Clock, wall_seconds
from runbook.clock import seconds as now
from runbook.cluster.inventory.connect import connect
from runbook.cluster.inventory.locate import find_cluster, find_inventory, read_inventory
from runbook.cluster.inventory.model import InventoryCluster
from runbook.dataclass import dataclass
from runbook.errors import NotStartedError, RunbookError
from runbook.exit_codes import FAILED
from runbook.exit_codes import NOT_STARTED as NOT_STARTED_CODE
from runbook.fleet.brought_home import pack_record
from runbook.fleet.check_records import FarCheck, check_reply
from runbook.fleet.one_run import run_on_cluster
from runbook.fleet.orders import CHECK, Order, reason_not_now
from runbook.fleet.regions import region_of
from runbook.fleet.requests import NOT_STARTED, ClusterRunRequest, ClusterRunResult
from runbook.fleet.shared import Lease, SharedState
from runbook.fleet.shared_lock import SharedLock
from runbook.fleet.signed_orders import SealReader
from runbook.inspection.check_look import look_and_judge, one_line
from runbook.inspection.check_memory import CheckMemory, keep_memory, memory_file, read_memory
from runbook.redaction import Redactor
from runbook.session.run_folders import state_folder
from runbook.shipped_playbooks import SUFFIX, shipped_path

T = TypeVar("T")
TRIES, TRY_AGAIN = 10, 0.5  # of a check, and the seconds between
_PLAYBOOK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class WorkerPlace:
    """Where a worker is: its region, the inventory and playbooks of its host, and who may give it orders."""

    region: str
    name: str
    inventory: str | None
    playbooks: str
    signers: str
    environment: Mapping[str, str]

    def cluster(self, name: str) -> InventoryCluster:
        """Raises SettingsError and PlaybookError; NotStartedError where it is of another region."""
        found = find_cluster(read_inventory(find_inventory(self.inventory, self.environment)), name)
        if region_of(found) != self.region:
            raise NotStartedError(f"the inventory of {self.name} has {name} in no region {self.region}")
        return found

    def playbook(self, name: str) -> str:
        """The path of the one with this name: of this host's own folder, else of those that are shipped.

        Raises NotStartedError and NoPlaybookError.
        """
        if not _PLAYBOOK.fullmatch(name):
            raise NotStartedError("the order names a playbook as none is called; nothing was done")
        own = Path(self.playbooks) / f"{name}{SUFFIX}" if self.playbooks else None
        return str(own) if own is not None and own.is_file() else shipped_path(name)


class Worker:
    """Does the orders of one process. Nothing that it is told ends it; whatever goes wrong is its reply."""

    def __init__(self, place: WorkerPlace, shared: SharedState, clock: Clock) -> None:
        self._place, self._shared, self._clock = place, shared, clock
        self._seals = SealReader(place.signers)

    # -- checks

    def check(self, message: Any) -> dict[str, Any] | None:
        """One look at one cluster, and the reply; None where it was done before, as its broker may not know it."""
        began, redactor, refused = now(), Redactor.of(self._place.environment), {}
        try:
            order, _ = self._accepted(message, CHECK)
            if patiently(lambda: self._shared.is_done(order.id)):
                return None
            cluster = self._place.cluster(order.cluster)
            looked = self._look(cluster, redactor)
            with contextlib.suppress(NotStartedError):  # then until it expires it is not known to be done
                patiently(lambda: self._shared.done(order.id, order.expires - wall_seconds()))
            seen = FarCheck(looked.sentence, now() - began, looked.health, looked.remarks)
        except (RunbookError, OSError) as error:
            seen = FarCheck(one_line(error), now() - began)
            refused = {"refused": one_line(error)}
        hidden: dict[str, Any] = redactor.hide({**check_reply(seen), **refused})
        return hidden

    def _look(self, cluster: InventoryCluster, redactor: Redactor) -> FarCheck:
        """The sample for the next look is kept on this host, as its times are those of this host's clock."""
        environment = self._place.environment
        path = memory_file(state_folder(environment), f"worker {cluster.kind}:{cluster.name}", [])
        kept = read_memory(path)
        connected = connect(cluster, environment, read_only=True, patient=False)
        redactor.learn_all(connected.secrets)
        looked = look_and_judge(connected, None, environment, kept.pulse)
        if looked.pulse is not None:
            keep_memory(path, cluster.name, CheckMemory(None, looked.pulse))
        return FarCheck(looked.health.sentence, 0.0, looked.health, looked.remarks)

    # -- runs

    def run(self, message: Any) -> dict[str, Any] | None:
        """One run on one cluster, and the reply; None where another reply stands or is to come."""
        cluster = ""
        try:
            order, who = self._accepted(message, "run")
            cluster = order.cluster
            request = self._request(order, who)
            holder = {"worker": self._place.name, "host": socket.gethostname(), "run": "", "folder": ""}
            other = self._shared.claim(order.id, holder)
            if other is not None:
                return self._began_before(order, other)
            with until_stopped() as stop:
                return self._run(order, request, holder, stop)
        except (RunbookError, OSError) as error:
            told = str(Redactor.of(self._place.environment).hide(one_line(error)))
            return {**self._reply(ClusterRunResult(cluster, NOT_STARTED, told, NOT_STARTED_CODE)), "refused": told}

    def _run(
        self, order: Order, request: ClusterRunRequest, holder: dict[str, str], stop: Callable[[], None]
    ) -> dict[str, Any]:
        lock = SharedLock(self._shared, order.id, self._place.name, request.who)

        def begin(run: str, folder: str) -> None:
            holder.update(run=run, folder=folder)
            lock.begin(run, self._clock.now())
            self._shared.note(order.id, holder)

        with Lease(self._shared, order.id, stop):
            inventory = str(find_inventory(self._place.inventory, self._place.environment))
            environment = self._place.environment
            result = run_on_cluster(request, environment, self._clock, inventory=inventory, begin=begin, far_lock=lock)
            holder["ended"] = "yes"
            with contextlib.suppress(NotStartedError):  # its result says so too
                self._shared.note(order.id, holder)
            texts, why = pack_record(Path(result.folder)) if result.folder else ({}, "")
        return self._reply(result, texts, why)

    def _request(self, order: Order, who: str) -> ClusterRunRequest:
        request = ClusterRunRequest.from_dict(dict(order.what))
        self._place.cluster(order.cluster)
        if request.cluster != order.cluster or not request.digest:
            raise NotStartedError("the order contradicts itself; nothing was done")
        if not request.dry_run and not who:
            raise NotStartedError(
                f"{self._place.name} changes nothing for orders that nobody signed: it was started without --signers",
                "Start it with --signers FILE; checks and dry runs need none",
            )
        agreed = f"{request.agreed}, in an order signed by {who}" if request.agreed and who else request.agreed
        return replace(request, playbook=self._place.playbook(request.playbook), agreed=agreed)

    def _began_before(self, order: Order, other: Mapping[str, str]) -> dict[str, Any] | None:
        """It is not done again. Where whoever began it is gone, that is told."""
        if self._shared.is_alive(order.id) or not other.get("worker") or other.get("ended"):
            return None
        return self._reply(began_and_not_ended(order.cluster, other))

    def _reply(self, result: ClusterRunResult, texts: Mapping[str, str] | None = None, why: str = "") -> dict[str, Any]:
        return {"worker": self._place.name, "result": result.to_dict(), "record": dict(texts or {}), "unsent": why}

    # -- both

    def _accepted(self, message: Any, kind: str) -> tuple[Order, str]:
        """Who signed it, with the order. Raises RunbookError, and then nothing was asked of anybody."""
        order, who = self._seals.read(message)
        if order.kind != kind or order.region != self._place.region:
            raise NotStartedError(f"the order is for a {order.kind} in {order.region}, and came here; nothing was done")
        if why := reason_not_now(order, wall_seconds()):
            raise NotStartedError(why)
        return order, who


def began_and_not_ended(cluster: str, holder: Mapping[str, str]) -> ClusterRunResult:
    """Of a run whose worker is gone: it is never done again by itself."""
    run, worker = holder.get("run", ""), holder.get("worker", "a worker")
    if not run:
        sentence = f"it was taken by worker {worker}, which died before the run had a record: nothing was changed"
        return ClusterRunResult(cluster, NOT_STARTED, sentence, NOT_STARTED_CODE)
    if holder.get("ended"):
        sentence = f"it ended on worker {worker}, and its result did not arrive; there `runbook show {run}` tells it"
        return ClusterRunResult(cluster, "failed", sentence, FAILED, run, holder.get("folder", ""))
    sentence = f"it began on worker {worker} and was not ended; take it over with `runbook resume {run}` there"
    return ClusterRunResult(cluster, "failed", sentence, FAILED, run, holder.get("folder", ""))


def patiently(ask: Callable[[], T]) -> T:
    """Also of a Redis that is just being started anew. Raises NotStartedError where it does not come back soon."""
    for _ in range(TRIES - 1):
        with contextlib.suppress(NotStartedError):
            return ask()
        time.sleep(TRY_AGAIN)
    return ask()


@contextlib.contextmanager
def until_stopped() -> Iterator[Callable[[], None]]:
    """What is given interrupts the run in this process, as SIGTERM does; before and after it that does nothing."""
    old = signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    try:
        yield lambda: os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, old)
