"""What is sent to the worker of a region: names and plain values as JSON, bounded in size, good for a while.

Many orders are signed at once: each carries the hashes by which it leads to the one root that was signed, so a fleet of
thousands needs one signature, and a key in hardware one touch.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field
from typing import Any

from runbook.dataclass import dataclass
from runbook.decode import ODD
from runbook.errors import NotStartedError

CHECK, RUN = "check", "run"
VERSION = 1
LONGEST_ORDER = 256 * 1024  # characters
LONGEST_PROOF = 40  # hashes: a fleet of 2^40
SKEW = 5.0  # seconds that the clocks of two hosts may differ
_ID = re.compile(r"[0-9a-f]{32}")
_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HASH = re.compile(r"[LR][0-9a-f]{64}")


@dataclass(frozen=True)
class Order:
    """One thing that a worker of this region is to do with one cluster.

    ``issued`` and ``expires`` are seconds since 1970 by the clock of whoever sends it. ``what`` is the request: of a
    check its time-out, of a run that of :class:`ClusterRunRequest`.
    """

    id: str
    kind: str
    region: str
    cluster: str
    issued: float
    expires: float
    what: Mapping[str, Any] = field(default_factory=dict)
    version: int = VERSION

    @property
    def text(self) -> str:
        """As it is signed and sent."""
        return json.dumps({**asdict(self), "what": dict(self.what)}, sort_keys=True, separators=(",", ":"))

    @classmethod
    def read(cls, text: Any) -> Order:
        """Raises NotStartedError for whatever else came, and repeats nothing of it."""
        try:
            if len(text) > LONGEST_ORDER:
                raise ValueError("too long")
            order = cls(**json.loads(text))
            numbers = (type(order.issued) in (int, float), type(order.expires) in (int, float))
            names = (order.region, order.cluster)
            fits = all(numbers) and isinstance(order.what, dict) and all(isinstance(name, str) for name in names)
            fits = fits and order.kind in (CHECK, RUN) and bool(_ID.fullmatch(order.id)) and order.version == VERSION
        except (RecursionError, *ODD):
            fits = False
        if not fits:
            raise NotStartedError("this is no order of this version", "Use one version of runbook everywhere")
        return order


def new_id() -> str:
    return secrets.token_hex(16)


def is_region(name: str) -> bool:
    """Whether a queue can be called after it."""
    return bool(_REGION.fullmatch(name))


def reason_not_now(order: Order, now: float) -> str:
    """Why it is not to be done at this moment, by this host's clock; empty where it may be."""
    if now > order.expires:
        return f"the order expired {now - order.expires:.0f} s ago by the clock of this host; nothing was done"
    if order.issued > now + SKEW:
        ahead = order.issued - now
        return f"the order comes from {ahead:.0f} s in the future: the clock of this host or of its sender is wrong"
    return ""


# -- one root for many


@dataclass(frozen=True)
class OrderTree:
    """``root`` is what is signed; ``paths`` lead from each order to it, in their order."""

    root: str
    paths: tuple[tuple[str, ...], ...]


def tree_of(texts: Sequence[str]) -> OrderTree:
    """A Merkle tree; a leaf and a branch are hashed unlike each other, so none passes for the other."""
    level = [_leaf(text) for text in texts]
    places = list(range(len(texts)))
    paths: list[list[str]] = [[] for _ in texts]
    while len(level) > 1:
        for number, place in enumerate(places):
            sibling = place ^ 1
            if sibling < len(level):
                paths[number].append(f"{'L' if sibling < place else 'R'}{level[sibling]}")
            places[number] = place // 2
        pairs = [level[at : at + 2] for at in range(0, len(level), 2)]
        level = [_branch(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return OrderTree(level[0], tuple(map(tuple, paths)))


def root_of(text: str, path: Any) -> str:
    """To which root it leads; empty where that is no path."""
    if not isinstance(path, list) or len(path) > LONGEST_PROOF:
        return ""
    if not all(isinstance(step, str) and _HASH.fullmatch(step) for step in path):
        return ""
    found = _leaf(text)
    for step in path:
        found = _branch(step[1:], found) if step[0] == "L" else _branch(found, step[1:])
    return found


def signed_text(root: str) -> bytes:
    """What the key signs."""
    return f"runbook fleet v{VERSION}\nroot {root}\n".encode()


def _leaf(text: str) -> str:
    return hashlib.sha256(b"\0" + text.encode("utf-8", "surrogatepass")).hexdigest()


def _branch(left: str, right: str) -> str:
    return hashlib.sha256(b"\1" + bytes.fromhex(left) + bytes.fromhex(right)).hexdigest()
