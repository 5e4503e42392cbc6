"""Which region a cluster is in: the queue of its workers is called after it."""

from __future__ import annotations

from runbook.cluster.inventory.model import InventoryCluster
from runbook.fleet.orders import is_region

LABEL = "region"


def region_of(cluster: InventoryCluster) -> str:
    """Its label ``region``, else the region or datacenter by which its product calls it; empty where it has neither, or
    one after which no queue can be called.
    """
    named = cluster.labels.get(LABEL) or cluster.region
    return named if is_region(named) else ""


def check_queue(region: str) -> str:
    return f"runbook.check.{region}"


def run_queue(region: str) -> str:
    return f"runbook.run.{region}"
