"""Removals: their events, and what became of each, folded from the journal of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from runbook.dataclass import dataclass
from runbook.events import StepEvent

REMOVAL: Mapping[tuple[str, str], str] = {
    ("new", "removal.requested"): "asked",
    ("new", "removal.would_be_requested"): "would_ask",
    ("failed", "removal.would_be_requested"): "would_ask",
    ("would_ask", "removal.would_be_confirmed"): "foretold",
    ("would_ask", "removal.failed"): "failed",
    ("new", "removal.already_gone"): "vanished",
    ("new", "removal.unsettled"): "unsettled",  # a signal came before the intent was on record
    ("asked", "removal.confirmed"): "gone",
    ("asked", "removal.already_gone"): "vanished",
    ("asked", "removal.failed"): "failed",
    ("asked", "removal.unsettled"): "unsettled",
    ("asked", "removal.still_listed"): "still_listed",
    ("failed", "removal.requested"): "asked",
    ("failed", "removal.unsettled"): "failed",  # a signal came as this was told, and what was surely not done stays so
    ("failed", "removal.already_gone"): "vanished",
    ("unsettled", "removal.confirmed"): "gone",
    ("unsettled", "removal.failed"): "failed",
    ("unsettled", "removal.unsettled"): "unsettled",
    ("unsettled", "removal.still_listed"): "still_listed",
    ("still_listed", "removal.requested"): "asked",
    ("still_listed", "removal.confirmed"): "gone",  # late, and ours
    ("still_listed", "removal.unsettled"): "still_listed",  # a signal came as this was told
}


@dataclass(frozen=True, eq=False, repr=False)
class _PeerEvent(StepEvent):
    """What becomes of one removal, in the order in which it may."""

    peer: str


@dataclass(frozen=True, eq=False, repr=False)
class RemovalRequested(_PeerEvent):
    """The intent: on disk before the request leaves."""

    kind = "removal.requested"
    address: str
    name: str
    voters_after: int


@dataclass(frozen=True, eq=False, repr=False)
class RemovalWouldBeRequested(RemovalRequested):
    """A dry run stops here: what it would have sent."""

    kind = "removal.would_be_requested"


@dataclass(frozen=True, eq=False, repr=False)
class RemovalConfirmed(_PeerEvent):
    """The leader and every server that answers list it no more; ``message`` is where only a person could tell."""

    kind = "removal.confirmed"
    name: str
    message: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class AlreadyGone(_PeerEvent):
    """Somebody else was faster: the cluster's own clean-up, or a person; ``message`` says which may have been it."""

    kind = "removal.already_gone"
    name: str
    message: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class RemovalFailed(_PeerEvent):
    """The request surely changed nothing: it never left, or was answered with a no."""

    kind = "removal.failed"
    message: str


@dataclass(frozen=True, eq=False, repr=False)
class RemovalStillListed(_PeerEvent):
    """No answer came, and longer than servers hold a request nobody has seen it done: it is taken for lost.

    Nobody can promise it, so it is no :class:`RemovalFailed`: should the peer go yet, it was this run's doing.
    """

    kind = "removal.still_listed"
    name: str
    message: str


@dataclass(frozen=True, eq=False, repr=False)
class RemovalUnsettled(_PeerEvent):
    """Nobody knows whether it was done; only a look can tell."""

    kind = "removal.unsettled"
    message: str


@dataclass(frozen=True)
class Removal:
    """What became of one intent: ``asked`` with nothing after it means that the outcome is not known.

    ``gone`` is our doing, ``vanished`` somebody else's; a dry run ``would_ask``, and then it is ``foretold``.
    ``unanswered``: an earlier request for it had no answer, and may yet be carried out, whatever becomes of a later.
    """

    peer: str
    name: str
    address: str
    state: str
    voters_after: int
    asked_at: str
    message: str = ""
    step: str = ""
    unanswered: bool = False

    @property
    def unsettled(self) -> bool:
        """Asked for, and nobody has seen what became of it."""
        return self.state in ("asked", "unsettled", "would_ask")

    @property
    def may_yet_be_done(self) -> bool:
        """Asked for without an answer: whatever was seen since, servers may carry it out late."""
        return self.unsettled or (self.unanswered and self.state not in ("gone", "vanished"))


class RemovalsFolding:
    """Takes the events of one run in their order. Raises KeyError for one that cannot follow."""

    def __init__(self) -> None:
        self._removals: dict[str, Removal] = {}

    def removals(self) -> tuple[Removal, ...]:
        """The one that was touched last stands last."""
        return tuple(self._removals.values())

    def take(self, event: Mapping[str, Any]) -> None:
        kind, peer = str(event["kind"]), str(event["peer"])
        new = self._removals.pop(peer, None) or Removal(peer, peer, "", "new", 0, "")
        state, at = REMOVAL[new.state, kind], str(event.get("at", ""))
        name = str(event.get("name") or new.name)
        if state in ("asked", "would_ask"):
            address, after = str(event["address"]), int(event["voters_after"])
            step, earlier = str(event["step"]), new.unanswered
            self._removals[peer] = Removal(peer, name, address, state, after, at, step=step, unanswered=earlier)
        else:
            message, unanswered = str(event.get("message", "")), new.unanswered or state == "still_listed"
            self._removals[peer] = replace(new, state=state, name=name, message=message, unanswered=unanswered)


def seconds_since_asked(removals: Iterable[Removal], peer: str, now: str) -> float:
    """By the wall clock, which now says this; 0 where it is odd, or nothing was asked for."""
    asked_at = next((removal.asked_at for removal in removals if removal.peer == peer), "")
    try:
        age = datetime.fromisoformat(now) - datetime.fromisoformat(asked_at)
    except (ValueError, TypeError):
        return 0.0
    return max(0.0, age.total_seconds())
