"""Playbooks of a proof, bound to params of the simulated cluster, and what comes of one fault."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from runbook.cli.rehearse import read_scenario
from runbook.engine.plan import Plan, bind_plan
from runbook.playbook.params import bind_params
from runbook.playbook.parser import parse_playbook
from runbook.proving.faults import ProofFault
from runbook.proving.play import Cast, Performance
from runbook.proving.points import Point, Points, Schedule
from runbook.proving.worlds import world_for
from runbook.shipped_playbooks import find_playbook, find_scenario
from runbook.steps.registry import CATALOG

PARAMS = {
    "safe-to-stop": {"server": "s2"},
    "stop-frozen-server": {"server": "s4"},
    "replace-server": {"server": "s6"},
    "restore-snapshot": {"path": "/backup/raft.snap"},
}


def plan_of(word: str, **params: str) -> Plan:
    path = find_playbook(word)
    playbook = parse_playbook(Path(path).read_bytes(), path, CATALOG)
    return bind_plan(playbook, "proof", bind_params(playbook, params))


def cast_of(word: str, scenario: str, folder: Path) -> Cast:
    plan = plan_of(word, **PARAMS.get(word, {}))
    return Cast(plan, world_for(plan, read_scenario(find_scenario(scenario))), folder)


def played(cast: Cast, place: str, fault: ProofFault, every: int = 1) -> list[Schedule]:
    """The schedules in which this fault befalls the run at points that are called so."""

    def fork_at(point: Point) -> Collection[ProofFault]:
        return (fault,) if place in point.place and fault in point.faults and point.number % every == 0 else ()

    points = Points(fork_at)
    unfaulted = Performance(cast, points).play()
    return [unfaulted, *points.played]
