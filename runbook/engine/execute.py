"""Runs a plan to one of its four endings. Whatever happens, the last event says where and why."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runbook.clock import Clock
from runbook.cluster.port import Cluster, ClusterError
from runbook.engine.attempts import Attempts
from runbook.engine.plan import Plan
from runbook.events import (
    Approved,
    Emit,
    RunCompleted,
    RunFailed,
    RunInterrupted,
    RunRefused,
    StepCompleted,
    StepSkipped,
    StepStarted,
)
from runbook.playbook.expressions import UNKNOWN, ExpressionError
from runbook.playbook.fields import MisfitError
from runbook.playbook.model import Effect, StepSpec
from runbook.raft.removal import Unsafe
from runbook.steps.base import Context, Memory, RefusedError
from runbook.steps.bodies import BODIES
from runbook.steps.catalog import CATALOG

Ending = RunCompleted | RunRefused | RunFailed | RunInterrupted


@dataclass(frozen=True)
class World:
    """Every door a run may use. ``approve`` is asked once, before the first change: who agreed, or None for no."""

    cluster: Cluster
    clock: Clock
    emit: Emit
    folder: Path
    chance: Callable[[], float]
    approve: Callable[[], str | None]
    dry_run: bool
    keep_tracebacks: bool


def execute(plan: Plan, world: World) -> Ending:
    """Every step in reading order. Raises only what ``emit`` raises: without a journal nothing may go on."""
    run = _Run(plan, world)
    ending = run.to_its_end()
    world.emit(ending)
    return ending


class _Run:
    def __init__(self, plan: Plan, world: World) -> None:
        self._plan = plan
        self._world = world
        self._memory = Memory()
        self._scope: dict[str, Any] = plan.scope
        self._attempts = Attempts(world.clock, world.emit, world.chance)
        self._approved = False
        self._step = ""

    def to_its_end(self) -> Ending:
        try:
            for spec in self._plan.playbook.steps:
                self._step = spec.id
                self._take(spec)
        except RefusedError as refused:
            return RunRefused(self._step, refused.reason.code, str(refused.reason))
        except ClusterError as error:
            return RunFailed(self._step, error.trouble.value, str(error), self._traceback())
        except (ExpressionError, MisfitError) as error:
            return RunFailed(self._step, "playbook", f"{self._plan.playbook.path}: {error}", self._traceback())
        except KeyboardInterrupt:
            return RunInterrupted(self._step, "stopped by a signal")
        except Exception as error:
            what = f"{type(error).__name__}: {error}. This is a fault of runbook, not of the cluster"
            return RunFailed(self._step, "bug", what, self._traceback())
        return RunCompleted(self._told())

    def _told(self) -> str:
        if not self._memory.gone:
            return "nothing to do"
        return "would be recovered" if self._world.dry_run else "recovered"

    def _traceback(self) -> str:
        return traceback.format_exc() if self._world.keep_tracebacks else ""

    def _take(self, spec: StepSpec) -> None:
        if spec.condition is not None and spec.condition.evaluate(self._scope) is not True:
            self._world.emit(StepSkipped(spec.id, f"not so: {spec.condition.text}"))
            return
        items = [None] if spec.for_each is None else spec.for_each.evaluate(self._scope)
        if items is UNKNOWN:
            raise ExpressionError(f"step {spec.id}: for_each is not known")
        if not items:
            self._world.emit(StepSkipped(spec.id, "nothing to do"))
            self._scope[spec.id] = {"results": [], "count": 0}
            return
        self._world.emit(StepStarted(spec.id, spec.uses))
        self._ask_before_the_first_change(spec)
        told = [self._attempt(spec, {**self._scope, "item": item}) for item in items]
        results = [output for _, output in told]
        output = results[0] if spec.for_each is None else {"results": results, "count": len(results)}
        self._scope[spec.id] = output
        self._world.emit(StepCompleted(spec.id, "\n".join(message for message, _ in told), output))

    def _ask_before_the_first_change(self, spec: StepSpec) -> None:
        """Before the step looks, as a person may take minutes to answer and the guard must see what is then."""
        if self._approved or self._world.dry_run or CATALOG[spec.uses].effect is Effect.READ:
            return
        who = self._world.approve()
        if who is None:
            raise RefusedError(Unsafe("NotApproved", "nobody agreed to the change", "Nothing was changed"))
        self._approved = True
        if who:
            self._world.emit(Approved(spec.id, who))

    def _attempt(self, spec: StepSpec, scope: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        arguments = {field.name: field.default for field in CATALOG[spec.uses].parameters}
        arguments |= {name: value.resolve(scope) for name, value in spec.arguments.items()}
        body = BODIES[spec.uses]
        return self._attempts.of(spec.id, lambda: body(self._context(spec), arguments), spec.retry)

    def _context(self, spec: StepSpec) -> Context:
        world = self._world
        return Context(
            cluster=world.cluster,
            clock=world.clock,
            emit=world.emit,
            folder=world.folder,
            step=spec.id,
            policy=self._plan.policy,
            dry_run=world.dry_run,
            memory=self._memory,
        )
