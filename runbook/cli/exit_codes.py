"""What an exit code promises, and the one place where an error becomes a sentence on stderr and an exit code."""

from __future__ import annotations

from runbook.errors import ErrorKind, PlaybookError, RunbookError
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


def report_error(error: RunbookError | OSError | KeyboardInterrupt) -> int:
    """Print what kept a command from its end as a sentence on stderr, and give the exit code.

    A run that has begun reports its own ending, so whatever arrives here was not started, but for a record or a lab
    that failed.
    """
    if isinstance(error, KeyboardInterrupt):  # before a run began, or again while its ending was written
        return INTERRUPTED
    from runbook.cli.output import Output

    if isinstance(error, OSError):
        text = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        Output().note(f"runbook: {text}")
        return FAILED
    if isinstance(error, PlaybookError):
        # They begin with the playbook's path, as a compiler's do, so that an editor finds the place.
        for diagnostic in error.diagnostics:
            Output().note(diagnostic.render(), indent="")
    else:
        Output().note(f"runbook: {error}")
    return _CODES.get(error.kind, NOT_STARTED)
