"""``runbook check --all``: one line for the whole fleet, and a row for each cluster of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from runbook.cli.command_line import UNKNOWN
from runbook.cli.output import Output
from runbook.cli.progress import progress_bar
from runbook.cli.via import Via
from runbook.clock import SystemClock
from runbook.cluster.inventory.locate import find_inventory, read_inventory
from runbook.errors import RunbookError
from runbook.fleet.check import WORST_FIRST, CheckedCluster, select
from runbook.fleet.watch import Checks, FleetChecked, FleetCheckRequest, check_fleet, checks_here, look_from_here
from runbook.inspection.check_look import one_line
from runbook.printable import printable_line
from runbook.raft.diagnosis.check_result import LEVELS
from runbook.raft.diagnosis.findings import format_count
from runbook.report.check import check_record, format_prometheus


def run_fleet_check(
    request: FleetCheckRequest,
    inventory: str | None,
    form: str,
    output: Output,
    *,
    draws: bool = True,
    via: Via | None = None,
) -> tuple[list[str], str, int]:
    """The lines to print, the series of all clusters, and the exit code of a monitoring plugin, which is that of the
    worst cluster. The redactor of the ``output`` learns the credentials of all.

    Interrupted, it gives what was seen by then. ``draws``: on a terminal, how far it is. ``via``: by whom, where it is
    not this process.
    """
    try:
        found = read_inventory(find_inventory(inventory, os.environ))
        checks = _checks(via, output)
    except RunbookError as error:
        return [f"RAFT UNKNOWN - {one_line(error).replace('|', '/')}"], "", UNKNOWN
    clusters = select(found.clusters, request.labels)
    if not clusters:
        asked = ", ".join(f"{name}={value}" for name, value in request.labels.items())
        return [f"RAFT UNKNOWN - no cluster of {found.path} has {asked}; `runbook clusters` lists them"], "", UNKNOWN
    request = replace(request, inventory=found.path)
    with progress_bar(output.err if draws else None, len(clusters), "check") as bar:
        checked = check_fleet(request, clusters, checks, os.environ, output.redactor, SystemClock(), tick=bar.advance)
    lines = (_format_json if form == "json" else _format_text)(checked)
    return lines, format_prometheus([each.result for each in checked.clusters]), checked.clusters[0].level


def _checks(via: Via | None, output: Output) -> Checks:
    """Raises RunbookError where the broker cannot be used."""
    if via is None:
        return checks_here(look_from_here(os.environ, output.redactor))
    from runbook.fleet.far_checks import checks_via

    return checks_via(via.post(os.environ, output.redactor))


def _format_text(checked: FleetChecked) -> list[str]:
    counts = _counts(checked.clusters)
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    data = " ".join(f"{name}={count}" for name, count in [("clusters", len(checked.clusters)), *counts.items()])
    stopped = ("interrupted, so not all were checked",) if checked.interrupted else ()
    count = format_count(len(checked.clusters), "cluster")
    words = "; ".join([f"{count}: {told}", *stopped, *checked.remarks]).replace("|", "/")
    line = f"RAFT {LEVELS[checked.clusters[0].level]} - {words} | {data} seconds={checked.seconds:.3f}s"
    width = max(len(each.cluster.name) for each in checked.clusters)
    rows = [f"{LEVELS[each.level]:<8}  {each.cluster.name:<{width}}  {_sentence(each)}" for each in checked.clusters]
    return [printable_line(line), *(printable_line(row.replace("|", "/")) for row in rows)]


def _sentence(checked: CheckedCluster) -> str:
    flapping = ("flapping",) if checked.result.flapping else ()
    return "; ".join([*flapping, checked.sentence, *checked.result.remarks])


def _format_json(checked: FleetChecked) -> list[str]:
    """A line for the whole, and one for each cluster."""
    whole: dict[str, Any] = {
        "status": LEVELS[checked.clusters[0].level],
        "clusters": len(checked.clusters),
        **_counts(checked.clusters),
        "interrupted": checked.interrupted,
        "seconds": round(checked.seconds, 3),
        **({"remarks": list(checked.remarks)} if checked.remarks else {}),
    }
    rows: list[Mapping[str, Any]] = [
        {**check_record(each.result), "labels": dict(each.cluster.labels)} for each in checked.clusters
    ]
    return [json.dumps(row, ensure_ascii=False) for row in [whole, *rows]]


def _counts(checked: Sequence[CheckedCluster]) -> dict[str, int]:
    return {LEVELS[level].lower(): sum(each.level == level for each in checked) for level in WORST_FIRST}
