"""What a playbook promises, and what of it is played in a proof."""

from __future__ import annotations

from collections.abc import Mapping

from runbook.dataclass import dataclass
from runbook.engine.execute import FINDS, REMOVES
from runbook.engine.plan import Plan
from runbook.errors import ExpressionError
from runbook.playbook.expressions.evaluate import resolve
from runbook.playbook.model import Effect, StepSpec
from runbook.raft.model import Peer

PLAYED = frozenset({
    *("raft.snapshot", "raft.find_dead", "raft.check_quorum", "raft.check_stop", "raft.remove_peer"),
    *("raft.transfer_leadership", "raft.verify", "wait.for", "wait.until", "assert", "set", "approve", "log.message"),
    *("command.run", "playbook.run", "host.service", "file.prune", "raft.stop_frozen", "raft.add_server",
    "raft.restore_snapshot", "raft.collect_survivors", "raft.plan_recovery", "raft.confirm_recovery", "host.backup",
    "raft.write_peers", "raft.verify_recovery"),
})  # fmt: skip
NOBODY = Peer("", "", voter=False)
CONFIRM_FOR, LOOKS = 30.0, 2  # of raft.find_dead, where it says nothing that can be known before


@dataclass(frozen=True)
class Demands:
    """Against what a run is held. ``recovers``: it is one that removes dead servers."""

    confirm_for: float
    looks: int
    min_voters: int
    recovers: bool = True


def demands_of(plan: Plan) -> Demands:
    """What its own steps and guards state."""
    steps = list(plan.playbook.every_step())
    finds = [step for step in steps if step.uses == FINDS]
    confirm_for = min((_number(step, "confirm_for", plan.scope, CONFIRM_FOR) for step in finds), default=CONFIRM_FOR)
    looks = min((int(_number(step, "looks", plan.scope, LOOKS)) for step in finds), default=LOOKS)
    return Demands(confirm_for, looks, plan.policy.min_voters, any(step.uses == REMOVES for step in steps))


def removes(step: StepSpec) -> bool:
    """Whether it takes servers out of the configuration, or may: of a command nobody knows before it runs."""
    return step.uses in (REMOVES, "command.run")


def _number(step: StepSpec, name: str, scope: Mapping[str, object], otherwise: float) -> float:
    try:
        given = resolve(step.arguments[name], scope) if name in step.arguments else otherwise
    except ExpressionError:
        return otherwise
    return float(given) if isinstance(given, int | float) else otherwise


def plays_a_change(plan: Plan) -> bool:
    """Whether a step that changes something is played, before the first one that cannot be."""
    for step in plan.playbook.every_step():
        if step.uses and step.uses not in PLAYED:
            return False
        if step.uses and step.effect is not Effect.READ:
            return True
    return False


def not_played(plan: Plan) -> tuple[str, ...]:
    """The steps that the simulation cannot play, each with its type."""
    return tuple(
        f"{step.id or f'line {step.mark.line}'} ({step.uses})"
        for step in plan.playbook.every_step()
        if step.uses and step.uses not in PLAYED
    )
