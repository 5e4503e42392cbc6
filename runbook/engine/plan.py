"""A playbook bound to its params: everything that can be known before anything is asked of the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runbook.playbook.model import Effect, Guards, Playbook, Value
from runbook.playbook.params import bind_params
from runbook.raft.removal import Policy
from runbook.steps.catalog import CATALOG


@dataclass(frozen=True)
class Plan:
    """What will happen: the playbook, its params, the policy that its guards make, and the run's name."""

    playbook: Playbook
    run: str
    params: Mapping[str, object]
    policy: Policy

    @property
    def scope(self) -> dict[str, object]:
        """The names that every expression may read."""
        return {"params": self.params, "run": {"id": self.run, "name": self.playbook.name}}

    @property
    def changes(self) -> bool:
        """Whether any step may change the cluster: else no changing request need be possible."""
        return any(CATALOG[step.uses].effect is not Effect.READ for step in self.playbook.steps)


def bind(playbook: Playbook, run: str, given: Mapping[str, str]) -> Plan:
    """Raises :class:`runbook.playbook.params.ParamError` with every param that does not fit."""
    params = bind_params(playbook, given)
    plan = Plan(playbook, run, params, Policy())
    return Plan(playbook, run, params, _policy(playbook.guards, plan.scope))


def _policy(guards: Guards, scope: Mapping[str, object]) -> Policy:
    default = Policy()

    def told(value: Value | None, otherwise: int) -> int:
        return otherwise if value is None else int(value.resolve(scope))

    return Policy(
        min_voters=told(guards.min_voters, default.min_voters),
        max_changes=told(guards.max_changes, default.max_changes),
        never_worse=bool(told(guards.never_worse, default.never_worse)),
    )
