"""YAML bytes to a small tree with marks, plus every fault that can be told without knowing the language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from runbook.playbook.faults import Faults, describe, quoted
from runbook.playbook.model import Mark
from runbook.playbook.scalars import SurpriseError, resolve

MAX_PLACED = 50_000
"""Characters of a scalar within which places are told: each costs memory, and nobody counts further."""


class Scalar(NamedTuple):
    """One scalar. ``style`` is its quote, ``|`` or ``>``, empty or None (by libyaml or not) where it is plain.

    ``value`` is its YAML 1.2 value; ``sound`` is false where a fault about it is already told.
    """

    mark: Mark
    text: str
    value: Any
    raw: str
    style: str | None
    sound: bool = True

    def at(self, offset: int) -> Mark:
        """The place in the file of the character ``text[offset]``; of the whole scalar where escapes hide it."""
        places = _places(self.raw, self.text, self.style)
        if places is None or offset >= len(places):
            return self.mark
        head = self.raw[: places[offset]]
        breaks = head.count("\n")
        column = len(head) - head.rfind("\n") if breaks else self.mark.column + len(head)
        return Mark(self.mark.path, self.mark.line + breaks, column)


@lru_cache(maxsize=4)
def _places(raw: str, text: str, style: str | None) -> list[int] | None:
    """Where in ``raw`` each character of ``text`` stands: folding moves only white space, escapes move all."""
    start, end = 0, len(raw)
    if end > MAX_PLACED:
        return None
    if style in ("'", '"'):
        start, end = 1, end - 1
    elif style in ("|", ">"):
        start = raw.find("\n") + 1
    solid = [i for i in range(start, end) if not raw[i].isspace()]
    if [raw[i] for i in solid] != [c for c in text if not c.isspace()]:
        return None
    places, seen = [], 0
    for character in text:
        places.append(solid[seen] if seen < len(solid) else end)
        seen += not character.isspace()
    return places


class ListNode(NamedTuple):
    """A YAML sequence."""

    mark: Mark
    items: tuple[Node, ...]


class MapNode(NamedTuple):
    """A YAML mapping with text keys, each once; an entry is its key and its value."""

    mark: Mark
    entries: Mapping[str, tuple[Scalar, Node]]


Node: TypeAlias = "Scalar | ListNode | MapNode"


def kind(node: Node) -> str:
    """What a node is, in words that fit after *not*."""
    if isinstance(node, Scalar):
        return describe(node.value)
    return "a list" if isinstance(node, ListNode) else "a mapping"


def scalars(node: Node) -> Iterator[Scalar]:
    """Every scalar of a value."""
    if isinstance(node, Scalar):
        yield node
        return
    for child in node.items if isinstance(node, ListNode) else [value for _, value in node.entries.values()]:
        yield from scalars(child)


class Grower:
    """Makes our tree from PyYAML's nodes. The depth is known to be small by now."""

    def __init__(self, faults: Faults, text: str) -> None:
        self._faults = faults
        self._text = text

    def grow(self, node: Any) -> Node:
        """Our node for PyYAML's; every fault of its scalars and keys is kept in ``faults``."""
        if node.id == "scalar":
            return self._scalar(node)
        if node.id == "sequence":
            return ListNode(self._mark(node), tuple(self.grow(item) for item in node.value))
        return self._mapping(node)

    def _mark(self, node: Any) -> Mark:
        return self._faults.mark(node.start_mark.line + 1, node.start_mark.column + 1)

    def _scalar(self, node: Any, *, is_key: bool = False) -> Scalar:
        mark, text, value, sound = self._mark(node), node.value, node.value, True
        if not node.style:
            try:
                value = resolve(text)
            except SurpriseError as surprise:
                advice = f'write "{text}" in quotes' if is_key else surprise.advice
                self._faults.add(mark, f"{surprise}; {advice}")
                sound = False
        raw = self._text[node.start_mark.index : node.end_mark.index]
        return Scalar(mark, text, value, raw, node.style, sound)

    def _mapping(self, node: Any) -> MapNode:
        entries: dict[str, tuple[Scalar, Node]] = {}
        for key_node, value_node in node.value:
            key, value = self._key(key_node), self.grow(value_node)
            if key is None:
                continue
            if key.text in entries:
                first = entries[key.text][0].mark.line
                self._faults.add(key.mark, f"duplicate key {quoted(key.text)}; line {first} has it already")
            else:
                entries[key.text] = (key, value)
        return MapNode(self._mark(node), entries)

    def _key(self, node: Any) -> Scalar | None:
        if node.id != "scalar":
            self._faults.add(self._mark(node), "a key must be text, not a list or a mapping")
            return None
        if not node.style and node.value == "<<":
            self._faults.add(self._mark(node), "merge keys (<<) are not part of the language; write the entries out")
            return None
        key = self._scalar(node, is_key=True)
        if key.sound and not isinstance(key.value, str):
            self._faults.add(key.mark, f'a key must be text, not {describe(key.value)}; write "{key.text}" in quotes')
            return None
        return key if key.sound else None
