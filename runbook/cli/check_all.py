"""``runbook check --all``: one line for the whole fleet, and a row for each cluster of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence

from runbook.cli.command_line import UNKNOWN
from runbook.clock import seconds as now
from runbook.cluster.inventory.connect import connect
from runbook.cluster.inventory.locate import find_inventory, read_inventory
from runbook.cluster.inventory.model import InventoryCluster
from runbook.errors import RunbookError
from runbook.fleet.check import WORST_FIRST, CheckedCluster, check_clusters, gather_checks, select
from runbook.inspection.check_look import look_and_judge, one_line
from runbook.printable import printable_line
from runbook.raft.diagnosis.check_result import LEVELS, CheckResult, ClusterIdentity
from runbook.raft.diagnosis.findings import format_count
from runbook.raft.diagnosis.health import ClusterHealth
from runbook.redaction import Redactor
from runbook.report.check import format_prometheus, health_record


def run_fleet_check(
    inventory: str | None, labels: Mapping[str, str], timeout: float, at_once: int, form: str, redactor: Redactor
) -> tuple[list[str], str, int]:
    """The lines to print, the series of all clusters, and the exit code of a monitoring plugin, which is that of the
    worst cluster. The ``redactor`` learns the credentials of all.

    Interrupted, it gives what was seen by then.
    """
    began = now()
    try:
        found = read_inventory(find_inventory(inventory, os.environ))
    except RunbookError as error:
        return [f"RAFT UNKNOWN - {one_line(error).replace('|', '/')}"], "", UNKNOWN
    clusters = select(found.clusters, labels)
    if not clusters:
        asked = ", ".join(f"{name}={value}" for name, value in labels.items())
        return [f"RAFT UNKNOWN - no cluster of {found.path} has {asked}; `runbook clusters` lists them"], "", UNKNOWN

    def check(cluster: InventoryCluster) -> ClusterHealth:
        connected = connect(cluster, os.environ, read_only=True, patient=False)
        redactor.learn_all(connected.secrets)
        return look_and_judge(connected, None, os.environ).health

    checks = check_clusters(clusters, check, timeout=timeout, at_once=at_once)
    checked, interrupted = gather_checks(checks, clusters)
    lines = (_format_json if form == "json" else _format_text)(checked, now() - began, interrupted=interrupted)
    return lines, format_prometheus([_result_of(each) for each in checked]), checked[0].level


def _result_of(checked: CheckedCluster) -> CheckResult:
    cluster = checked.cluster
    identity = ClusterIdentity(cluster.name, cluster.kind, cluster.addresses[0].url if cluster.addresses else "")
    return CheckResult(identity, checked.level, checked.sentence, checked.seconds, checked.health)


def _format_text(checked: Sequence[CheckedCluster], seconds: float, *, interrupted: bool) -> list[str]:
    counts = _counts(checked)
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    data = " ".join(f"{name}={count}" for name, count in [("clusters", len(checked)), *counts.items()])
    stopped = "; interrupted, so not all were checked" if interrupted else ""
    count = format_count(len(checked), "cluster")
    line = f"RAFT {LEVELS[checked[0].level]} - {count}: {told}{stopped} | {data} seconds={seconds:.3f}s"
    width = max(len(each.cluster.name) for each in checked)
    rows = [f"{LEVELS[each.level]:<8}  {each.cluster.name:<{width}}  {each.sentence}" for each in checked]
    return [line, *(printable_line(row.replace("|", "/")) for row in rows)]


def _format_json(checked: Sequence[CheckedCluster], seconds: float, *, interrupted: bool) -> list[str]:
    """A line for the whole, and one for each cluster."""
    whole = {
        "status": LEVELS[checked[0].level],
        "clusters": len(checked),
        **_counts(checked),
        "interrupted": interrupted,
        "seconds": round(seconds, 3),
    }
    rows = [
        {
            "cluster": each.cluster.name,
            "kind": each.cluster.kind,
            "labels": dict(each.cluster.labels),
            **health_record(each.health, each.sentence, each.seconds),
        }
        for each in checked
    ]
    return [json.dumps(row, ensure_ascii=False) for row in [whole, *rows]]


def _counts(checked: Sequence[CheckedCluster]) -> dict[str, int]:
    return {LEVELS[level].lower(): sum(each.level == level for each in checked) for level in WORST_FIRST}
