"""``runbook execute``, ``resume``, ``ack`` and ``stop``: a run, and what is said of it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from runbook.cli import exit_codes
from runbook.cli.running import Terminal, exit_code_of, run_and_show, say
from runbook.clock import Clock, SystemClock
from runbook.raft.diagnosis.findings import format_count
from runbook.report.screen import summary
from runbook.run_state import RunState
from runbook.session.cluster_lock import free_what_is_left
from runbook.session.open_run import RunRequest, open_run
from runbook.session.resume_run import acknowledge, open_resumed
from runbook.session.run_folders import folder_of, newest_to_resume
from runbook.session.run_session import RunOptions
from runbook.session.running_process import stop_process
from runbook.session.state_folder import state_folder


def execute_playbook(
    request: RunRequest, terminal: Terminal, environment: Mapping[str, str], clock: Clock | None = None
) -> int:
    """The exit code of the run; every way in which it may not even start is told on stderr."""

    def begin() -> int:
        with open_run(request, environment, clock or SystemClock()) as session:
            return run_and_show(session, terminal)

    return exit_code_of(begin)


def resume_run(
    name: str, options: RunOptions, terminal: Terminal, environment: Mapping[str, str], clock: Clock | None = None
) -> int:
    """The exit code of the run as it ends now. A run that was completed is told again, and no server is asked."""

    def go_on() -> int:
        state = state_folder(environment)
        folder = newest_to_resume(state) if name == "last" else folder_of(state, name)
        with open_resumed(folder, options, environment, clock or SystemClock()) as run:
            if name == "last" and terminal.form == "text":
                say(f"runbook: resuming {folder.name}", exit_codes.RECOVERED)
            return _show_again(folder, run) if isinstance(run, RunState) else run_and_show(run, terminal)

    return exit_code_of(go_on)


def _show_again(folder: Path, state: RunState) -> int:
    """All that may be left to do: a process that died between its ending and its release is still named in the lock."""
    with contextlib.suppress(OSError):  # its record frees the next run too
        if left := free_what_is_left(folder.parent.parent, folder.name, state.peers):
            say(f"runbook: its name still stood in the lock of {format_count(left, 'server')}, and is taken out", 0)
    print("\n".join(summary(state, str(folder))))
    return exit_codes.RECOVERED


def acknowledge_run(name: str, comment: str, environment: Mapping[str, str]) -> int:
    """A person has looked at this run: the cool-down of its cluster is over."""

    def look() -> int:
        folder = folder_of(state_folder(environment), name)
        who = acknowledge(folder, comment, environment, SystemClock())
        print(f"{folder.name} acknowledged by {who}")
        return exit_codes.RECOVERED

    return exit_code_of(look)


def stop_run(name: str, environment: Mapping[str, str]) -> int:
    """End a run that is at work, as a signal would, and wait until it has ended."""

    def stop() -> int:
        folder = folder_of(state_folder(environment), name)
        stop_process(folder)
        print(f"{folder.name} is stopped; `runbook show {folder.name}` tells where, `runbook resume` goes on")
        return exit_codes.RECOVERED

    return exit_code_of(stop)
