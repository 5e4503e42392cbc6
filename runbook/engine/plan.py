"""A playbook bound to its params: everything that can be known before anything is asked of the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from runbook.engine.scope import Scope, beginning
from runbook.errors import ExpressionError
from runbook.playbook.expressions.evaluate import resolve
from runbook.playbook.model import Effect, Field, Guards, Playbook, Value
from runbook.playbook.params import bind_params
from runbook.raft.removal import Policy


@dataclass(frozen=True)
class Plan:
    """What will happen: the playbook, its params, the policy that its guards make, and the run's name.

    ``cooldown`` is how many seconds after a recovery the next one needs an acknowledgement.
    """

    playbook: Playbook
    run: str
    params: Mapping[str, object]
    policy: Policy
    cooldown: float = 0.0

    @property
    def scope(self) -> Scope:
        """The names that every expression may read."""
        return beginning(self.run, self.playbook.name, self.params)

    @property
    def changes(self) -> bool:
        """Whether any step may change the cluster: else no changing request need be possible."""
        return any(step.effect is not Effect.READ for step in self.playbook.every_step())


def bind(playbook: Playbook, run: str, given: Mapping[str, str]) -> Plan:
    """With params from the command line and the defaults alone. Raises :class:`ParamError` with every fault."""
    return bound(playbook, run, bind_params(playbook, given))


def bound(playbook: Playbook, run: str, params: Mapping[str, object], within: Policy | None = None) -> Plan:
    """With params that are bound already: from every source, or as a journal keeps them.

    ``within``: the policy of the playbook that runs this one, which stands where this one writes no guard.
    """
    plan = Plan(playbook, run, params, Policy())
    guards, scope = playbook.guards, plan.scope
    policy = _policy(guards, scope, within or Policy())
    param = None if within else next((p for p in playbook.params if _is_min_voters(p, guards, plan)), None)
    if param is not None:
        policy = replace(policy, min_voters_param=param.name, min_voters_lowest=int(param.min or 1))
    return replace(plan, policy=policy, cooldown=float(_told(guards.cooldown, 0, scope)))


def _policy(guards: Guards, scope: Mapping[str, object], default: Policy) -> Policy:
    return Policy(
        min_voters=int(_told(guards.min_voters, default.min_voters, scope)),
        max_changes=int(_told(guards.max_changes, default.max_changes, scope)),
        never_worse=bool(_told(guards.never_worse, default.never_worse, scope)),
        stated=frozenset(name for name in ("min_voters", "never_worse") if getattr(guards, name) is not None),
    )


def _is_min_voters(param: Field, guards: Guards, plan: Plan) -> bool:
    """Whether the guard is just this param: it is what the param is, whatever that is."""
    tried = (replace(plan, params={**plan.params, param.name: number}).scope for number in (101, 202))
    try:
        return param.type == "int" and [_told(guards.min_voters, 0, scope) for scope in tried] == [101, 202]
    except ExpressionError:  # of another number it makes no sense
        return False


def _told(value: Value | None, otherwise: float, scope: Mapping[str, object]) -> float:
    found = otherwise if value is None else resolve(value, scope)
    return found if isinstance(found, int | float) else otherwise
