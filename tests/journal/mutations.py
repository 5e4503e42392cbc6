"""Journals as a disk, another version or an enemy may leave them: what was recorded, changed in some places."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

Events = list[dict[str, Any]]
Mutation = Callable[[Random, Events], None]

HOSTILE: Sequence[Any] = (
    None, True, False, 0, -1, 7, 2**70, 10**400, 1.5, float("inf"), float("nan"), "", "x",
    "\x1b[2J\u202eevil\n", "\ud800", "../../../etc/passwd", "running", "unknown", "removal.confirmed",
    "2026-01-01T00:00:00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999-23:59",
    "x" * 100_000, [], {}, [[]], [None], ["a", 1], {"a": {"b": 1}}, {"": None},
    [{"id": "a"}], {"results": [{"plan_basis": None}]}, {"plan_basis": {"peers": "x"}}, {"results": 1},
)  # fmt: skip


def _value(random: Random, events: Events) -> None:
    event = random.choice(events)
    event[random.choice(list(event))] = random.choice(HOSTILE)


def _inner_value(random: Random, events: Events) -> None:
    """Of something that a step returned."""
    holders = [value for event in events for value in _mappings(event) if value]
    holder = random.choice(holders)
    holder[random.choice(list(holder))] = random.choice(HOSTILE)


def _mappings(value: Any) -> list[dict[str, Any]]:
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    found = [value] if isinstance(value, dict) else []
    return found + [each for item in inner for each in _mappings(item)]


def _missing(random: Random, events: Events) -> None:
    event = random.choice(events)
    del event[random.choice(list(event))]


def _more(random: Random, events: Events) -> None:
    random.choice(events)[random.choice(["state", "item", "view", "hash", "name", "x"])] = random.choice(HOSTILE)


def _kind(random: Random, events: Events) -> None:
    kinds = [event.get("kind") for event in events] + [
        "run.resumed",
        "run.acknowledged",
        "lock.taken_over",
        "of.tomorrow",
    ]
    random.choice(events)["kind"] = random.choice(kinds)


def _order(random: Random, events: Events) -> None:
    random.shuffle(events)


def _twice(random: Random, events: Events) -> None:
    events.insert(random.randrange(len(events)), dict(random.choice(events)))


def _gone(random: Random, events: Events) -> None:
    del events[random.randrange(len(events))]


def _cut(random: Random, events: Events) -> None:
    del events[random.randrange(len(events)) :]


def _format(random: Random, events: Events) -> None:
    events[0]["format"] = random.choice([0, 1, 3, 99, "2", None])


def _local_time(_random: Random, events: Events) -> None:
    for event in events:
        event["at"] = str(event.get("at"))[:19]


def _deep(random: Random, events: Events) -> None:
    """As deep as Python can still write."""
    nested: Any = []
    for _ in range(random.choice([90, 120, 400])):
        nested = [nested] if random.random() < 0.5 else {"x": nested}
    event = random.choice(events)
    event[random.choice(list(event))] = nested


OF_EVENTS: Mapping[str, Mutation] = {
    "another value": _value,
    "another value in a result": _inner_value,
    "a key is missing": _missing,
    "a key more": _more,
    "another kind": _kind,
    "another order": _order,
    "an event twice": _twice,
    "an event is gone": _gone,
    "the end is gone": _cut,
    "another format": _format,
    "no time zone": _local_time,
    "nested deeply": _deep,
}


def chained(events: Sequence[Mapping[str, Any]]) -> bytes:
    """The journal of these events, with the right hashes. Written here once more, as an enemy would."""
    previous, lines = "0" * 64, []
    for index, event in enumerate(events):
        line = {"index": index, **{key: value for key, value in event.items() if key != "index"}, "previous": previous}
        line.pop("hash", None)
        previous = hashlib.sha256(json.dumps(line, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        lines.append(json.dumps({**line, "hash": previous}, separators=(",", ":")).encode() + b"\n")
    return b"".join(lines)


def with_right_hashes(random: Random, events: Events) -> tuple[str, bytes]:
    """One journal, and the kind of what was done to it."""
    changed: Events = json.loads(json.dumps(events))
    name = random.choice(list(OF_EVENTS))
    for _ in range(random.choice([1, 1, 1, 3])):
        if changed:
            OF_EVENTS[name](random, changed)
    return name, chained(changed)


def _flip(random: Random, data: bytearray) -> None:
    data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _insert(random: Random, data: bytearray) -> None:
    at = random.randrange(len(data))
    data[at:at] = random.choice(
        [b"\0", b"\n", b"\xff\xfe", b"{}", b'{"kind":1}\n', b"[" * 100_000, b"9" * 10_000, b"\x1b[2J"]
    )


def _remove(random: Random, data: bytearray) -> None:
    at = random.randrange(len(data))
    del data[at : at + random.choice([1, 10, 1000])]


def _truncate(random: Random, data: bytearray) -> None:
    del data[random.randrange(len(data)) :]


def _replace(random: Random, data: bytearray) -> None:
    """By something that is no journal at all."""
    data[:] = random.choice(
        [
            b"",
            b"\n",
            b"null\n",
            b"[]\n",
            b"{}\n",
            b"[" * 100_000 + b"\n",
            b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"\n",
            b"\0" * 4096,
            random.randbytes(5000),
        ]
    )


def _swap_lines(random: Random, data: bytearray) -> None:
    lines = data.splitlines(keepends=True)
    random.shuffle(lines)
    data[:] = b"".join(lines)


OF_BYTES: Mapping[str, Callable[[Random, bytearray], None]] = {
    "a bit is flipped": _flip,
    "bytes more": _insert,
    "bytes are gone": _remove,
    "cut": _truncate,
    "no journal": _replace,
    "lines in another order": _swap_lines,
}


def with_wrong_hashes(random: Random, events: Events) -> tuple[str, bytes]:
    """One journal, and the kind of what was done to it."""
    data = bytearray(chained(events))
    name = random.choice(list(OF_BYTES))
    OF_BYTES[name](random, data)
    return name, bytes(data)
