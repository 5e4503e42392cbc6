"""YAML events to a small tree with marks, and every error that shows without knowing the playbook language."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from runbook.errors import Mark
from runbook.playbook.diagnostics import Diagnostics, describe_value, quoted
from runbook.playbook.yaml_scalars import ScalarError, parse_scalar

MAX_DEPTH = 40
"""Levels of nesting. A playbook needs six or so; far below where any recursion hurts."""
MAX_VALUES = 150_000
"""Values in one file, keys among them: ten thousand steps of fifteen. The slowest file takes half a second."""
MAX_LOCATED = 50_000
"""Characters of a scalar within which positions are found: each costs memory, and nobody counts further."""


class Scalar(NamedTuple):
    """A YAML scalar.

    ``text`` is its content, ``raw`` how it stands in the file, ``value`` what it is by YAML 1.2. ``style`` is its
    quote, ``|`` or ``>``; empty or None (by libyaml or not) where it is plain. ``valid`` is false where an error about
    it is already known.
    """

    mark: Mark
    text: str
    value: Any
    raw: str
    style: str | None
    valid: bool = True

    def at(self, offset: int) -> Mark:
        """The place in the file of the character ``text[offset]``; of the whole scalar where escapes hide it."""
        if self.raw == self.text:  # nearly always, and on one line
            return Mark(self.mark.path, self.mark.line, self.mark.column + offset)
        positions = _positions(self.raw, self.text, self.style)
        if positions is None or offset >= len(positions):
            return self.mark
        head = self.raw[: positions[offset]]
        breaks = head.count("\n")
        column = len(head) - head.rfind("\n") if breaks else self.mark.column + len(head)
        return Mark(self.mark.path, self.mark.line + breaks, column)


@lru_cache(maxsize=4)
def _positions(raw: str, text: str, style: str | None) -> list[int] | None:
    """Where in ``raw`` each character of ``text`` stands: folding moves only white space, escapes move all."""
    start, end = 0, len(raw)
    if end > MAX_LOCATED:
        return None
    if style in ("'", '"'):
        start, end = 1, end - 1
    elif style in ("|", ">"):
        start = raw.find("\n") + 1
    solid = [i for i in range(start, end) if not raw[i].isspace()]
    if [raw[i] for i in solid] != [c for c in text if not c.isspace()]:
        return None
    positions, seen = [], 0
    for character in text:
        positions.append(solid[seen] if seen < len(solid) else end)
        seen += not character.isspace()
    return positions


class ListNode(NamedTuple):
    """A YAML sequence."""

    mark: Mark
    items: tuple[Node, ...]


class MapNode(NamedTuple):
    """A YAML mapping with text keys, each once; an entry is its key and its value."""

    mark: Mark
    entries: Mapping[str, tuple[Scalar, Node]]


Node: TypeAlias = "Scalar | ListNode | MapNode"


def describe_node(node: Node) -> str:
    """What a node is, in words that fit after *not*."""
    if isinstance(node, Scalar):
        return describe_value(node.value)
    return "a list" if isinstance(node, ListNode) else "a mapping"


def scalars(node: Node) -> Iterator[Scalar]:
    """Every scalar of a value."""
    if isinstance(node, Scalar):
        yield node
        return
    for child in node.items if isinstance(node, ListNode) else [value for _, value in node.entries.values()]:
        yield from scalars(child)


def plain_data(node: Node) -> Any:
    """The data at ``node`` as lists, dicts and scalars; expressions are left as text."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, ListNode):
        return [plain_data(item) for item in node.items]
    return {name: plain_data(value) for name, (_, value) in node.entries.items()}


