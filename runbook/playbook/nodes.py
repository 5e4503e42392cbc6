"""YAML bytes to a small tree with marks, plus every fault that can be told without knowing the language."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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


class Limits(NamedTuple):
    """What one file may hold: levels of nesting, and values (keys are values as well)."""

    depth: int
    values: int


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
    """Makes our tree from the parser's events in one pass, so that no other tree is held beside it.

    Whatever is hostile ends the reading at the event that shows it: ``limits`` bounds depth and size.
    """

    def __init__(self, faults: Faults, text: str, next_event: Callable[[], Any], limits: Limits) -> None:
        self._faults = faults
        self._text = text
        self._next = next_event
        self._limits = limits
        self._depth = self._seen = 0
        self.aliases = 0

    def grow(self, event: Any) -> Node:
        """The value that begins with ``event``; every fault of its scalars and keys is kept in ``faults``."""
        what = type(event).__name__
        if what == "ScalarEvent":
            return self._scalar(event)
        self._count(event)
        if what == "AliasEvent":
            self.aliases += 1
            return Scalar(self._mark(event), "", None, "", None, sound=False)
        self._depth += 1
        if self._depth > self._limits.depth:
            self._faults.fail(self._mark(event), f"nested deeper than {self._limits.depth} levels")
        grown = self._list(event) if what == "SequenceStartEvent" else self._mapping(event)
        self._depth -= 1
        return grown

    def _count(self, event: Any) -> None:
        self._seen += 1
        if self._seen > self._limits.values:
            self._faults.fail(self._mark(event), f"the file holds more than {self._limits.values:,} values")
        if event.anchor is not None:
            told = f"anchors and aliases ({quoted(event.anchor)}) are not part of the language; write the value out"
            self._faults.add(self._mark(event), told)
        if getattr(event, "tag", None) is not None:
            told = f"tags ({quoted(event.tag)}) are not part of the language; write the value alone"
            self._faults.add(self._mark(event), told)

    def _mark(self, event: Any) -> Mark:
        place = event.start_mark
        return Mark(self._faults.path, place.line + 1, place.column + 1)

    def _scalar(self, event: Any, *, is_key: bool = False) -> Scalar:
        self._count(event)
        begin, text, style, sound = event.start_mark, event.value, event.style, True
        value = text
        mark = Mark(self._faults.path, begin.line + 1, begin.column + 1)
        if not style:
            try:
                value = resolve(text)
            except SurpriseError as surprise:
                advice = f'write "{text}" in quotes' if is_key else surprise.advice
                self._faults.add(mark, f"{surprise}; {advice}")
                sound = False
        return Scalar(mark, text, value, self._text[begin.index : event.end_mark.index], style, sound)

    def _list(self, start: Any) -> ListNode:
        items = []
        while type(event := self._next()).__name__ != "SequenceEndEvent":
            items.append(self.grow(event))
        return ListNode(self._mark(start), tuple(items))

    def _mapping(self, start: Any) -> MapNode:
        entries: dict[str, tuple[Scalar, Node]] = {}
        while type(event := self._next()).__name__ != "MappingEndEvent":
            key = self._key(event)
            value = self.grow(self._next())
            if key is None:
                continue
            if key.text in entries:
                first = entries[key.text][0].mark.line
                self._faults.add(key.mark, f"duplicate key {quoted(key.text)}; line {first} has it already")
            else:
                entries[key.text] = (key, value)
        return MapNode(self._mark(start), entries)

    def _key(self, event: Any) -> Scalar | None:
        if type(event).__name__ != "ScalarEvent":
            self._faults.add(self._mark(event), "a key must be text, not a list or a mapping")
            self.grow(event)
            return None
        if not event.style and event.value == "<<":
            self._faults.add(self._mark(event), "merge keys (<<) are not part of the language; write the entries out")
            return None
        key = self._scalar(event, is_key=True)
        if key.sound and not isinstance(key.value, str):
            self._faults.add(key.mark, f'a key must be text, not {describe(key.value)}; write "{key.text}" in quotes')
            return None
        return key if key.sound else None
