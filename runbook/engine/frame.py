"""Where the runner is, and what a step is given there."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from runbook.clock import NO_DEADLINE, Deadline
from runbook.dataclass import dataclass
from runbook.engine.change_guards import ChangeGuards
from runbook.engine.outcome import Failure, failure_of
from runbook.engine.plan import Plan, stricter
from runbook.engine.scope import Scope, with_run_facts
from runbook.engine.services import BoundedClock, RunServices
from runbook.playbook.approval_rule import ApprovalRule
from runbook.playbook.model import Effect, Playbook, StepSpec
from runbook.raft.removal import Policy
from runbook.steps.context import StepContext


@dataclass(frozen=True)
class Frame:
    """Where the runner is. ``paths`` are the playbooks that run within each other, the outermost first.

    ``in_handler``: each process that comes here runs it anew, whatever became of it before. ``approvals`` are theirs.
    """

    playbook: Playbook
    scope: Scope
    policy: Policy
    prefix: str
    deadline: Deadline
    paths: tuple[str, ...]
    in_handler: bool = False
    approvals: tuple[ApprovalRule | None, ...] = ()


class NestedPlaces:
    """A place of its own for each time that a step runs a playbook, as by ``until``: no step begins twice."""

    def __init__(self) -> None:
        self._times: Counter[str] = Counter()

    def place_for(self, place: str) -> str:
        self._times[place] += 1
        return f"{place}.{self._times[place]}" if self._times[place] > 1 else place


def outermost_frame(plan: Plan, folder: Path, began_at: str) -> Frame:
    """That of a run that began then, with its record in this folder."""
    scope = with_run_facts(plan.scope, {"folder": str(folder), "started_at": began_at, "date": began_at[:10]})
    approvals = (plan.playbook.approval,)
    return Frame(plan.playbook, scope, plan.policy, "", NO_DEADLINE, (plan.playbook.path,), approvals=approvals)


def nested_frame(frame: Frame, plan: Plan, path: str, prefix: str) -> Frame:
    """That of the playbook at ``path`` within a step: it may narrow what is allowed, and never widen it."""
    return replace(
        frame,
        playbook=plan.playbook,
        scope=with_run_facts(plan.scope, frame.scope["run"]),
        policy=stricter(frame.policy, plan.policy),
        prefix=prefix,
        paths=(*frame.paths, path),
        approvals=(*frame.approvals, plan.playbook.approval),
    )


def step_context(
    spec: StepSpec | None, frame: Frame, place: str, services: RunServices, guards: ChangeGuards
) -> StepContext:
    """What the step at this place may touch and know; or, without one, what is done before the first of them."""
    return StepContext(
        cluster=services.cluster,
        clock=BoundedClock(services.clock, frame.deadline, services.interrupts),
        emit=services.emit,
        folder=services.folder,
        step=place,
        policy=frame.policy,
        dry_run=services.dry_run,
        state=guards.state,
        deadline=frame.deadline,
        reads=spec is None or spec.effect is Effect.READ,
        run_reads=services.run_reads,
        files=services.files,
        observed=guards.observed,
        acquire=guards.acquire,
        permit=guards.permit,
        change=guards.change,
        hold=guards.hold.allow,
        choose=guards.choose,
        answers=services.answers,
        set_aside=services.set_aside,
        ask=guards.agreed,
        stopped=services.stopped,
        hosts=services.hosts,
        approvals=tuple(rule for rule in (services.approval, *frame.approvals) if rule is not None),
    )


PLACE = "plan"  # where in a run its plan is compared with the world, before the first step


def begin_held(frame: Frame, services: RunServices, guards: ChangeGuards) -> Failure | None:
    """Where the world is not that of the plan that the run is held to, nothing is done: no handler either."""
    try:
        with services.interrupts.allowed():
            guards.hold.begin(step_context(None, frame, PLACE, services, guards))
    except (Exception, KeyboardInterrupt) as error:
        return failure_of(PLACE, error, keep_traceback=services.keep_tracebacks)
    return None
