"""A mapping of the language with its known keys. Unknown, missing and wrong ones are reported here, for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runbook.errors import InvalidValueError, Mark
from runbook.playbook.diagnostics import Diagnostics, did_you_mean, quoted
from runbook.playbook.expressions.syntax import OPEN
from runbook.playbook.model import Field, Value
from runbook.playbook.types import convert_literal
from runbook.playbook.yaml_tree import MapNode, Node, Scalar, plain_data, scalars


class Keys:
    """The keys of one kind of mapping, laid out once for the thousands of mappings that have them."""

    def __init__(self, *fields: Field, other_tools: Mapping[str, str] | None = None) -> None:
        """``other_tools``: keys of other tools, each with the one it is here."""
        self.fields = {field.name: field for field in fields}
        self.other_tools = other_tools or {}
        self.required = tuple(field for field in fields if field.required)

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields.values())


class MappingReader:
    """Reads one mapping of the file. ``what`` names it in errors."""

    def __init__(self, node: MapNode, what: str, keys: Keys, diagnostics: Diagnostics) -> None:
        self.node = node
        self._what = what
        self._fields = keys.fields
        self._diagnostics = diagnostics
        for name, (key, _) in node.entries.items():
            if name not in keys.fields:
                ours = keys.other_tools.get(name)
                suggestion = f"Here it is {quoted(ours)}." if ours else did_you_mean(name, keys.fields)
                listed = f"Its keys are {', '.join(keys.fields)}."
                diagnostics.add(key.mark, f"{what} has no key {quoted(name)}", suggestion or listed)
        for field in keys.required:
            if field.name not in node.entries:
                diagnostics.add(node.mark, f"{what} needs the key {quoted(field.name)}: {field.summary}")

    def unknown_values(self) -> list[Node]:
        """The values of keys that such a mapping does not have."""
        return [value for name, (_, value) in self.node.entries.items() if name not in self._fields]

    def get(self, name: str) -> Node | None:
        """The value of a key, if it is there."""
        return self.node.entries[name][1] if name in self.node.entries else None

    def mark(self, name: str) -> Mark:
        """The place of a key's value; of the whole mapping where it is not there."""
        node = self.get(name)
        return node.mark if node else self.node.mark

    def value(self, name: str, field: Field | None = None) -> Any:
        """The plain value of a key in its type; the default where it is absent, None where it is wrong."""
        field = field or self._fields[name]
        node = self.get(name)
        if node is None:
            return field.default
        return read_literal(node, field, self.label(name), self._diagnostics)

    def field(self, name: str) -> Field:
        """What a key takes."""
        return self._fields[name]

    def label(self, name: str) -> str:
        """A key in words, for errors."""
        return f'"{name}" of {self._what}'

    def default(self, name: str) -> Value | None:
        """The default of a key as a value, where it has one."""
        field = self._fields[name]
        return None if field.default is None else Value(self.node.mark, self.label(name), field, field.default)

    def report(self, name: str, message: str, suggestion: str | None = None) -> None:
        """Report what is wrong with the value of a key."""
        self._diagnostics.add(self.mark(name), f"{quoted(name)} of {self._what} {message}", suggestion)


def read_literal(node: Node, field: Field, label: str, diagnostics: Diagnostics) -> Any:
    """The plain value at ``node`` in the type of ``field``; None where it is wrong, which is reported."""
    for scalar in (node,) if isinstance(node, Scalar) else tuple(scalars(node)):
        if not scalar.valid:
            return None
        if OPEN in scalar.text:
            diagnostics.add(scalar.at(scalar.text.index(OPEN)), f"{label} cannot hold an expression")
            return None
    try:
        return convert_literal(field, plain_data(node))
    except InvalidValueError as error:
        diagnostics.add(node.mark, f"{label} {error}", error.suggestion)
        return None
