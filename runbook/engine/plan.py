"""A playbook bound to its params: everything that can be known before anything is asked of the cluster.

A playbook within a step (``playbook.run``) is bound in the same way. It may narrow what is allowed, never widen it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from runbook.dataclass import dataclass
from runbook.engine.scope import Scope, initial_scope
from runbook.errors import ExpressionError, ParamError, PlaybookError, unexpected
from runbook.files import read_limited
from runbook.playbook.expressions.evaluate import resolve
from runbook.playbook.model import Effect, Field, Guards, Playbook, StepSpec, Value
from runbook.playbook.params import bind_params
from runbook.playbook.parser import parse_playbook
from runbook.playbook.reader import MAX_BYTES
from runbook.raft.removal import Policy
from runbook.steps.flow import refuse_recursion
from runbook.steps.named_playbooks import as_typed
from runbook.steps.registry import CATALOG

UNATTENDED_CHANGES = 1
UNATTENDED_COOLDOWN = 86400.0  # seconds: a day in which somebody comes to work


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
        return initial_scope(self.run, self.playbook.name, self.params)

    @property
    def changes(self) -> bool:
        """Whether any step may change the cluster: else no changing request need be possible."""
        return any(step.effect is not Effect.READ for step in self.playbook.every_step())


def bind_plan(
    playbook: Playbook,
    run: str,
    params: Mapping[str, object],
    within: Policy | None = None,
    *,
    unattended: bool = False,
) -> Plan:
    """The plan of a playbook with these params, which are bound already: from every source, or as a journal keeps them.

    ``within``: the policy of the playbook that runs this one, which stands where this one writes no guard.
    ``unattended``: nobody watches this run, whatever the playbook says.
    """
    plan = Plan(playbook, run, params, Policy())
    guards, scope = playbook.guards, plan.scope
    policy = _policy(guards, scope, within or Policy())
    if unattended or playbook.unattended or (within is not None and within.unattended):
        policy = replace(policy, unattended=True, max_changes=min(UNATTENDED_CHANGES, policy.max_changes))
    if not within:
        param = _param_that_is(guards.min_voters, playbook.params, plan)
        if param is not None:
            policy = replace(policy, min_voters_param=param.name, min_voters_lowest=int(param.min or 1))
        param = _param_that_is(guards.max_changes, playbook.params, plan)
        policy = replace(policy, max_changes_param=param.name if param is not None else "")
    cooldown = float(_number(guards.cooldown, 0, scope))
    return replace(plan, policy=policy, cooldown=max(cooldown, UNATTENDED_COOLDOWN if policy.unattended else 0.0))


def _policy(guards: Guards, scope: Mapping[str, object], default: Policy) -> Policy:
    return Policy(
        min_voters=int(_number(guards.min_voters, default.min_voters, scope)),
        max_changes=int(_number(guards.max_changes, default.max_changes, scope)),
        never_worse=bool(_number(guards.never_worse, default.never_worse, scope)),
        stated=frozenset(name for name in ("min_voters", "never_worse") if getattr(guards, name) is not None),
    )


def _param_that_is(guard: Value | None, params: Iterable[Field], plan: Plan) -> Field | None:
    """The one that this guard is, whatever it is set to; nothing where the guard is another value."""

    def is_guard(param: Field) -> bool:
        tried = (replace(plan, params={**plan.params, param.name: number}).scope for number in (101, 202))
        try:
            return param.type == "int" and [_number(guard, 0, scope) for scope in tried] == [101, 202]
        except ExpressionError:  # of another number it makes no sense
            return False

    return next((param for param in params if is_guard(param)), None)


def _number(value: Value | None, otherwise: float, scope: Mapping[str, object]) -> float:
    found = otherwise if value is None else resolve(value, scope)
    return found if isinstance(found, int | float) else otherwise


def prepare_nested(
    spec: StepSpec, running: tuple[str, ...], run: str, policy: Policy, arguments: Mapping[str, Any]
) -> tuple[str, Playbook, Plan]:
    """The path of the playbook that a step runs, what it says, and its plan. ``running`` are those around it.

    Raises StepError.
    """
    path = refuse_recursion(running, arguments["playbook"])
    playbook = read_nested(path)
    if spec.effect is Effect.READ and any(step.effect is not Effect.READ for step in playbook.every_step()):
        raise unexpected(f"{path} holds a step that changes something, and this step says effect: read")
    return path, playbook, bind_nested(playbook, run, arguments["params"] or {}, policy)


def bind_nested(playbook: Playbook, run: str, given: Mapping[str, Any], policy: Policy) -> Plan:
    """With params as if they had been typed: a param is read in one way, whoever gives it. Raises StepError."""
    types = {param.name: param.type for param in playbook.params}
    try:
        params = bind_params(playbook, {name: as_typed(value, types.get(name, "")) for name, value in given.items()})
    except ParamError as error:
        raise unexpected("; ".join(error.messages)) from None
    return bind_plan(playbook, run, params, policy)


def stricter(own: Policy, inner: Policy) -> Policy:
    """A playbook within another may narrow what is allowed while it runs, and never widen it."""
    narrower = (
        replace(own, min_voters=inner.min_voters, min_voters_param="") if inner.min_voters > own.min_voters else own
    )
    return replace(
        narrower,
        max_changes=min(own.max_changes, inner.max_changes),
        max_changes_param=own.max_changes_param if own.max_changes <= inner.max_changes else "",
        never_worse=own.never_worse or inner.never_worse,
        unattended=own.unattended or inner.unattended,
        stated=own.stated | inner.stated,
    )


def read_nested(path: str) -> Playbook:
    """Raises StepError for a file that cannot be read, or has errors."""
    try:
        return parse_playbook(read_limited(Path(path), MAX_BYTES), path, CATALOG)
    except OSError as error:
        raise unexpected(f"{path}: {error.strerror}") from None
    except PlaybookError as error:
        raise unexpected("; ".join(str(each.mark) + ": " + each.message for each in error.diagnostics)) from None
