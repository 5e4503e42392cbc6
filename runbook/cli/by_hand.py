"""``runbook print``: a playbook, the run that is foreseen of it, or what is left of a run, to be done by hand."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from runbook.cli.output import Output
from runbook.cli.terminal import Person, Terminal, open_event_writer
from runbook.clock import Clock, SystemClock
from runbook.exit_codes import RECOVERED, exit_code_of_ending
from runbook.report.stream import is_terminal
from runbook.run_state import RunState
from runbook.secrets import SecretStore
from runbook.session.by_hand import by_hand_of_run, by_hand_text, kind_of
from runbook.session.open_run import RunRequest, bound_request, open_run, user_name
from runbook.session.run_folders import folder_of, state_folder


def print_playbook(request: RunRequest, environment: Mapping[str, str]) -> int:
    """Nobody is asked anything. Returns the exit code."""
    output = Output()
    plan, kind = bound_request(request, environment, SystemClock(), output.redactor)
    output.text(by_hand_text(plan, RunState(), kind=kind))
    return RECOVERED


def print_foreseen(request: RunRequest, environment: Mapping[str, str], clock: Clock | None = None) -> int:
    """With what a dry run sees. Returns the exit code of the run that it foresees."""
    output, clock = Output(), clock or SystemClock()
    form = "text" if is_terminal(sys.stderr) else "none"
    with open_run(request, environment, clock, output.redactor) as session:
        with open_event_writer(form, session, output.err) as (write, pause):
            # Whoever pastes the commands is who agrees to them, so it is as if they sat at a terminal.
            person = Person(user_name(environment), Terminal(attended=True, form=form), output, pause)
            result = session.run(person, write)
        kind = kind_of(session.cluster.name)
        output.text(by_hand_text(session.plan, result.state, kind=kind, folder=str(result.folder), at=clock.now()))
    return exit_code_of_ending(result.ending)


def print_run(name: str, environment: Mapping[str, str]) -> int:
    """From its record. Returns the exit code."""
    output = Output()
    folder = folder_of(state_folder(environment), name)
    output.text(by_hand_of_run(folder, SecretStore(environment, output.redactor)))
    return RECOVERED
