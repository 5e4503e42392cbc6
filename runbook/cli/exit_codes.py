"""What a run's exit code promises."""

from __future__ import annotations

from runbook.events import RunCompleted, RunFailed, RunInterrupted, RunRefused

RECOVERED = 0
FAILED = 1
NOT_STARTED = 2
REFUSED = 3
UNREACHABLE = 4
LOCKED = 5
INTERRUPTED = 130

_NO_CLUSTER = frozenset(
    {"unreachable", "timeout", "forbidden", "no_leader", "quorum_lost", "unavailable", "bad_reply"}
)  # the cluster could not be spoken to, or cannot be changed by anybody now


def of(ending: RunCompleted | RunRefused | RunFailed | RunInterrupted) -> int:
    """The exit code of an ending."""
    if isinstance(ending, RunFailed):
        return UNREACHABLE if ending.trouble in _NO_CLUSTER else FAILED
    if isinstance(ending, RunRefused):
        return LOCKED if ending.code == "Locked" else REFUSED
    return RECOVERED if isinstance(ending, RunCompleted) else INTERRUPTED
