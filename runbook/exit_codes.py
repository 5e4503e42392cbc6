"""What an exit code promises."""

from __future__ import annotations

from runbook.errors import ErrorKind, RunbookError
from runbook.events import RunCompleted, RunFailed, RunInterrupted, RunRefused

RECOVERED = 0
FAILED = 1
NOT_STARTED = 2
REFUSED = 3
UNREACHABLE = 4
LOCKED = 5
INTERRUPTED = 130

_NO_CLUSTER = (  # it could not be spoken to, or cannot be changed by anybody now
    ErrorKind.UNREACHABLE,
    ErrorKind.TIMEOUT,
    ErrorKind.FORBIDDEN,
    ErrorKind.NO_LEADER,
    ErrorKind.QUORUM_LOST,
    ErrorKind.UNAVAILABLE,
    ErrorKind.BAD_REPLY,
)
_CODES = {
    **dict.fromkeys(_NO_CLUSTER, UNREACHABLE),
    ErrorKind.REFUSED: REFUSED,
    ErrorKind.LOCKED: LOCKED,
    ErrorKind.JOURNAL: FAILED,
    ErrorKind.LAB: FAILED,
}


def exit_code_of_ending(ending: RunCompleted | RunRefused | RunFailed | RunInterrupted) -> int:
    """The exit code of a run that ended so."""
    if isinstance(ending, RunFailed):
        return UNREACHABLE if ending.error_kind in {kind.value for kind in _NO_CLUSTER} else FAILED
    if isinstance(ending, RunRefused):
        return LOCKED if ending.code == "Locked" else REFUSED
    return RECOVERED if isinstance(ending, RunCompleted) else INTERRUPTED


def exit_code_of_error(error: RunbookError | OSError | KeyboardInterrupt) -> int:
    """The exit code of a run, or of another command, that such an error kept from its beginning or its end."""
    if isinstance(error, KeyboardInterrupt):  # before a run began, or again while its ending was written
        return INTERRUPTED
    return FAILED if isinstance(error, OSError) else _CODES.get(error.kind, NOT_STARTED)
