"""The cluster on which a playbook begins that treats one server: what its params say is wrong with that one is so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from runbook.engine.plan import Plan
from runbook.errors import ExpressionError, NotStartedError
from runbook.playbook.expressions.evaluate import resolve
from runbook.playbook.model import StepSpec
from runbook.simulation.scenario import FAULTS, Scenario, ScenarioFault

FREEZES, ADDS = "raft.stop_frozen", "raft.add_server"


def world_for(plan: Plan, scenario: Scenario) -> Scenario:
    """The scenario with what the playbook presumes. Raises NotStartedError for a server that the cluster has not."""
    for step in plan.playbook.every_step():
        if step.uses == FREEZES:
            server = _server_of(step, plan)
            _require(server in scenario.settings.names, plan, server, scenario.settings.names)
            fault = ScenarioFault(0.0, FAULTS["freeze"], step.mark, (server,))
            scenario = replace(scenario, name=f"{scenario.name}, {server} frozen", faults=(*scenario.faults, fault))
        elif step.uses == ADDS:
            server, count = _server_of(step, plan), scenario.settings.servers + 1
            _require(server == f"s{count}", plan, server, (f"s{count}",))
            settings = replace(scenario.settings, servers=count)
            scenario = replace(scenario, name=f"{scenario.name}, {server} new", settings=settings, unborn=(server,))
    return scenario


def _require(held: bool, plan: Plan, server: str, names: Sequence[str]) -> None:
    if not held:
        what = f"{plan.playbook.name} cannot be proven: the simulated cluster has no {server or 'such server'} for it"
        raise NotStartedError(f"{what}. Name {' or '.join(names)}")


def _server_of(step: StepSpec, plan: Plan) -> str:
    """Its name without the region; empty where nobody knows it before the run."""
    try:
        return str(resolve(step.arguments["server"], plan.scope)).partition(".")[0]
    except ExpressionError:
        return ""
