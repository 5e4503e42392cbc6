"""Reads ``steps:`` in reading order, each with what the steps before it have as results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from runbook.playbook.check import RESERVED, Environment
from runbook.playbook.declare import identifier_fault
from runbook.playbook.faults import Faults, did_you_mean, quoted
from runbook.playbook.model import Expression, Field, Mark, StepDeclaration, StepSpec, Value
from runbook.playbook.nodes import ListNode, MapNode, Node, Scalar, kind, scalars
from runbook.playbook.retries import read_retry
from runbook.playbook.sections import Section
from runbook.playbook.shapes import Shape, shape_of_result
from runbook.playbook.templates import Reader

STEP_KEYS = (
    Field("id", "string", "the name its result has"),
    Field("uses", "string", "the type of the step, such as raft.snapshot", required=True),
    Field("with", "map", "its parameters"),
    Field("if", "any", "an expression; where it is false the step is skipped"),
    Field("for_each", "any", "an expression; the step is done once for each item of this list"),
    Field("retry", "map", "when and how often a failed attempt is repeated"),
)
ANYTHING = Field("", "any", "")
"""What a parameter takes that nobody declared: its own fault is told, and its expressions are checked all the same."""


class Head(NamedTuple):
    """What other steps need to know of a step before it is read."""

    section: Section
    id: str
    mark: Mark


def read_steps(
    node: Node | None, catalogue: Mapping[str, StepDeclaration], environment: Environment, faults: Faults
) -> tuple[StepSpec, ...]:
    """Every step that can be read; after it ``environment`` holds the results of all of them."""
    heads = list(_heads(node, faults)) if node else []
    _refuse_duplicates(heads, faults)
    environment.later = {head.id: head.mark.line for head in reversed(heads)}
    steps = []
    for head in heads:
        steps.append(_StepReader(head, catalogue, environment, faults).read())
        environment.later.pop(head.id, None)
    return tuple(steps)


def first_lines(node: Node | None) -> dict[str, int]:
    """The line of each step that names its id: for words about a step that is used too early."""
    found = {}
    for item in node.items if isinstance(node, ListNode) else ():
        if isinstance(item, MapNode) and "id" in item.entries:
            written = item.entries["id"][1]
            found[written.text if isinstance(written, Scalar) else ""] = item.mark.line
    return found


def _heads(node: Node, faults: Faults) -> Iterator[Head]:
    if not isinstance(node, ListNode):
        faults.add(node.mark, f'"steps" must be a list of steps, not {kind(node)}')
        return
    if not node.items:
        faults.add(node.mark, '"steps" must hold one step at least')
    for item in node.items:
        if isinstance(item, MapNode):
            yield _head(Section(item, "a step", STEP_KEYS, faults), faults)
        else:
            faults.add(item.mark, f"a step must be a mapping, not {kind(item)}", 'It begins with "- uses: …".')


def _head(section: Section, faults: Faults) -> Head:
    if section.get("id") is None:
        uses = section.get("uses")
        default = uses.text.rpartition(".")[2] if isinstance(uses, Scalar) else ""
        return Head(section, default, section.mark("uses"))
    name = section.value("id")
    if name is None:
        return Head(section, "", section.mark("id"))
    fault = identifier_fault(name, "the id of a step")
    if name in RESERVED:
        fault = f"{quoted(name)} cannot be the id of a step: it has its own meaning in expressions", None
    if fault:
        faults.add(section.mark("id"), *fault)
    return Head(section, name, section.mark("id"))


def _refuse_duplicates(heads: list[Head], faults: Faults) -> None:
    first: dict[str, Head] = {}
    for head in heads:
        if head.id and first.setdefault(head.id, head) is not head:
            message = f"duplicate step id {quoted(head.id)}; the step on line {first[head.id].mark.line} has it already"
            own = None if head.section.get("id") else "Give this step an id of its own."
            faults.add(head.mark, message, own)


class _StepReader:
    def __init__(
        self, head: Head, catalogue: Mapping[str, StepDeclaration], environment: Environment, faults: Faults
    ) -> None:
        self._head = head
        self._section = head.section
        self._catalogue = catalogue
        self._environment = environment
        self._reader = Reader(faults, environment)
        self._faults = faults

    def read(self) -> StepSpec:
        """The step; its result is in the environment afterwards."""
        declaration = self._declaration()
        for_each, item = self._for_each()
        condition = self._condition(repeated=for_each is not None)
        self._environment.item = item
        arguments = self._arguments(declaration)
        self._environment.item = None
        for unread in self._section.unread():
            for scalar in scalars(unread):
                self._environment.use_mentioned(scalar.text)
        repeated = self._section.get("for_each") is not None
        if self._head.id:
            self._environment.steps[self._head.id] = shape_of_result(self._head.id, declaration, repeated=repeated)
        uses = declaration.name if declaration else ""
        retry = read_retry(self._section.get("retry"), self._faults)
        return StepSpec(self._head.id, uses, arguments, self._section.node.mark, condition, for_each, retry)

    def _declaration(self) -> StepDeclaration | None:
        name = self._section.value("uses")
        if name is None or name in self._catalogue:
            return self._catalogue[name] if name else None
        meant = did_you_mean(name, self._catalogue)
        self._section.wrong("uses", f"names no step type: {quoted(name)}", meant or '"runbook steps" lists them all.')
        return None

    def _for_each(self) -> tuple[Expression | None, Shape | None]:
        node = self._section.get("for_each")
        if node is None:
            return None, None
        self._environment.no_item = '"item" is what for_each makes; it does not exist in for_each itself'
        found = self._reader.items(node)
        return found or (None, Shape("any"))

    def _condition(self, *, repeated: bool) -> Expression | None:
        node = self._section.get("if")
        once = '"if" is decided once, before for_each, so "item" does not exist in it'
        nowhere = '"item" exists only in the "with" of a step with for_each'
        self._environment.no_item = once if repeated else nowhere
        condition = self._reader.condition(node) if node else None
        self._environment.no_item = nowhere
        return condition

    def _arguments(self, declaration: StepDeclaration | None) -> dict[str, Value]:
        node = self._section.get("with")
        if node is not None and not isinstance(node, MapNode):
            self._section.value("with")
        given = node.entries if isinstance(node, MapNode) else {}
        fields = {field.name: field for field in declaration.parameters} if declaration else {}
        if declaration:
            self._refuse_names(declaration, fields, given)
        return {
            name: self._reader.value(value, fields.get(name, ANYTHING), f"parameter {quoted(name)}")
            for name, (_, value) in given.items()
        }

    def _refuse_names(
        self, declaration: StepDeclaration, fields: Mapping[str, Field], given: Mapping[str, tuple[Scalar, Node]]
    ) -> None:
        for name, (key, _) in given.items():
            if name not in fields:
                takes = f"It takes {', '.join(fields)}." if fields else "It takes none."
                message = f"{declaration.name} has no parameter {quoted(name)}"
                self._faults.add(key.mark, message, did_you_mean(name, fields) or takes)
        for field in fields.values():
            if field.required and field.name not in given:
                message = f"{declaration.name} needs the parameter {quoted(field.name)}: {field.summary}"
                self._faults.add(self._section.mark("uses"), message)
