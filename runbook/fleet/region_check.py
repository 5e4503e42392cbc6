"""The check of a region's clusters that beat asks for: `check --all` of its own worker, told to whom that tells."""

from __future__ import annotations

from typing import Any

from runbook.clock import Clock
from runbook.cluster.inventory.locate import find_inventory, read_inventory
from runbook.errors import RunbookError
from runbook.fleet.regions import region_of
from runbook.fleet.shared import SharedState
from runbook.fleet.watch import FleetCheckRequest, check_fleet, checks_here, look_from_here
from runbook.fleet.worker import WorkerPlace
from runbook.inspection.check_look import one_line
from runbook.raft.diagnosis.check_result import LEVELS
from runbook.redaction import Redactor

LEAST_APART = 10.0  # seconds between two checks of a region, however often, and by whomever, they are asked for


def check_own_region(place: WorkerPlace, shared: SharedState, clock: Clock) -> dict[str, Any]:
    """What came of it, in a few words for the worker's log; nobody else hears of it but by ``RUNBOOK_NOTIFY`` and
    ``RUNBOOK_PING`` of this worker.
    """
    redactor = Redactor.of(place.environment)
    try:
        if not shared.first_in(f"check {place.region}", LEAST_APART):
            return {"skipped": f"{place.region} was checked less than {LEAST_APART:g} s ago"}
        found = read_inventory(find_inventory(place.inventory, place.environment))
        clusters = [cluster for cluster in found.clusters if region_of(cluster) == place.region]
        if not clusters:
            return {"skipped": f"{found.path} has no cluster in region {place.region}"}
        request = FleetCheckRequest(
            found.path,
            {"region": place.region},
            ping=place.environment.get("RUNBOOK_PING", ""),
            notify=place.environment.get("RUNBOOK_NOTIFY", ""),
        )
        checks = checks_here(look_from_here(place.environment, redactor))
        checked = check_fleet(request, clusters, checks, place.environment, redactor, clock)
    except (RunbookError, OSError) as error:
        return {"skipped": str(redactor.hide(one_line(error)))}
    worst = checked.clusters[0]
    told = f"{LEVELS[worst.level]}: {len(clusters)} clusters, the worst {worst.cluster.name}: {worst.sentence}"
    return {"checked": str(redactor.hide(" ".join([told, *checked.remarks])))}
