"""From a request to a proof: the playbook and its params, the clusters on which it is played, and a note of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from runbook.clock import SystemClock
from runbook.engine.plan import Plan
from runbook.errors import NotStartedError
from runbook.proving.demands import not_played, plays_a_change, removes
from runbook.proving.worlds import ADDS, FREEZES
from runbook.redaction import Redactor
from runbook.session.open_run import RunRequest, plan_of

RECOVERIES, RESTARTS, OTHERS = ("two-dead", "dead-follower"), ("healthy",), ("healthy", "dead-follower")
LOST = ("quorum-lost", "quorum-lost-machine-off")
"""The shipped scenarios on which a playbook is played that removes servers, one that stops them, any other, and one
that recovers a lost quorum.
"""
STOPS, COLLECTS = ("host.service", FREEZES), "raft.collect_survivors"


def plan_to_prove(request: RunRequest, environment: Mapping[str, str], redactor: Redactor) -> Plan:
    """Raises as ``open_run`` does, and NotStartedError where nothing of it could be proven."""
    plan = plan_of(request, environment, SystemClock(), redactor)
    missing = not_played(plan)
    if missing and not plays_a_change(plan):
        what = f"{plan.playbook.name} cannot be proven: on a simulated cluster these steps have nothing to work on"
        raise NotStartedError(f"{what}: {', '.join(missing)}")
    return replace(plan, run="proof")  # a proof is the same each time, its transcripts too


def scenarios_for(plan: Plan) -> tuple[str, ...]:
    """The names of the scenarios on which it is played."""
    steps = list(plan.playbook.every_step())
    if any(step.uses == COLLECTS for step in steps):
        return LOST
    if any(step.uses in STOPS for step in steps):
        return RESTARTS
    adds = any(step.uses == ADDS for step in steps)  # one at a time: where two are dead, others come first
    return RECOVERIES if any(map(removes, steps)) and not adds else OTHERS
