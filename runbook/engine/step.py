"""One step of a type: its items, rounds and attempts, and what must be asked before it changes anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runbook.engine.attempts import Attempts
from runbook.engine.deadline import BoundedClock
from runbook.engine.nested import Nesting
from runbook.engine.plan import Plan
from runbook.engine.scope import Scope, in_round, inside
from runbook.engine.world import AGREE_WITHIN, World
from runbook.events import Approved, ItemCompleted, Waiting
from runbook.lock_events import ClusterClaimed
from runbook.playbook.model import Effect, Expression, Playbook, Secret, StepSpec, Value
from runbook.playbook.operators import UNKNOWN
from runbook.progress import RunProgress
from runbook.raft.removal import Unsafe
from runbook.steps.base import Context, Memory, Output, RefusedError
from runbook.steps.bodies import BODIES
from runbook.steps.catalog import CATALOG
from runbook.steps.trouble import StepError, StepTrouble, unexpected

if TYPE_CHECKING:
    from runbook.engine.walk import Walk

SETTLES_ITSELF = frozenset({"raft.remove_peer", "playbook.run"})  # begun again, they look at what was done before
ONLY_TELLS = frozenset({"notify.webhook"})  # a message is no change that somebody must know of or take back


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

    def __init__(self, plan: Plan, world: World, memory: Memory, past: RunProgress) -> None:
        self.world = world
        self._memory = memory
        self._past = past
        self.policy = plan.policy
        self._changes = plan.changes
        self._approved = world.dry_run
        self._asked_to_change = False
        self._held = False
        self._nesting = Nesting(plan.playbook.path)

    def plain(self, result: Any) -> Any:
        """As JSON can hold it: what a dry run cannot know is said in words."""
        if isinstance(result, Mapping):
            return {str(key): self.plain(value) for key, value in result.items()}
        if isinstance(result, list | tuple):
            return [self.plain(value) for value in result]
        return str(result) if result is UNKNOWN else result

    def may_change(self, spec: StepSpec) -> bool:
        """Whether it may change something of which only its own end will tell."""
        told_otherwise = not spec.uses or spec.uses in SETTLES_ITSELF or spec.uses in ONLY_TELLS
        return not (told_otherwise or spec.effect is Effect.READ or self.world.dry_run)

    def do(self, doing: Doing, scope: Scope, items: list[Any]) -> tuple[str, Any, str]:
        """What is told of it, its result, and how a person takes it back. Raises whatever ends the step."""
        spec = doing.spec
        self._ask_before_a_change(spec)
        done = self._past.items.get(doing.place, ())
        told = [(str(event["message"]), dict(event["output"]), "") for event in done]
        for number, item in enumerate(items[len(done) :], start=len(done) + 1):
            inner = in_round(spec, scope, item, number)
            told.append(self._one(doing, inner, resumed=number == len(done) + 1))
            if spec.for_each is not None:
                self.world.emit(ItemCompleted(doing.place, number - 1, told[-1][0], self.plain(told[-1][1])))
        results = [output for _, output, _ in told]
        result = results[0] if spec.for_each is None else {"results": results, "count": len(results)}
        return "\n".join(message for message, _, _ in told), result, "\n".join(undo for _, _, undo in told if undo)

    # -- one item

    def _one(self, doing: Doing, scope: Scope, *, resumed: bool) -> tuple[str, Output, str]:
        spec = doing.spec
        if resumed and self._was_done(doing):
            return "done before, by the word of the person at the terminal", {}, ""
        clock = self._clock(doing)
        began = clock.monotonic()
        while True:
            message, output = self._round(doing, scope)
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

    def _round(self, doing: Doing, scope: Scope) -> tuple[str, Output]:
        """All attempts together: one result."""
        spec = doing.spec
        declaration = CATALOG[spec.uses]
        arguments = {field.name: field.default for field in declaration.parameters}
        with_secrets = self._with_secrets(doing, spec.arguments.values(), scope)
        arguments |= {name: value.resolve(with_secrets) for name, value in spec.arguments.items()}
        context = self._context(doing, scope)
        attempts = Attempts(context.clock, self.world.emit, self.world.chance)
        message, output = attempts.of(doing.place, lambda: BODIES[spec.uses](context, arguments), spec.retry)
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

    # -- what is asked before

    def _ask_before_a_change(self, spec: StepSpec) -> None:
        """Before the step looks, as a person may take minutes to answer and the guard must see what is then."""
        if spec.effect is Effect.READ or not CATALOG[spec.uses].guarded:
            return
        if not self._asked_to_change:
            self.world.may_change()
            self._asked_to_change = True
        if self._approved:
            return
        who = self.world.approve(
            f"From here on this run changes things, first in step {spec.id} ({spec.uses}).\nGo on?", AGREE_WITHIN
        )
        if who is None:
            raise RefusedError(Unsafe("NotApproved", "nobody agreed to the change", "Nothing was changed"))
        self._approved = True
        if who:
            self.world.emit(Approved(spec.id, who))

    def _was_done(self, doing: Doing) -> bool:
        """A change that an earlier process began, and of which nobody saw the end. Only a person can tell."""
        spec, declaration = doing.spec, CATALOG[doing.spec.uses]
        begun = self._past.steps.get(doing.place) == "running"
        if not begun or not declaration.guarded or not self.may_change(spec):
            return False
        sentence = f"step {doing.place} ({spec.uses}) was begun before, and its end was not seen"
        answer = self.world.choose(f"{sentence}. {declaration.observe} Was it done?", ("done", "not done"))
        if answer is None:
            raise RefusedError(Unsafe("CannotTell", sentence, "Find out, then resume this run at a terminal"))
        return answer == "done"

    # -- the world as the step may touch it

    def _clock(self, doing: Doing) -> Any:
        world = self.world
        return world.clock if doing.until is None else BoundedClock(world.clock, doing.until, doing.place)

    def _context(self, doing: Doing, scope: Scope) -> Context:
        world = self.world
        return Context(
            cluster=world.cluster,
            clock=self._clock(doing),
            emit=world.emit,
            folder=world.folder,
            step=doing.place,
            policy=self.policy,
            dry_run=world.dry_run,
            memory=self._memory,
            claim=self._claim,
            choose=world.choose,
            set_aside=world.set_aside,
            reads=doing.spec.effect is Effect.READ,
            until=doing.until,
            ask=self._agreed,
            play=lambda path, params: self._nesting.play(self, doing, scope, path, params),
            playbooks=self._nesting.running,
        )

    def _agreed(self, sentence: str, seconds: float) -> str:
        who = self.world.agree(sentence, seconds)
        if who is None:
            raise RefusedError(
                Unsafe("NotApproved", f'nobody agreed to "{sentence}"', "Run it at a terminal, or with --yes")
            )
        return who

    def _claim(self, peers: frozenset[str]) -> None:
        """A run that goes on must meet the cluster that it began with; one that may change it holds it for itself."""
        if self._past.peers and not self._past.peers & peers:
            sentence = "none of the peers that this run began with is in this configuration: it is another cluster"
            raise RefusedError(Unsafe("AnotherCluster", sentence, "Point at the cluster that the run was made for"))
        if not self._changes or self.world.dry_run:
            return
        if not self._held:
            self.world.claim(peers)
            self._held = True
            self.world.emit(ClusterClaimed(tuple(sorted(peers))))
        if self._asked_to_change:  # before anybody knew whose cluster it is, so about nobody's cool-down
            self.world.may_change()
