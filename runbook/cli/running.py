"""A run on the command line, new or resumed: who is told, who is asked, the last lines, the exit code."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass

from runbook.cli import exit_codes
from runbook.cli.person import Person
from runbook.cli.telling import fitted, telling
from runbook.errors import (
    AtWorkError,
    ExpressionError,
    JournalError,
    NoPlaybookError,
    NoRunError,
    NotStartedError,
    ParamError,
    PlaybookError,
    SettingsError,
    StopError,
    TransitionError,
)
from runbook.report.screen import LABEL_WIDTH, summary
from runbook.session.run_session import RunSession

NOT_STARTED = (
    ParamError,
    ExpressionError,
    SettingsError,
    NotStartedError,
    NoPlaybookError,
    NoRunError,
    StopError,
    TransitionError,
)


@dataclass(frozen=True)
class Terminal:
    """How a run is told and asked about. ``form`` is how events are told while it goes on: text, json or none.

    ``attended``: somebody can be asked. ``yes``: they agreed to every change beforehand.
    """

    attended: bool = False
    yes: bool = False
    form: str = "text"


def run_and_show(session: RunSession, terminal: Terminal) -> int:
    """The exit code of the run."""
    with telling(terminal.form, session.plan.run) as tell:
        person = Person.here(session.environment, terminal.attended, terminal.yes, tell.aside)
        result = session.run(person, tell.write)
    with contextlib.suppress(OSError):  # the record says it too
        lines = ["", *summary(result.state, str(result.folder))]
        print(fitted(lines, sys.stdout, LABEL_WIDTH), flush=True)
    return exit_codes.of(result.ending)


def exit_code_of(command: Callable[[], int]) -> int:
    """The command's exit code; whatever keeps it from its end is told on stderr in one sentence, with its own code."""
    try:
        return command()
    except PlaybookError as error:
        return say("\n".join(diagnostic.render() for diagnostic in error.diagnostics), exit_codes.NOT_STARTED)
    except NOT_STARTED as error:
        return say(f"runbook: {error}", exit_codes.NOT_STARTED)
    except AtWorkError as error:
        return say(f"runbook: {error}", exit_codes.LOCKED)
    except JournalError as error:
        return say(f"runbook: {error}", exit_codes.FAILED)
    except KeyboardInterrupt:  # before the run began, or again while its ending was written
        return exit_codes.INTERRUPTED


def say(text: str, code: int) -> int:
    """One sentence on stderr, and the exit code."""
    print(text, file=sys.stderr)
    return code
