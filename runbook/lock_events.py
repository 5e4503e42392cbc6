"""What becomes of the lock: claimed, taken over from a run that died, or found with the name of one that is over; and
what a person sets aside by name.
"""

from __future__ import annotations

from dataclasses import dataclass

from runbook.events import Event


@dataclass(frozen=True)
class ClusterClaimed(Event):
    """From here on no other run of this state folder may change the cluster that has these peers."""

    kind = "cluster.claimed"
    peers: tuple[str, ...]


@dataclass(frozen=True)
class LockTakenOver(Event):
    """In the journals of both: ``run`` died with the lock, ``by`` has it now."""

    kind = "lock.taken_over"
    run: str
    by: str
    who: str
    reason: str


@dataclass(frozen=True)
class LockFreed(Event):
    """The name of ``run`` still stood in the lock, and its record says that it holds nothing: it is over as ``how``."""

    kind = "lock.freed"
    run: str
    how: str


@dataclass(frozen=True)
class GuardOverridden(Event):
    """A person set a guard aside by name."""

    kind = "guard.overridden"
    guard: str
    who: str
    reason: str
    refusal: str
