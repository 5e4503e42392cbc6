"""What a dry run tells beside what every run tells: what would be done, whether it was seen or foreseen, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from runbook.dataclass import dataclass
from runbook.events import Approved, Event
from runbook.label import Label
from runbook.raft.model import ClusterView
from runbook.removals import RemovalConfirmed


@dataclass(frozen=True, eq=False, repr=False)
class Foreseen(Event):
    """Another event, with where it is from, and after how many seconds the real run would be there.

    In the journal it is that event, with two fields more. ``label`` is None where the one that told it leaves it to
    where the run is. ``waits`` are the seconds at most for which a real run would wait there for the world.
    """

    event: Event
    label: Label | None = None
    foreseen: float = 0.0
    waits: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", self.event.kind)

    @property
    def durable(self) -> bool:
        return False  # nothing rests on it: a dry run changes nothing, and is never gone on with

    @property
    def view(self) -> ClusterView | None:
        """What a look of this process saw."""
        view: ClusterView | None = getattr(self.event, "view", None)
        return view

    def record(self) -> dict[str, Any]:
        label = {"label": self.label.value} if self.label else {}
        return {**self.event.record(), **label, "foreseen": round(self.foreseen, 1)}


def labelled(event: Event, label: Label | None, waits: float = 0.0) -> Event:
    """The event with what a dry run says of it; in a real run, which says nothing, just the event."""
    return Foreseen(event, label, waits=waits) if label or waits else event


@dataclass(frozen=True, eq=False, repr=False)
class RemovalWouldBeConfirmed(RemovalConfirmed):
    """In the shadow every server lists it no more."""

    kind = "removal.would_be_confirmed"


@dataclass(frozen=True, eq=False, repr=False)
class WouldBeApproved(Approved):
    """Whoever is at the terminal would be asked this, or has agreed to it beforehand."""

    kind = "change.would_be_approved"


@dataclass(frozen=True, eq=False, repr=False)
class ShadowEntered(Event):
    """From here on nothing is looked at any more: the world stands as the last look showed it, and waits take no time.

    ``looks`` were live, over ``seconds``. ``why``: it stood still, a change was foretold, or it did not settle.
    """

    kind = "shadow.entered"
    looks: int
    seconds: float
    why: str


@dataclass(frozen=True, eq=False, repr=False)
class ShadowEnded(Event):
    """What the whole dry run foresees.

    ``peers`` are the final configuration, as far as any look told one; ``seconds`` is how long the real run would take,
    ``waits`` how much longer at most where only the world can end a wait. ``counts`` has the ends of steps by label,
    ``unknown`` each step whose end is not foreseen, and why. ``asked`` is what a real run asks for before a change, and
    what it would be told. ``seen`` is what the last live look showed: ``identities``, ``leader`` (an id or null),
    ``term``, ``quorum_proof``, and of each of the ``servers`` what a plan is bound to.
    """

    kind = "shadow.ended"
    peers: tuple[Mapping[str, Any], ...]
    seconds: float
    waits: float
    counts: Mapping[str, int]
    unknown: Mapping[str, str]
    asked: Mapping[str, str]
    seen: Mapping[str, Any] = field(default_factory=dict)
