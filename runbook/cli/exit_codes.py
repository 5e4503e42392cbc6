"""The one place where an error becomes a sentence on stderr and an exit code."""

from __future__ import annotations

from runbook.errors import PlaybookError, RunbookError
from runbook.exit_codes import exit_code_of_error


def report_error(error: RunbookError | OSError | KeyboardInterrupt) -> int:
    """Print what kept a command from its end as a sentence on stderr, and give the exit code.

    A run that has begun reports its own ending, so whatever arrives here was not started, but for a record or a lab
    that failed.
    """
    code = exit_code_of_error(error)
    if isinstance(error, KeyboardInterrupt):
        return code
    from runbook.cli.output import Output

    if isinstance(error, OSError):
        text = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        Output().note(f"runbook: {text}")
    elif isinstance(error, PlaybookError):
        # They begin with the playbook's path, as a compiler's do, so that an editor finds the place.
        for diagnostic in error.diagnostics:
            Output().note(diagnostic.render(), indent="")
    else:
        Output().note(f"runbook: {error}")
    return code
