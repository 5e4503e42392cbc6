"""The cluster on which a playbook begins that treats one server: what its params say is wrong with that one is so."""

from __future__ import annotations

from dataclasses import replace

from runbook.engine.plan import Plan
from runbook.errors import ExpressionError, NotStartedError
from runbook.playbook.expressions.evaluate import resolve
from runbook.playbook.model import StepSpec
from runbook.simulation.scenario import FAULTS, Scenario, ScenarioFault

FREEZES = "raft.stop_frozen"


def world_for(plan: Plan, scenario: Scenario) -> Scenario:
    """The scenario with what the playbook presumes. Raises NotStartedError for a server that the cluster has not."""
    for step in plan.playbook.every_step():
        if step.uses == FREEZES:
            server = _server_of(step, plan)
            names = scenario.settings.names
            if server not in names:
                what = f"{plan.playbook.name} cannot be proven: the simulated cluster has no {server or 'such server'}"
                raise NotStartedError(f"{what}. Its servers are {', '.join(names)}")
            fault = ScenarioFault(0.0, FAULTS["freeze"], step.mark, (server,))
            scenario = replace(scenario, name=f"{scenario.name}, {server} frozen", faults=(*scenario.faults, fault))
    return scenario


def _server_of(step: StepSpec, plan: Plan) -> str:
    """Its name without the region; empty where nobody knows it before the run."""
    try:
        return str(resolve(step.arguments["server"], plan.scope)).partition(".")[0]
    except ExpressionError:
        return ""
