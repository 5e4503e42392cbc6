"""What a run sees of a cluster and holds of it: looks, what persons say of servers and guards, and its lock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, ClassVar

from runbook.dataclass import dataclass
from runbook.events import Event, StepEvent
from runbook.raft.model import ClusterView


@dataclass(frozen=True, eq=False, repr=False)
class Looked(StepEvent):
    """One look at the cluster, as the verdicts it led to, by peer label.

    ``undecided`` holds the sign of trouble of each voter that is not proven alive, ``settled_by`` what would settle it.
    ``evidence`` is what each verdict rests on that is another one than in the look before. ``door`` is the address at
    which the leader answered, else another server.
    ``opinions`` are what the other vantages hold of each peer, where that is another thing than in the look before: by
    its words, who says so. ``contacts`` are the seconds since each was in contact with the leader, where that is known.
    ``view`` is what was seen, for this process alone: in the journal it would prove nothing to the next.
    """

    kind = "cluster.looked"
    durable = False
    leader: str | None
    voters: int
    live_voters: int
    verdicts: Mapping[str, str]
    undecided: Mapping[str, str] = field(default_factory=dict)
    settled_by: Mapping[str, str] = field(default_factory=dict)
    non_voters: tuple[str, ...] = ()
    evidence: Mapping[str, str] = field(default_factory=dict)
    door: str = ""
    opinions: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    contacts: Mapping[str, float] = field(default_factory=dict)
    view: ClusterView | None = field(default=None, compare=False, repr=False)

    def record(self) -> dict[str, Any]:
        told = {name: value for name, value in vars(self).items() if name != "view"}
        return {"kind": self.kind, **told, "verdicts": dict(self.verdicts)}


@dataclass(frozen=True, eq=False, repr=False)
class VerdictCriteria(StepEvent):
    """From here on dead is who looked dead for so many seconds, longer where a removal is final, in so many looks."""

    kind = "verdict.criteria"
    confirm_for: float
    looks: int
    confirm_final_for: float = 300.0


@dataclass(frozen=True, eq=False, repr=False)
class ConfirmedOff(Event):
    """A person says of one server, by its name, that it is off, and how they know. It holds for this process alone."""

    kind = "server.confirmed_off"
    name: str
    who: str
    because: str


@dataclass(frozen=True, eq=False, repr=False)
class PortOpened(Event):
    """Between two looks a port accepted of a server that looked dead in the first: it comes and goes.

    ``view`` holds just that, as a look without a leader, for this process alone.
    """

    kind: ClassVar[str] = "server.port_opened"
    step: str
    name: str
    address: str
    view: ClusterView | None = field(default=None, compare=False, repr=False)

    def record(self) -> dict[str, Any]:
        return {"kind": self.kind, "step": self.step, "name": self.name, "address": self.address}


@dataclass(frozen=True, eq=False, repr=False)
class ClusterClaimed(Event):
    """From here on no other run of this state folder may change the cluster that has these peers."""

    kind = "cluster.claimed"
    peers: tuple[str, ...]


@dataclass(frozen=True, eq=False, repr=False)
class PlanHeld(Event):
    """The world is as it was when the plan with this ``digest`` was made, at ``made`` and ``by`` whom: from here on
    only the changes that it holds are made. Who of those that it takes out has ``vanished`` since then is named.
    """

    kind = "plan.held"
    digest: str
    made: str
    by: str
    vanished: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class LockTakenOver(Event):
    """In the journals of both: ``run`` died with the lock, ``by`` has it now."""

    kind = "lock.taken_over"
    run: str
    by: str
    who: str
    reason: str


@dataclass(frozen=True, eq=False, repr=False)
class LockFreed(Event):
    """The name of ``run`` still stood in the lock, and its record says that it holds nothing: it is over as ``how``."""

    kind = "lock.freed"
    run: str
    how: str


@dataclass(frozen=True, eq=False, repr=False)
class GuardOverridden(Event):
    """A person set a guard aside by name."""

    kind = "guard.overridden"
    guard: str
    who: str
    reason: str
    refusal: str


@dataclass(frozen=True, eq=False, repr=False)
class LeftOutListed(StepEvent):
    """From here on it is watched whether one of these ``servers`` comes back, which a recovery left out of the cluster
    that now has these ``peers``: each is a mapping with its id, name, address and ground.
    """

    kind = "left_out.listed"
    peers: tuple[str, ...]
    servers: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, eq=False, repr=False)
class LeftOutAcknowledged(Event):
    """A person says of one of them that it is kept out: it is watched for no more."""

    kind = "left_out.acknowledged"
    id: str
    name: str
    who: str
    comment: str


@dataclass(frozen=True, eq=False, repr=False)
class Replied(Event):
    """What servers answered since the event before: ``method``, ``url``, ``status``, ``length`` and ``sha256`` of each.

    ``same`` more were, word for word, what the same request was answered before; ``left_out`` were too many to tell.
    By the digest of a body, without its secrets, where it was not told before: in ``bodies`` its first 2 KiB, and of a
    longer one in ``files`` the digest of what is kept of it, which is also its name in the folder of evidence. ``cut``
    counts what was left out of each file; ``trouble`` says why there are no more files.
    """

    kind = "cluster.replied"
    durable = False
    replies: tuple[Mapping[str, Any], ...]
    bodies: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    cut: Mapping[str, int] = field(default_factory=dict)
    same: int = 0
    left_out: int = 0
    trouble: str = ""
