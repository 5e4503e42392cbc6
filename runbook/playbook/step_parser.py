"""Reads lists of steps in reading order, each step with what the steps before it have as results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from runbook.playbook.diagnostics import Diagnostics, did_you_mean, quoted
from runbook.playbook.expressions.model import Expression
from runbook.playbook.expressions.static_scope import MissingResult, StaticScope
from runbook.playbook.expressions.static_types import ANY, StaticType, repeated, types_of_fields
from runbook.playbook.model import Effect, Field, Retry, StepDeclaration, StepSpec, Value
from runbook.playbook.step_options import StepOptionsReader
from runbook.playbook.step_outline import ASSERT, NOT_OF_A_BLOCK, NOT_OF_AN_ASSERTION, StepOutline
from runbook.playbook.value_parser import ValueParser
from runbook.playbook.yaml_tree import MapNode, Node, Scalar, scalars

_UNDECLARED = Field("", "any", "", secret_ok=True)
"""What a parameter takes that nobody declared: it is reported itself, and its expressions are checked all the same."""
_HELD = ((Field("that", "bool", ""), True), (Field("else", "string", ""), ""))
"""What the step type ``assert`` is given where the step asserts by itself."""
_NO_ITEM_IN_FOR_EACH = '"item" is what for_each makes; it does not exist in for_each itself'
_BY_STRENGTH = (Effect.READ, Effect.UNKNOWN, Effect.CHANGE)


@runtime_checkable
class ExplainingCatalogue(Protocol):
    """A catalogue that can say why a step of this name cannot be used."""

    def why_not(self, name: str) -> str | None: ...


class StepParser:
    """Reads lists of steps; the type of each result is in the scope afterwards."""

    def __init__(self, catalogue: Mapping[str, StepDeclaration], scope: StaticScope, diagnostics: Diagnostics) -> None:
        self._catalogue = catalogue
        self._scope = scope
        self._diagnostics = diagnostics
        self._values = ValueParser(diagnostics, scope)
        self._options = StepOptionsReader(self._values, scope, diagnostics)
        self._results: dict[str, Mapping[str, StaticType]] = {}  # of the step types in use

    def read(self, outlines: tuple[StepOutline, ...]) -> tuple[StepSpec, ...]:
        """Every step of one list."""
        return tuple(self._step(outline) for outline in outlines)

    def read_handler(
        self, outlines: tuple[StepOutline, ...], before: list[str], what: str, where: str
    ) -> tuple[StepSpec, ...]:
        """The steps of ``on_failure`` or ``finally``.

        Args:
            outlines: the handler's steps.
            before: ids of the steps that may not have been reached when it runs.
            what: whose handler it is, ``run`` or ``block``.
            where: the handler in words, for errors about its ids further down.
        """
        if not outlines:
            return ()
        with self._scope.in_handler(before, f"the {what} may have ended before it"):
            steps = self.read(outlines)
        self._scope.close([outline.id for outline in outlines], where)
        return steps

    def _step(self, outline: StepOutline) -> StepSpec:
        scope, mapping = self._scope, outline.mapping
        entries = mapping.node.entries
        read = self._read_typed_step if "uses" in entries or "assert" not in entries else self._read_assertion
        read = self._read_block if "steps" in entries else read
        with scope.override(enclosing=(*scope.enclosing, outline.id)):
            if "for_each" in entries and "if" in entries and self._values.reads_item(entries["if"][1]):
                for_each, item = self._items(entries)
                with scope.override(item=item):
                    condition = self._values.condition(entries["if"][1], "if")
            else:
                condition = self._values.condition(entries["if"][1], "if") if "if" in entries else None
                with scope.under_condition(condition):
                    for_each, item = self._items(entries)
            with scope.under_condition(condition):
                whole = self._options.read_whole(mapping)
                parts, result = read(outline, item)
        for unknown in mapping.unknown_values():
            for scalar in scalars(unknown):
                scope.use_mentioned(scalar.text)
        step = StepSpec(outline.id, mark=mapping.node.mark, condition=condition, for_each=for_each, **whole, **parts)
        self._check_parallel(step, entries)
        if step.id and outline.named:
            scope.steps[step.id] = result
            scope.later.pop(step.id, None)
            if step.continue_on_failure and not for_each:
                scope.missing[step.id] = MissingResult("the run goes on if its step fails")
            elif condition is not None and not (for_each and condition.reads_item):
                scope.missing[step.id] = MissingResult('its step has an "if"', condition.text)
        return step

    def _check_parallel(self, step: StepSpec, entries: Mapping[str, tuple[Scalar, Node]]) -> None:
        """Changes of the Raft configuration are made one after the other, each on a look of its own."""
        if "parallel" not in entries:
            return
        for inner in (inner for one in step.steps or (step,) for inner in one.inner()):
            declaration = self._catalogue[inner.uses] if inner.uses else None
            if declaration is not None and not declaration.parallel:
                what = f"{inner.uses} cannot be done beside itself: it looks at the cluster, or asks a person"
                self._diagnostics.add(entries["parallel"][1].mark, what, 'Take "parallel" out.')
            if inner is not step and inner.parallel is not None:
                self._diagnostics.add(inner.mark, "this is done beside itself already", 'Take one "parallel" out.')

    def _items(self, entries: Mapping[str, tuple[Scalar, Node]]) -> tuple[Expression | None, StaticType | None]:
        """The expression of ``for_each``, and the type of one item."""
        if "for_each" not in entries:
            return None, None
        with self._scope.override(no_item=_NO_ITEM_IN_FOR_EACH):
            return self._values.items(entries["for_each"][1]) or (None, ANY)

    # -- a step that only asserts

    def _read_assertion(self, outline: StepOutline, item: StaticType | None) -> tuple[dict[str, Any], StaticType]:
        """The parts of its :class:`StepSpec`, which is one of the type ``assert`` that has its condition beside it."""
        entries = outline.mapping.node.entries
        for key in NOT_OF_AN_ASSERTION:
            if key in entries:
                message = f"a step that only asserts has no {quoted(key)}: it belongs to a step with a type"
                self._diagnostics.add(entries[key][0].mark, message)
                for scalar in scalars(entries[key][1]):
                    self._scope.use_mentioned(scalar.text)
        mark = entries["assert"][1].mark
        arguments = {field.name: Value(mark, field.name, field, held) for field, held in _HELD}
        with self._scope.override(item=item or self._scope.item):
            parts: dict[str, Any] = {"uses": ASSERT, "arguments": arguments}
            parts |= self._options.read_assertion(outline.mapping)
        parts |= self._handlers(outline)
        result = StaticType("map", {}, origin="a step that only asserts")
        return parts, repeated(result, outline.goes_on) if "for_each" in entries else result

    # -- a step of a type

    def _read_typed_step(self, outline: StepOutline, item: StaticType | None) -> tuple[dict[str, Any], StaticType]:
        """The parts of its :class:`StepSpec`, and the type of its result."""
        declaration = self._declaration(outline)
        result = self._type_of_result(outline.id, declaration)
        with self._scope.override(item=item or self._scope.item):
            parts: dict[str, Any] = {"uses": "", "arguments": self._arguments(outline, declaration)}
            parts |= self._options.read(outline.mapping, result)
        parts |= self._handlers(outline)
        effect = self._effect(outline, declaration)
        if declaration:
            guarded = declaration.guarded and effect is not Effect.READ
            if parts.get("retry") and effect is not Effect.READ:
                self._check_retry(declaration, parts["retry"], parts["arguments"], outline)
            parts |= {"uses": declaration.name, "effect": effect, "guarded": guarded}
        return parts, repeated(result, outline.goes_on) if "for_each" in outline.mapping.node.entries else result

    def _type_of_result(self, step_id: str, declaration: StepDeclaration | None) -> StaticType:
        """The type of what one round of a step gives."""
        if declaration is None:
            return ANY
        name = declaration.name
        if name not in self._results:
            self._results[name] = types_of_fields(declaration.results)
        return StaticType("map", self._results[name], origin=f'step "{step_id}" ({name})')

    def _check_retry(
        self, declaration: StepDeclaration, retry: Retry, arguments: Mapping[str, Value], outline: StepOutline
    ) -> None:
        """Whoever names the errors to retry on has thought about it."""
        if not declaration.safe_to_repeat or retry.only_on is not None:
            return
        given = {field.name: field.default for field in declaration.parameters}
        given |= {name: value.content for name, value in arguments.items()}
        if not any(given.get(name) in values for name, values in declaration.safe_to_repeat):
            message = f"a retry after a time-out may do {declaration.name} twice"
            suggestion = "Add idempotent: true to it where that is fine, or only_on: [unavailable] to the retry."
            self._diagnostics.add(outline.mapping.mark("retry"), message, suggestion)

    def _declaration(self, outline: StepOutline) -> StepDeclaration | None:
        mapping = outline.mapping
        if "uses" not in mapping.node.entries:
            message = 'a step needs the key "uses": the type of the step, such as raft.snapshot'
            self._diagnostics.add(mapping.node.mark, message, 'Or "steps", which makes it a block, or "assert".')
            return None
        name = mapping.value("uses")
        if name is None or name in self._catalogue:
            return self._catalogue[name] if name else None
        why_not = self._catalogue.why_not(name) if isinstance(self._catalogue, ExplainingCatalogue) else None
        suggestion = why_not or did_you_mean(name, self._catalogue) or '"runbook steps" lists them all.'
        mapping.report("uses", f"names no step type: {quoted(name)}", suggestion)
        return None

    def _effect(self, outline: StepOutline, declaration: StepDeclaration | None) -> Effect:
        declared = declaration.effect if declaration else Effect.READ
        written = outline.mapping.value("effect")
        if written is None or declaration is None:
            return declared
        if declared is Effect.READ:
            outline.mapping.report("effect", f"is not needed: {declaration.name} only reads", "Take it out.")
        elif declared is Effect.CHANGE:
            outline.mapping.report("effect", f"is wrong: {declaration.name} makes a change", "Take it out.")
        return Effect.READ

    def _arguments(self, outline: StepOutline, declaration: StepDeclaration | None) -> dict[str, Value]:
        node = outline.mapping.get("with")
        if node is not None and not isinstance(node, MapNode):
            outline.mapping.value("with")  # reports that it is no mapping
        given = node.entries if isinstance(node, MapNode) else {}
        fields = {field.name: field for field in declaration.parameters} if declaration else {}
        if declaration:
            self._check_parameters(outline, declaration, given)
        return {
            name: self._values.value(value, fields.get(name, _UNDECLARED), f"parameter {quoted(name)}")
            for name, (_, value) in given.items()
        }

    def _check_parameters(
        self, outline: StepOutline, declaration: StepDeclaration, given: Mapping[str, tuple[Scalar, Node]]
    ) -> None:
        """Report parameters that are unknown, missing, or exclude each other."""
        names = [field.name for field in declaration.parameters]
        uses = outline.mapping.mark("uses")
        for name, (key, _) in given.items():
            if name not in names:
                takes = f"It takes {', '.join(names)}." if names else "It takes none."
                message = f"{declaration.name} has no parameter {quoted(name)}"
                self._diagnostics.add(key.mark, message, did_you_mean(name, names) or takes)
        for field in declaration.parameters:
            if field.required and field.name not in given:
                message = f"{declaration.name} needs the parameter {quoted(field.name)}: {field.summary}"
                self._diagnostics.add(uses, message)
        for group in (declaration.exactly_one, declaration.at_most_one):
            written = [name for name in given if name in group]
            for name in written[1:]:
                message = f"{declaration.name} takes {quoted(written[0])} or {quoted(name)}, not both"
                self._diagnostics.add(given[name][0].mark, message, "Take one of them out.")
        if declaration.exactly_one and not given.keys() & set(declaration.exactly_one):
            choice = " or ".join(quoted(name) for name in declaration.exactly_one)
            self._diagnostics.add(uses, f"{declaration.name} needs the parameter {choice}")

    # -- a block

    def _read_block(self, outline: StepOutline, item: StaticType | None) -> tuple[dict[str, Any], StaticType]:
        """The parts of its :class:`StepSpec`, and the type of its result."""
        entries, scope = outline.mapping.node.entries, self._scope
        if "uses" in entries:
            message, suggestion = (
                'a step has "uses" or "steps", not both',
                "Put the step into the list, or take one out.",
            )
            self._diagnostics.add(entries["steps"][0].mark, message, suggestion)
        for key in NOT_OF_A_BLOCK:
            if key in entries:
                message = f"a block has no {quoted(key)}: it belongs to a step in it"
                self._diagnostics.add(entries[key][0].mark, message)
                for scalar in scalars(entries[key][1]):
                    scope.use_mentioned(scalar.text)
        with scope.override(item=item or scope.item):
            steps = self.read(outline.inner.get("steps", ()))
        parts: dict[str, Any] = {"uses": "", "arguments": {}, "steps": steps}
        parts |= self._options.read(outline.mapping, None)
        results: dict[str, StaticType] = {}
        where = f"the block {quoted(outline.id)}"
        if "for_each" in entries:  # its handlers are run once, and would not know of which item
            results = scope.close(outline.ids("steps"), where)
        parts |= self._handlers(outline)
        results |= scope.close(outline.ids("steps"), where)
        inner = (*steps, *parts["on_failure"], *parts["finally_"])
        parts["effect"] = max((step.effect for step in inner), key=_BY_STRENGTH.index, default=Effect.READ)
        parts["guarded"] = any(step.guarded for step in inner)
        result = StaticType("map", results, origin=f"block {quoted(outline.id)}")
        return parts, repeated(result, outline.goes_on) if "for_each" in entries else result

    def _handlers(self, outline: StepOutline) -> dict[str, tuple[StepSpec, ...]]:
        before, of = outline.ids("steps"), quoted(outline.id)
        on_failure, finally_ = (
            self.read_handler(outline.inner.get(key, ()), before, "block", f"{key} of {of}")
            for key in ("on_failure", "finally")
        )
        return {"on_failure": on_failure, "finally_": finally_}
