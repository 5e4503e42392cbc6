"""``runbook execute``, ``resume``, ``ack`` and ``stop``: a run on the command line, new or resumed. Each gives the
exit code and lets errors through: ``main`` reports them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from runbook.cli.output import Output
from runbook.cli.terminal import Person, Terminal, open_event_writer
from runbook.clock import Clock, SystemClock
from runbook.exit_codes import RECOVERED, REFUSED, exit_code_of_ending
from runbook.playbook.model import Playbook
from runbook.raft.diagnosis.findings import format_count
from runbook.report.summary import LABEL_WIDTH, format_summary
from runbook.report.tracing import open_tracing
from runbook.session.cluster_lock import remove_leftover_name
from runbook.session.interrupts import stop_process
from runbook.session.left_out import acknowledge_left_out
from runbook.session.open_run import RunRequest, open_run, user_name
from runbook.session.practice import format_practices, read_practices
from runbook.session.resume_run import acknowledge, open_resumed
from runbook.session.run_folders import folder_of, newest_to_resume, state_folder
from runbook.session.run_session import RunOptions, RunSession

READ_WITHIN = 5.0  # seconds for which a run waits for whoever reads its events: it holds the cluster meanwhile


def request_of(
    playbook: str | None, plan: str | None, params: Mapping[str, str], params_file: str | None, options: RunOptions
) -> RunRequest:
    """What was asked for on the command line. Raises NotStartedError where the plan is none."""
    if plan is None:
        return RunRequest(str(playbook), params, params_file, options)
    from runbook.session.saved_plans import load_plan

    held = load_plan(plan)
    return RunRequest(held.plan.playbook if playbook is None else playbook, params, params_file, options, held)


def execute_playbook(
    request: RunRequest, terminal: Terminal, environment: Mapping[str, str], clock: Clock | None = None
) -> int:
    """Run it, and print how it ended."""
    output = Output(patience=READ_WITHIN)
    with open_run(request, environment, clock or SystemClock(), output.redactor) as session:
        for warning in session.plan.playbook.warnings if request.options.dry_run and terminal.form == "text" else ():
            output.note(warning.render(), indent="")
        if terminal.form == "text":
            playbook = session.plan.playbook
            output.note(f"{playbook.name}: {practices_of(playbook, session.state_folder, session.clock)}", indent="")
        return _run(session, terminal, output)


def practices_of(playbook: Playbook, state: Path, clock: Clock) -> str:
    """How long ago it was rehearsed and proven, and whether in the text that it has now."""
    return format_practices(read_practices(state).get(playbook.name, {}), playbook.digest, clock.now())


def resume_run(
    name: str, options: RunOptions, terminal: Terminal, environment: Mapping[str, str], clock: Clock | None = None
) -> int:
    """Go on with it, and print how it ends now. For a run with no step left no server is asked."""
    state, output = state_folder(environment), Output(patience=READ_WITHIN)
    folder = newest_to_resume(state) if name == "last" else folder_of(state, name)
    with open_resumed(folder, options, environment, clock or SystemClock(), output.redactor) as run:
        if name == "last" and terminal.form == "text":
            output.note(f"runbook: resuming {folder.name}")
        if isinstance(run, RunSession):
            return _run(run, terminal, output)
        # A process that died between its ending and its release still stands in the lock; its record frees the next
        # run too.
        with contextlib.suppress(OSError):
            if left := remove_leftover_name(state, folder.name, run.peers):
                count = format_count(left, "server")
                output.note(f"runbook: removed its name from the lock of {count}, where it still stood")
        output.lines(format_summary(run, str(folder)), indent=LABEL_WIDTH)
        return REFUSED if run.ended_undecided else RECOVERED


def _run(session: RunSession, terminal: Terminal, output: Output) -> int:
    plan = session.plan
    with open_tracing(session.environment, plan.run, plan.playbook.name, output.note) as traced:
        with open_event_writer(terminal.form, session, output.err) as (write, pause):
            result = session.run(Person(user_name(session.environment), terminal, output, pause), traced(write))
        output.lines(["", *format_summary(result.state, str(result.folder))], indent=LABEL_WIDTH)
        if result.unsigned:
            output.note(f"runbook: the journal is not signed: {result.unsigned}")
    return exit_code_of_ending(result.ending)


def acknowledge_run(name: str, comment: str, environment: Mapping[str, str]) -> int:
    """A person has looked at this run: the cool-down of its cluster is over."""
    folder = folder_of(state_folder(environment), name)
    who = acknowledge(folder, comment, environment, SystemClock())
    Output().lines([f"{folder.name} acknowledged by {who}"])
    return RECOVERED


def acknowledge_server(name: str, cluster: str, comment: str, environment: Mapping[str, str]) -> int:
    """A person has made sure that a server which a recovery left out cannot come back with its old data."""
    who = user_name(environment)
    Output().lines(list(acknowledge_left_out(name, cluster, comment, who, environment, SystemClock())))
    return RECOVERED


def stop_run(name: str, environment: Mapping[str, str]) -> int:
    """End a run that is at work, as a signal would, and wait until it has ended."""
    folder = folder_of(state_folder(environment), name)
    stop_process(folder)
    what = f"{folder.name} is stopped; `runbook show {folder.name}` tells where, `runbook resume` goes on"
    Output().lines([what])
    return RECOVERED
