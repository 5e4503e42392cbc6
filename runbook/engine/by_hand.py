"""What is left of a playbook for a person to do: a pure function of the playbook and of where its run stands.

A run that was only foreseen leaves all of it, with what its looks have shown; one that nobody has begun, with names in
angle brackets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from runbook.by_hand import HandPlan, HandStep, HandView, Instruction, ListedServer, duration_in_words, in_words
from runbook.engine.by_hand_values import argument, secret_scope, variable_of, with_unknown
from runbook.engine.plan import Plan, bind_nested, read_nested
from runbook.engine.scope import Item, Scope, extend_scope, items_of_step, scope_in_round, with_run_facts
from runbook.errors import ExpressionError, StepError
from runbook.playbook.expressions.model import UNKNOWN
from runbook.playbook.model import Playbook, StepSpec
from runbook.raft.removal_by_hand import name_the_cluster
from runbook.run_state import RunState
from runbook.steps.flow import refuse_recursion
from runbook.steps.registry import CATALOG, by_hand_of
from runbook.text import is_known

MOST_ITEMS = 200  # of one step that are told each
NOT_DONE = ("failed", "refused", "interrupted")


def hand_plan(plan: Plan, state: RunState, *, kind: str, folder: str, at: str) -> HandPlan:
    """``kind`` is the product, ``at`` when the last event came; of a run that nobody has begun there is no ``folder``
    and no event.
    """
    view = _view(state, kind, folder)
    title = f"By hand: {plan.playbook.name}"
    refusal = _refusal(state)
    if refusal:
        return HandPlan(title, _origin(plan, state, at), refusal)
    facts = {"folder": folder or "<FOLDER OF THE RUN>", "started_at": at or "<NOW>", "date": at[:10] or "<TODAY>"}
    scope = with_run_facts(secret_scope(plan.scope, plan.playbook), facts)
    writer = _Writer(plan, state, view)
    steps = tuple(writer.playbook(plan.playbook, scope, "", (plan.playbook.path,)))
    door = (*name_the_cluster(view), *_secrets(plan.playbook))
    return HandPlan(title, _origin(plan, state, at), "", door, steps, tuple(writer.done))


def _secrets(playbook: Playbook) -> Iterator[Instruction]:
    """Where each comes from that the playbook names: the person puts it into the variable."""
    for secret in playbook.secrets:
        source = in_words(f"{secret.source}: {' '.join(secret.target)}")
        yield Instruction(f"The playbook's secret {secret.name} is wanted in ${variable_of(secret)} ({source}).")


def _origin(plan: Plan, state: RunState, at: str) -> tuple[str, ...]:
    if state.started is None:
        told = "Nobody has looked at a cluster for this. What stands in angle brackets is known only live"
        return (f"{told}: runbook print {plan.playbook.name} --live fills it in, and says whether it may be done.",)
    cluster = in_words(state.started["cluster"])
    if state.dry_run:
        return (f"Foreseen at {in_words(at)} from looks at {cluster}. The longer ago that is, the less it is true.",)
    return (f"What is left of {in_words(state.started['run'])} on {cluster}, as of {in_words(at)}.",)


def _refusal(state: RunState) -> str:
    """Where a run is refused, or would not come to its end, nothing is to be done in its place."""
    ended = state.ended
    if ended is None or not (state.state == "refused" or (state.dry_run and state.state in NOT_DONE)):
        return ""
    would = "WOULD BE " if state.dry_run else ""
    return f"{would}{state.state.upper()} at step {in_words(ended['step'])}: {in_words(ended['message'])}"


# -- what is known of the cluster


def _view(state: RunState, kind: str, folder: str) -> HandView:
    servers = {server.id: server for server in _servers(state)}
    gone = frozenset() if state.dry_run else state.gone
    unsettled = frozenset() if state.dry_run else state.unsettled | state.still_listed
    return HandView(kind, state.door, servers, _proven(state), gone, unsettled, state.started is not None, folder)


def _servers(state: RunState) -> Iterator[ListedServer]:
    for place, output in state.outputs.items():
        results = output.get("results", [output]) if state.uses.get(place, "").startswith("raft.") else []
        for result in results if isinstance(results, list) else ():
            yield from _listed(result)


def _listed(result: Any) -> Iterator[ListedServer]:
    listed = [result.get(name) for name in ("peers", "verdicts", "removals")] if isinstance(result, Mapping) else []
    for item in [item for items in listed if isinstance(items, list) for item in items]:
        words = [item.get(name) for name in ("id", "name", "address")] if isinstance(item, Mapping) else []
        texts = [word for word in words if isinstance(word, str)]
        if len(texts) == 3:
            yield ListedServer(*texts)


def _proven(state: RunState) -> frozenset[str]:
    """Whom the newest look still calls dead, with a leader and a quorum, of those whose removal was proven."""
    if state.dry_run:
        return state.gone if state.state == "completed" else frozenset()
    basis, now = state.plan_basis, state.now
    if basis is None or now is None or state.leader is None or state.refusal or 2 * now.live_voters <= now.voters:
        return frozenset()
    dead = {name for name, verdict in state.last_verdicts.items() if verdict == "dead"}
    return frozenset(peer for peer in basis.removals - state.gone if state.names.get(peer) in dead)


# -- the steps


class _Writer:
    """``done`` are the places of what is over."""

    def __init__(self, plan: Plan, state: RunState, view: HandView) -> None:
        self._plan, self._state, self._view = plan, state, view
        self.done: list[str] = []

    def playbook(self, playbook: Playbook, scope: Scope, prefix: str, paths: tuple[str, ...]) -> Iterator[HandStep]:
        yield from self._steps(playbook.steps, scope, prefix, paths)
        if self._state.ended is None or self._state.dry_run:
            yield from self._handlers(playbook, "it", scope, prefix, paths)

    def _handlers(
        self, of: Playbook | StepSpec, what: str, scope: Scope, prefix: str, paths: tuple[str, ...]
    ) -> Iterator[HandStep]:
        for specs, when in ((of.on_failure, f"Only if {what} fails."), (of.finally_, f"However {what} ends.")):
            for step in self._steps(specs, scope, prefix, paths):
                yield replace(step, instructions=(Instruction(when), *step.instructions))

    def _steps(
        self, specs: Sequence[StepSpec], scope: Scope, prefix: str, paths: tuple[str, ...]
    ) -> Iterator[HandStep]:
        for spec in specs:
            place = prefix + spec.id
            if self._is_over(spec, place):
                self.done.append(place)
            else:
                yield from self._step(spec, scope, place, prefix, paths)
            self._keep(spec, scope, place)

    def _is_over(self, spec: StepSpec, place: str) -> bool:
        end = self._state.ends.get(place)
        if end is None or self._state.dry_run:
            return False
        return end.outcome in ("succeeded", "skipped") or (end.outcome == "failed" and spec.continue_on_failure)

    def _keep(self, spec: StepSpec, scope: Scope, place: str) -> None:
        """What later steps read of it."""
        end = self._state.ends.get(place)
        known = place in self._state.outputs
        scope[spec.id] = with_unknown(self._state.outputs[place]) if known else UNKNOWN
        words = {"succeeded": "success", "skipped": "skipped", "failed": "failed"}
        scope["outcomes"][spec.id] = words.get(end.outcome, UNKNOWN) if end else UNKNOWN

    def _step(
        self, spec: StepSpec, scope: Scope, place: str, prefix: str, paths: tuple[str, ...]
    ) -> Iterator[HandStep]:
        around = list(_around(spec))
        try:
            items, why = items_of_step(spec, scope)
        except ExpressionError:
            items, why = UNKNOWN, ""
        if items is UNKNOWN:
            each = f"Once for each of {spec.for_each.text}." if spec.for_each else ""
            only = f"Only if {spec.condition.text}." if spec.condition else ""
            around = [*(Instruction(text) for text in (only, each) if text), *around]
            items = [(0, UNKNOWN)]
        elif not items:
            yield HandStep(place, spec.uses or "block", (Instruction(f"Nothing to do: {why}."),), self._seen(place))
            return
        left = [item for item in items if item[0] - 1 not in self._state.items.get(place, {}) or self._state.dry_run]
        if spec.uses in ("", "playbook.run"):
            yield HandStep(place, spec.uses or "block", tuple(around), self._seen(place))
            for item in left[:MOST_ITEMS]:
                yield from self._inside(spec, item, scope, place, prefix, paths)
        else:
            told = [one for item in left[:MOST_ITEMS] for one in self._instructions(spec, item, scope)]
            if len(left) > MOST_ITEMS:
                told.append(Instruction(f"And {len(left) - MOST_ITEMS} items more, which the playbook names."))
            yield HandStep(place, spec.uses, (*around, *told), self._seen(place))
        yield from self._handlers(spec, place, scope, prefix, paths)

    def _inside(
        self, spec: StepSpec, item: Item, scope: Scope, place: str, prefix: str, paths: tuple[str, ...]
    ) -> Iterator[HandStep]:
        """The steps of a block, or of a playbook within."""
        inner = scope_in_round(spec, scope, item[1], item[0])
        if spec.steps:
            yield from self._steps(spec.steps, inner, f"{place}.{item[0]}." if spec.for_each else prefix, paths)
            return
        arguments = _arguments(spec, inner)
        own = f"{place}.{item[0]}" if spec.for_each else place
        try:
            if not is_known(arguments) or not isinstance(arguments["params"] or {}, Mapping):
                raise ExpressionError("not known yet")
            path = refuse_recursion(paths, str(arguments["playbook"]))
            playbook = read_nested(path)
            plan = bind_nested(playbook, self._plan.run, arguments["params"] or {}, self._plan.policy)
        except (StepError, ExpressionError):
            yield HandStep(own, spec.uses, tuple(self._instructions(spec, item, scope)))
            return
        facts = {name: scope["run"][name] for name in ("folder", "started_at", "date")}
        within = with_run_facts(secret_scope(plan.scope, playbook), facts)
        yield from self.playbook(playbook, within, f"{own}/", (*paths, path))

    def _instructions(self, spec: StepSpec, item: Item, scope: Scope) -> Iterator[Instruction]:
        yield from by_hand_of(spec.uses)(self._view, _arguments(spec, scope_in_round(spec, scope, item[1], item[0])))

    def _seen(self, place: str) -> str:
        """What was found by it, or how it failed."""
        end = self._state.ends.get(place)
        return "" if end is None else f"{end.outcome}: {end.message}".removeprefix("succeeded: ")


def _arguments(spec: StepSpec, scope: Scope) -> dict[str, Any]:
    given = {name: argument(value, scope) for name, value in spec.arguments.items()}
    return {field.name: given.get(field.name, field.default) for field in CATALOG[spec.uses].parameters}


def _around(spec: StepSpec) -> Iterator[Instruction]:
    """What the engine does around a step, in words."""
    empty: Scope = extend_scope({}, {})
    if spec.until is not None:
        every, within = (duration_in_words(argument(each, empty)) for each in (spec.until.every, spec.until.within))
        yield Instruction(f"Again every {every} until {spec.until.condition.text}, for {within} at most.")
    if spec.assertion is not None:
        yield Instruction(f"Then this must hold, or it has failed: {spec.assertion.condition.text}.")
    if spec.continue_on_failure:
        yield Instruction("If it fails, go on.")
