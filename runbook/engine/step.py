"""One step of a type: its items, rounds and attempts, and what must be asked before it changes anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from runbook.changes import Key
from runbook.engine.answers import wherever
from runbook.engine.attempts import Attempts
from runbook.engine.deadline import BoundedClock
from runbook.engine.nested import Nesting
from runbook.engine.permission import Permission
from runbook.engine.plan import Plan
from runbook.engine.scope import Scope, in_round, inside
from runbook.engine.world import World
from runbook.events import ItemCompleted, Waiting
from runbook.playbook.model import Effect, Expression, Playbook, Secret, StepSpec, Value
from runbook.playbook.operators import UNKNOWN
from runbook.progress import RunProgress
from runbook.steps.base import Context, Memory, Output
from runbook.steps.bodies import BODIES
from runbook.steps.catalog import CATALOG
from runbook.steps.trouble import StepError, StepTrouble, unexpected

if TYPE_CHECKING:
    from runbook.engine.walk import Walk

ASKS_ITSELF = frozenset({"raft.remove_peer", "playbook.run"})  # they know better when they change something, and what


@dataclass(frozen=True)
class Doing:
    """A step at its place in a run: until when it may take, and of which playbook."""

    spec: StepSpec
    place: str
    until: float | None
    playbook: Playbook
    walk: Walk


class StepRunner:
    """Shared by all steps of a run, those of playbooks within it too."""

    def __init__(self, plan: Plan, world: World, memory: Memory, past: RunProgress, done: frozenset[Key]) -> None:
        """``done`` are the changes of which a person has said so."""
        self.world = world
        self._memory = memory
        self._past = past
        self._done = done
        self.policy = plan.policy
        self.permission = Permission(world, memory, past, changes=plan.changes)
        self._nesting = Nesting(plan.playbook.path)

    def plain(self, result: Any) -> Any:
        """As JSON can hold it: what a dry run cannot know is said in words."""
        if isinstance(result, Mapping):
            return {str(key): self.plain(value) for key, value in result.items()}
        if isinstance(result, list | tuple):
            return [self.plain(value) for value in result]
        return str(result) if result is UNKNOWN else result

    def do(self, doing: Doing, scope: Scope, items: list[Any]) -> tuple[str, Any, str]:
        """What is told of it, its result, and how a person takes it back. Raises whatever ends the step."""
        spec = doing.spec
        done = self._past.items.get(doing.place, ())
        told = [(str(event["message"]), dict(event["output"]), "") for event in done]
        for number, item in enumerate(items[len(done) :], start=len(done) + 1):
            inner = in_round(spec, scope, item, number)
            told.append(self._one(doing, inner, None if spec.for_each is None else number - 1))
            if spec.for_each is not None:
                self.world.emit(ItemCompleted(doing.place, number - 1, told[-1][0], self.plain(told[-1][1])))
        results = [output for _, output, _ in told]
        result = results[0] if spec.for_each is None else {"results": results, "count": len(results)}
        return "\n".join(message for message, _, _ in told), result, "\n".join(undo for _, _, undo in told if undo)

    # -- one item

    def _one(self, doing: Doing, scope: Scope, item: int | None) -> tuple[str, Output, str]:
        spec = doing.spec
        if (wherever(doing.place), item) in self._done:
            return "done before, by a person's word", {}, ""
        clock = self._clock(doing)
        began = clock.monotonic()
        while True:
            message, output = self._round(doing, scope, item)
            after = inside(scope, {"result": output})
            if spec.until is None or self._holds(spec.until.condition, after):
                break
            left = began + spec.until.within - clock.monotonic()
            if left <= 0:
                what = f"not within {spec.until.within:g} s: {spec.until.condition.text}; the last was: {message}"
                raise StepError(StepTrouble.TIMEOUT, what)
            pause = min(spec.until.every, left)
            self.world.emit(Waiting(doing.place, round(pause, 1), f"until {spec.until.condition.text}"))
            clock.sleep(pause)
        self._assert(spec, after)
        return (
            message,
            output,
            str(spec.undo.resolve(self._with_secrets(doing, [spec.undo], after)) if spec.undo else ""),
        )

    def _round(self, doing: Doing, scope: Scope, item: int | None) -> tuple[str, Output]:
        """All attempts together: one result."""
        spec = doing.spec
        declaration = CATALOG[spec.uses]
        arguments = {field.name: field.default for field in declaration.parameters}
        with_secrets = self._with_secrets(doing, spec.arguments.values(), scope)
        arguments |= {name: value.resolve(with_secrets) for name, value in spec.arguments.items()}
        context = self._context(doing, scope)
        attempts = Attempts(context.clock, self.world.emit, self.world.chance)
        act: Callable[[], tuple[str, Output]] = partial(BODIES[spec.uses], context, arguments)
        if spec.guarded and spec.uses not in ASKS_ITSELF:
            act = partial(self.permission.made, context, (doing.place, item), spec.uses, act)
        message, output = attempts.of(doing.place, act, spec.retry)
        if self.world.dry_run:  # what the change would have given, a dry run cannot know
            output = {**{field.name: UNKNOWN for field in declaration.results}, **output}
        return message, self.world.vault.hide(output)  # before any other step reads it, or writes it to a file

    def _holds(self, condition: Expression, scope: Scope) -> bool:
        """In a dry run, what is not known yet counts as held."""
        return condition.evaluate(scope) in (True, UNKNOWN)

    def _assert(self, spec: StepSpec, after: Scope) -> None:
        if spec.assertion is None or self._holds(spec.assertion.condition, after):
            return
        message = spec.assertion.message
        raise unexpected(str(message.resolve(after)) if message else f"not so: {spec.assertion.condition.text}")

    def _with_secrets(self, doing: Doing, values: Iterable[Value], scope: Scope) -> Scope:
        """Just those that are read, just before they are."""
        wanted = {name for value in values for name in value.secrets}
        declared: dict[str, Secret] = {secret.name: secret for secret in doing.playbook.secrets}
        return inside(scope, {"secrets": {name: self.world.vault.fetch(declared[name]) for name in sorted(wanted)}})

    # -- the world as the step may touch it

    def _clock(self, doing: Doing) -> Any:
        world = self.world
        return world.clock if doing.until is None else BoundedClock(world.clock, doing.until, doing.place)

    def _context(self, doing: Doing, scope: Scope) -> Context:
        world, permission = self.world, self.permission
        return Context(
            cluster=world.cluster,
            clock=self._clock(doing),
            emit=world.emit,
            folder=world.folder,
            step=doing.place,
            policy=self.policy,
            dry_run=world.dry_run,
            memory=self._memory,
            claim=permission.claim,
            choose=world.choose,
            set_aside=world.set_aside,
            permit=permission.permit,
            reads=doing.spec.effect is Effect.READ,
            until=doing.until,
            ask=permission.agreed,
            play=lambda path, params: self._nesting.play(self, doing, scope, path, params),
            playbooks=self._nesting.running,
        )
