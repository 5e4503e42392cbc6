"""Reads lists of steps in reading order, each step with what the steps before it have as results."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

from runbook.playbook.environment import NO_ITEM, Absence, Environment
from runbook.playbook.faults import Faults, did_you_mean, quoted
from runbook.playbook.heads import NOT_OF_A_BLOCK, Head
from runbook.playbook.model import Effect, Expression, Field, StepDeclaration, StepSpec, Value
from runbook.playbook.nodes import MapNode, Node, Scalar, scalars
from runbook.playbook.shapes import ANY, Shape, shape_of_map, shape_of_result
from runbook.playbook.templates import Reader
from runbook.playbook.words import read_words

ANYTHING = Field("", "any", "", secret_ok=True)
"""What a parameter takes that nobody declared: its own fault is told, and its expressions are checked all the same."""
_STRENGTH = (Effect.READ, Effect.UNKNOWN, Effect.CHANGE)


@runtime_checkable
class Explaining(Protocol):
    """A catalogue that can say why a step of this name cannot be used."""

    def why_not(self, name: str) -> str | None: ...


class StepsReader:
    """Reads lists of steps; each result is in the environment afterwards."""

    def __init__(self, catalogue: Mapping[str, StepDeclaration], environment: Environment, faults: Faults) -> None:
        self._catalogue = catalogue
        self._environment = environment
        self._faults = faults
        self._values = Reader(faults, environment)

    def read(self, heads: tuple[Head, ...]) -> tuple[StepSpec, ...]:
        """Every step of one list."""
        return tuple(self._step(head) for head in heads)

    def handler(self, heads: tuple[Head, ...], before: list[str], what: str, where: str) -> tuple[StepSpec, ...]:
        """The steps of ``on_failure`` or ``finally``; those with the ids ``before`` may not have been reached."""
        if not heads:
            return ()
        with self._environment.ended(before, f"the {what} may have ended before it"):
            steps = self.read(heads)
        self._environment.close([head.id for head in heads], where)
        return steps

    def _step(self, head: Head) -> StepSpec:
        environment, section = self._environment, head.section
        read = self._block if "steps" in section.node.entries else self._of_a_type
        with environment.changed(own=(*environment.own, head.id)):
            condition = self._condition(section.get("if"), repeated="for_each" in section.node.entries)
        with environment.given(condition), environment.changed(own=(*environment.own, head.id)):
            for_each, item = self._for_each(section.get("for_each"))
            parts, shape = read(head, item)
        for unread in section.unread():
            for scalar in scalars(unread):
                environment.use_mentioned(scalar.text)
        step = StepSpec(head.id, mark=section.node.mark, condition=condition, for_each=for_each, **parts)
        self._keep_result(step, shape)
        return step

    def _keep_result(self, step: StepSpec, shape: Shape) -> None:
        if not step.id:
            return
        environment = self._environment
        environment.steps[step.id] = shape
        environment.later.pop(step.id, None)
        if step.continue_on_failure:
            environment.absent[step.id] = Absence("the run goes on where its step has failed")
        elif step.condition is not None:
            environment.absent[step.id] = Absence('its step has an "if"', step.condition.text)

    def _each(self, item: Shape | None) -> AbstractContextManager[None]:
        """Inside one item of ``for_each``, or where there is none, inside whatever is around it."""
        return self._environment.changed(item=item or self._environment.item)

    def _for_each(self, node: Node | None) -> tuple[Expression | None, Shape | None]:
        if node is None:
            return None, None
        with self._environment.changed(no_item='"item" is what for_each makes; it does not exist in for_each itself'):
            return self._values.items(node) or (None, ANY)

    def _condition(self, node: Node | None, *, repeated: bool) -> Expression | None:
        once = '"if" is decided once, before for_each, so "item" does not exist in it'
        with self._environment.changed(no_item=once if repeated else NO_ITEM):
            return self._values.condition(node, "if") if node else None

    def _of_a_type(self, head: Head, item: Shape | None) -> tuple[dict[str, Any], Shape]:
        declaration = self._declaration(head)
        one = shape_of_result(head.id, declaration, repeated=False)
        with self._each(item):
            parts: dict[str, Any] = {"arguments": self._arguments(head, declaration)}
            parts |= read_words(head.section, one, self._values, self._environment, self._faults)
        parts |= self._handlers(head)
        effect = self._effect(head, declaration)
        if declaration:
            guarded = declaration.guarded and effect is not Effect.READ
            parts |= {"uses": declaration.name, "effect": effect, "guarded": guarded}
        repeated = "for_each" in head.section.node.entries
        shape = shape_of_result(head.id, declaration, repeated=repeated) if repeated else one
        return {"uses": "", **parts}, shape

    def _block(self, head: Head, item: Shape | None) -> tuple[dict[str, Any], Shape]:
        entries, environment = head.section.node.entries, self._environment
        if "uses" in entries:
            message = 'a step has "uses" or "steps", not both'
            self._faults.add(entries["steps"][0].mark, message, "Put the step into the list, or take one of them out.")
        for key in NOT_OF_A_BLOCK:
            if key in entries:
                message = f"a block has no {quoted(key)}: it belongs to a step in it"
                self._faults.add(entries[key][0].mark, message)
                for scalar in scalars(entries[key][1]):
                    environment.use_mentioned(scalar.text)
        with self._each(item):
            steps = self.read(head.inner.get("steps", ()))
        parts: dict[str, Any] = {"uses": "", "arguments": {}, "steps": steps}
        parts |= read_words(head.section, None, self._values, environment, self._faults)
        inside = {}
        where = f"the block {quoted(head.id)}"
        if "for_each" in entries:  # its handlers are run once, and would not know of which item
            inside = environment.close(head.ids("steps"), where)
        parts |= self._handlers(head)
        inside |= environment.close(head.ids("steps"), where)
        every = (*steps, *parts["on_failure"], *parts["finally_"])
        effect = max((step.effect for step in every), key=_STRENGTH.index, default=Effect.READ)
        shape = shape_of_map(inside, f"block {quoted(head.id)}", repeated="for_each" in entries)
        return {**parts, "effect": effect, "guarded": any(step.guarded for step in every)}, shape

    def _handlers(self, head: Head) -> dict[str, tuple[StepSpec, ...]]:
        before = head.ids("steps")
        return {
            "on_failure": self._handler(head, before, "on_failure"),
            "finally_": self._handler(head, before, "finally"),
        }

    def _handler(self, head: Head, before: list[str], key: str) -> tuple[StepSpec, ...]:
        return self.handler(head.inner.get(key, ()), before, "block", f"{key} of {quoted(head.id)}")

    def _declaration(self, head: Head) -> StepDeclaration | None:
        section = head.section
        if "uses" not in section.node.entries:
            message = 'a step needs the key "uses": the type of the step, such as raft.snapshot'
            self._faults.add(section.node.mark, message, 'Or "steps", which makes it a block.')
            return None
        name = section.value("uses")
        if name is None or name in self._catalogue:
            return self._catalogue[name] if name else None
        broken = self._catalogue.why_not(name) if isinstance(self._catalogue, Explaining) else None
        hint = broken or did_you_mean(name, self._catalogue) or '"runbook steps" lists them all.'
        section.wrong("uses", f"names no step type: {quoted(name)}", hint)
        return None

    def _effect(self, head: Head, declaration: StepDeclaration | None) -> Effect:
        declared = declaration.effect if declaration else Effect.READ
        written = head.section.value("effect")
        if written is None or declaration is None:
            return declared
        if declared is Effect.READ:
            head.section.wrong("effect", f"is not needed: {declaration.name} only reads", "Take it out.")
        elif declared is Effect.CHANGE:
            head.section.wrong("effect", f"is not so: {declaration.name} makes a change", "Take it out.")
        return Effect.READ

    def _arguments(self, head: Head, declaration: StepDeclaration | None) -> dict[str, Value]:
        node = head.section.get("with")
        if node is not None and not isinstance(node, MapNode):
            head.section.value("with")
        given = node.entries if isinstance(node, MapNode) else {}
        fields = {field.name: field for field in declaration.parameters} if declaration else {}
        if declaration:
            self._refuse_names(head, declaration, fields, given)
        return {
            name: self._values.value(value, fields.get(name, ANYTHING), f"parameter {quoted(name)}")
            for name, (_, value) in given.items()
        }

    def _refuse_names(
        self,
        head: Head,
        declaration: StepDeclaration,
        fields: Mapping[str, Field],
        given: Mapping[str, tuple[Scalar, Node]],
    ) -> None:
        for name, (key, _) in given.items():
            if name not in fields:
                takes = f"It takes {', '.join(fields)}." if fields else "It takes none."
                message = f"{declaration.name} has no parameter {quoted(name)}"
                self._faults.add(key.mark, message, did_you_mean(name, fields) or takes)
        for field in fields.values():
            if field.required and field.name not in given:
                message = f"{declaration.name} needs the parameter {quoted(field.name)}: {field.summary}"
                self._faults.add(head.section.mark("uses"), message)
        self._refuse_together(head, declaration, given)

    def _refuse_together(
        self, head: Head, declaration: StepDeclaration, given: Mapping[str, tuple[Scalar, Node]]
    ) -> None:
        for names in (declaration.exactly_one, declaration.at_most_one):
            written = [name for name in given if name in names]
            for name in written[1:]:
                message = f"{declaration.name} takes {quoted(written[0])} or {quoted(name)}, not both"
                self._faults.add(given[name][0].mark, message, "Take one of them out.")
        if declaration.exactly_one and not given.keys() & set(declaration.exactly_one):
            choice = " or ".join(quoted(name) for name in declaration.exactly_one)
            self._faults.add(head.section.mark("uses"), f"{declaration.name} needs the parameter {choice}")