class TreeBuilder:
    """Makes our tree from PyYAML's events in one pass, so that no other tree is held beside it.

    ``text`` is the whole file. Whatever is hostile ends the reading at the event that shows it.
    """

    def __init__(self, diagnostics: Diagnostics, text: str, next_event: Callable[[], Any]) -> None:
        self._diagnostics = diagnostics
        self._text = text
        self._next = next_event
        self._depth = self._values = self._aliases = 0

    def document(self, what: str) -> Node | None:
        """The value of the one document in the file; None where there is none. ``what`` names such a file in errors."""
        self._next()  # the stream starts
        if type(self._next()).__name__ == "StreamEndEvent":
            return None
        root = self._value(self._next())
        self._next()  # the document ends
        after = self._next()
        if type(after).__name__ != "StreamEndEvent":
            self._diagnostics.fail(self._mark(after), f"{what} is one YAML document; a second one begins here")
        if self._aliases:
            self._diagnostics.raise_if_any()
        return root

    def _value(self, event: Any) -> Node:
        """The value that begins with ``event``."""
        kind = type(event).__name__
        if kind == "ScalarEvent":
            return self._scalar(event)
        self._count(event)
        if kind == "AliasEvent":
            self._aliases += 1
            return Scalar(self._mark(event), "", None, "", None, valid=False)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._diagnostics.fail(self._mark(event), f"nested deeper than {MAX_DEPTH} levels")
        node = self._list(event) if kind == "SequenceStartEvent" else self._mapping(event)
        self._depth -= 1
        return node

    def _count(self, event: Any) -> None:
        self._values += 1
        if self._values > MAX_VALUES or event.anchor is not None or getattr(event, "tag", None) is not None:
            self._refuse(event)

    def _refuse(self, event: Any) -> None:
        """One value too many, an anchor, or a tag."""
        if self._values > MAX_VALUES:
            self._diagnostics.fail(self._mark(event), f"the file holds more than {MAX_VALUES:,} values")
        if event.anchor is not None:
            message = f"anchors and aliases ({quoted(event.anchor)}) are not part of the language; write the value out"
            self._diagnostics.add(self._mark(event), message)
        if getattr(event, "tag", None) is not None:
            message = f"tags ({quoted(event.tag)}) are not part of the language; write the value alone"
            self._diagnostics.add(self._mark(event), message)

    def _mark(self, event: Any) -> Mark:
        start = event.start_mark
        return Mark(self._diagnostics.path, start.line + 1, start.column + 1)

    def _scalar(self, event: Any, *, is_key: bool = False) -> Scalar:
        self._values += 1  # as _count does: of large files most of the time is spent here
        if self._values > MAX_VALUES or event.anchor is not None or event.tag is not None:
            self._refuse(event)
        start, text, style, valid = event.start_mark, event.value, event.style, True
        value = text
        mark = Mark(self._diagnostics.path, start.line + 1, start.column + 1)
        if not style:
            try:
                value = parse_scalar(text)
            except ScalarError as error:
                advice = f'write "{text}" in quotes' if is_key else error.advice
                self._diagnostics.add(mark, f"{error}; {advice}")
                valid = False
        return Scalar(mark, text, value, self._text[start.index : event.end_mark.index], style, valid)

    def _list(self, start: Any) -> ListNode:
        items: list[Node] = []
        while (kind := type(event := self._next()).__name__) != "SequenceEndEvent":
            items.append(self._scalar(event) if kind == "ScalarEvent" else self._value(event))
        return ListNode(self._mark(start), tuple(items))

    def _mapping(self, start: Any) -> MapNode:
        entries: dict[str, tuple[Scalar, Node]] = {}
        while type(event := self._next()).__name__ != "MappingEndEvent":
            key = self._key(event)
            event = self._next()
            value = self._scalar(event) if type(event).__name__ == "ScalarEvent" else self._value(event)
            if key is None:
                continue
            if key.text in entries:
                first = entries[key.text][0].mark.line
                self._diagnostics.add(key.mark, f"duplicate key {quoted(key.text)}; line {first} has it already")
            else:
                entries[key.text] = (key, value)
        return MapNode(self._mark(start), entries)

    def _key(self, event: Any) -> Scalar | None:
        if type(event).__name__ != "ScalarEvent":
            self._diagnostics.add(self._mark(event), "a key must be a string, not a list or a mapping")
            self._value(event)
            return None
        if not event.style and event.value == "<<":
            message = "merge keys (<<) are not part of the language; write the entries out"
            self._diagnostics.add(self._mark(event), message)
            return None
        key = self._scalar(event, is_key=True)
        if key.valid and not isinstance(key.value, str):
            message = f'a key must be a string, not {describe_value(key.value)}; write "{key.text}" in quotes'
            self._diagnostics.add(key.mark, message)
            return None
        return key if key.valid else None
