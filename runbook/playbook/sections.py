"""A mapping of the language with its known keys: unknown, missing and unfit ones are told here for all sections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runbook.playbook.faults import Faults, did_you_mean, quoted
from runbook.playbook.fields import MisfitError, fit_written
from runbook.playbook.model import Field, Mark
from runbook.playbook.nodes import ListNode, MapNode, Node, Scalar, scalars
from runbook.playbook.templates import OPEN


class Keys:
    """The keys of one kind of mapping, laid out once for the thousands of mappings that have them."""

    def __init__(self, *fields: Field, foreign: Mapping[str, str] | None = None) -> None:
        """``foreign``: words of other tools, each with what it is here."""
        self.fields = {field.name: field for field in fields}
        self.foreign = foreign or {}
        self.required = tuple(field for field in fields if field.required)

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields.values())


class Section:
    """One mapping of the file. ``what`` names it in faults."""

    def __init__(self, node: MapNode, what: str, keys: Keys, faults: Faults) -> None:
        self.node = node
        self._what = what
        self._fields = keys.fields
        self._faults = faults
        for name, (key, _) in node.entries.items():
            if name not in keys.fields:
                word = keys.foreign.get(name)
                meant = f"Here it is {quoted(word)}." if word else did_you_mean(name, keys.fields)
                faults.add(key.mark, f"{what} has no key {quoted(name)}", meant or f"Its keys are {self._known()}.")
        for field in keys.required:
            if field.name not in node.entries:
                faults.add(node.mark, f"{what} needs the key {quoted(field.name)}: {field.summary}")

    def _known(self) -> str:
        return ", ".join(self._fields)

    def unread(self) -> list[Node]:
        """The values of keys that this section does not have."""
        return [value for name, (_, value) in self.node.entries.items() if name not in self._fields]

    def get(self, name: str) -> Node | None:
        """The value of a key, if it is there."""
        return self.node.entries[name][1] if name in self.node.entries else None

    def mark(self, name: str) -> Mark:
        """The place of a key's value; of the section where it is not there."""
        node = self.get(name)
        return node.mark if node else self.node.mark

    def value(self, name: str, field: Field | None = None) -> Any:
        """The plain value of a key in its type; the default where it is absent, None where it is at fault."""
        field = field or self._fields[name]
        node = self.get(name)
        if node is None:
            return field.default
        return fitted(node, field, f'"{name}" of {self._what}', self._faults)

    def wrong(self, name: str, message: str, suggestion: str | None = None) -> None:
        """Keep a fault about the value of a key."""
        self._faults.add(self.mark(name), f"{quoted(name)} of {self._what} {message}", suggestion)


def fitted(node: Node, field: Field, label: str, faults: Faults) -> Any:
    """The plain value at ``node`` if it fits ``field``; else None, with the fault kept."""
    for scalar in (node,) if isinstance(node, Scalar) else tuple(scalars(node)):
        if not scalar.sound:
            return None
        if OPEN in scalar.text:
            faults.add(scalar.at(scalar.text.index(OPEN)), f"{label} cannot hold an expression")
            return None
    try:
        return fit_written(field, plain(node))
    except MisfitError as misfit:
        faults.add(node.mark, f"{label} {misfit}", misfit.suggestion)
        return None


def plain(node: Node) -> Any:
    """The data at ``node``, expressions read as text."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return {name: plain(value) for name, (_, value) in node.entries.items()}
