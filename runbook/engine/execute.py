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
from runbook.engine.resume import NOTHING_YET, restored
from runbook.events import (
    Approved,
    ClusterClaimed,
    Emit,
    ItemCompleted,
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
from runbook.progress import RunProgress
from runbook.raft.removal import Unsafe
from runbook.steps.base import Choose, Context, RefusedError
from runbook.steps.bodies import BODIES
from runbook.steps.catalog import CATALOG

Ending = RunCompleted | RunRefused | RunFailed | RunInterrupted


@dataclass(frozen=True)
class World:
    """Every door a run may use.

    ``claim`` holds the cluster that has these peers, ``may_change`` is asked once before the first change: both raise
    :class:`RefusedError`. Then ``approve``: who agreed, or None for no. ``choose`` is as a step is given it.
    """

    cluster: Cluster
    clock: Clock
    emit: Emit
    folder: Path
    chance: Callable[[], float]
    approve: Callable[[], str | None]
    dry_run: bool
    keep_tracebacks: bool
    claim: Callable[[frozenset[str]], None] = lambda _peers: None
    may_change: Callable[[], None] = lambda: None
    choose: Choose = lambda _question, _answers: None


def execute(plan: Plan, world: World, past: RunProgress = NOTHING_YET) -> Ending:
    """Every step in reading order; those that ``past`` holds as finished are not done again.

    Raises only what ``emit`` raises: without a journal nothing may go on.
    """
    run = _Run(plan, world, past)
    ending = run.to_its_end()
    world.emit(ending)
    return ending


class _Run:
    def __init__(self, plan: Plan, world: World, past: RunProgress) -> None:
        self._plan = plan
        self._world = world
        self._past = past
        self._memory = restored(plan.playbook, past)
        self._scope: dict[str, Any] = plan.scope
        self._attempts = Attempts(world.clock, world.emit, world.chance)
        self._approved = False
        self._step = past.step

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
        before = (self._past.steps or {}).get(spec.id)
        if before == "completed":
            self._scope[spec.id] = self._past.outputs[spec.id]
            return
        items = self._items(spec)
        if not items:
            if before != "skipped":
                self._world.emit(StepSkipped(spec.id, self._why_skipped(spec)))
            return
        self._world.emit(StepStarted(spec.id, spec.uses))
        self._ask_before_the_first_change(spec)
        told = self._rounds(spec, items)
        results = [output for _, output in told]
        output = results[0] if spec.for_each is None else {"results": results, "count": len(results)}
        self._scope[spec.id] = output
        self._world.emit(StepCompleted(spec.id, "\n".join(message for message, _ in told), output))

    def _items(self, spec: StepSpec) -> list[Any]:
        """What the step is to be done for; nothing where its condition does not hold."""
        if spec.condition is not None and spec.condition.evaluate(self._scope) is not True:
            return []
        if spec.for_each is None:
            return [None]
        items = spec.for_each.evaluate(self._scope)
        if items is UNKNOWN:
            raise ExpressionError(f"step {spec.id}: for_each is not known")
        if not items:
            self._scope[spec.id] = {"results": [], "count": 0}
        return list(items)

    def _why_skipped(self, spec: StepSpec) -> str:
        if spec.id in self._scope:
            return "nothing to do"
        return f"not so: {spec.condition.text if spec.condition else ''}"

    def _rounds(self, spec: StepSpec, items: list[Any]) -> list[tuple[str, dict[str, Any]]]:
        """Round by round; a resumed run goes on behind the last one that was finished."""
        done = self._past.items.get(spec.id, ())
        told = [(str(event["message"]), dict(event["output"])) for event in done]
        for number, item in enumerate(items[len(done) :], start=len(done)):
            message, output = self._attempt(spec, {**self._scope, "item": item})
            if spec.for_each is not None:
                self._world.emit(ItemCompleted(spec.id, number, message, output))
            told.append((message, output))
        return told

    def _ask_before_the_first_change(self, spec: StepSpec) -> None:
        """Before the step looks, as a person may take minutes to answer and the guard must see what is then."""
        if self._approved or CATALOG[spec.uses].effect is Effect.READ:
            return
        self._world.may_change()
        self._approved = self._world.dry_run
        if self._approved:
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
            claim=self._claim,
            choose=world.choose,
        )

    def _claim(self, peers: frozenset[str]) -> None:
        """A run that goes on must meet the cluster that it began with; one that may change it holds it for itself."""
        if self._past.peers and not self._past.peers & peers:
            sentence = "none of the peers that this run began with is in this configuration: it is another cluster"
            raise RefusedError(Unsafe("AnotherCluster", sentence, "Point at the cluster that the run was made for"))
        if self._plan.changes and not self._world.dry_run:
            self._world.claim(peers)
            self._world.emit(ClusterClaimed(tuple(sorted(peers))))
