"""What a new run and a resumed one share: the journal first, then what is shown; the questions; the last lines."""

from __future__ import annotations

import contextlib
import os
import random
import select
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from runbook.cli import exit_codes
from runbook.cli.claim import Claim, Override
from runbook.cli.interrupts import Interrupts
from runbook.cli.telling import Telling, Write, painted, telling
from runbook.clock import Clock, SystemClock
from runbook.cluster.port import Cluster
from runbook.engine.execute import Ending, World, execute
from runbook.engine.plan import Plan
from runbook.engine.resume import NOTHING_YET
from runbook.events import Emit, Event
from runbook.journal.store import Journal, read
from runbook.progress import RunProgress, fold
from runbook.report.screen import summary

ANSWER_WITHIN = 600.0  # seconds a person may take to answer


@dataclass(frozen=True)
class Manner:
    """How a run is told and asked about. ``form`` is how events are told while it goes on: text, json or none."""

    dry_run: bool = False
    ask: bool = False
    form: str = "text"
    verbose: bool = False
    override: Override = field(default_factory=Override)


class NotStartedError(Exception):
    """Something outside the cluster forbids the run: nothing was asked of anybody."""


def told(text: str, code: int) -> int:
    """One sentence on stderr, and the exit code."""
    print(text, file=sys.stderr)
    return code


def person() -> str:
    """Behind sudo it is the person that counts; a container may have no name for its user."""
    user = os.environ.get("SUDO_USER") or os.environ.get("LOGNAME") or f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def conduct(
    plan: Plan, cluster: Cluster, manner: Manner, state: Path, journal: Journal, first: Event, past: RunProgress | None
) -> int:
    """Run, or go on, to an ending; the exit code. ``first`` is what the journal is told before anything happens."""
    clock, interrupts, who = SystemClock(), Interrupts(), person()
    folder = state / "runs" / plan.run
    with interrupts.caught(), telling(manner.form, plan.run) as tell:
        emit = _emitting(journal, clock, interrupts, tell.write)
        claim = Claim(plan, state, who, emit, manner.override, clock)
        emit(first)
        ending = execute(plan, _world(cluster, clock, emit, folder, manner, claim, tell), past or NOTHING_YET)
    claim.release()  # whoever dies before this leaves its name in the lock
    return _ended(ending, folder)


def _world(
    cluster: Cluster, clock: Clock, emit: Emit, folder: Path, manner: Manner, claim: Claim, tell: Telling
) -> World:
    who = person()

    def answer(question: str, answers: tuple[str, ...]) -> str | None:
        with tell.aside():
            return _answer(question, answers)

    return World(
        cluster=cluster,
        clock=clock,
        emit=emit,
        folder=folder,
        chance=random.random,
        approve=lambda: _agreed(who, answer) if manner.ask else "",
        dry_run=manner.dry_run,
        keep_tracebacks=manner.verbose,
        claim=claim.hold,
        may_change=claim.refuse_in_cooldown,
        choose=answer if manner.ask else lambda _question, _answers: None,
    )


def _emitting(journal: Journal, clock: Clock, interrupts: Interrupts, write: Write) -> Emit:
    """Journal first; what is shown comes after, and a terminal that went away does not end the run."""

    def emit(event: Event) -> None:
        with interrupts.held():
            record = {"at": clock.now(), **event.record()}
            journal.append(record)
            with contextlib.suppress(OSError, ValueError):
                write(record)

    return emit


# -- the person at the terminal


def _agreed(who: str, ask: Callable[[str, tuple[str, ...]], str | None]) -> str | None:
    """Who said yes at this terminal; nobody, when the answer is another or does not come in time."""
    return who if ask("Remove what is named above, one after the other?", ("y", "N")) == "y" else None


def _answer(question: str, answers: tuple[str, ...]) -> str | None:
    """One of the answers, as typed; None for any other, and after ten minutes of silence."""
    print(f"{question} [{'/'.join(answers)}] ", end="", file=sys.stderr, flush=True)
    ready, _, _ = select.select([sys.stdin], [], [], ANSWER_WITHIN)
    answer = sys.stdin.readline().strip().lower() if ready else ""
    answer = {"yes": "y"}.get(answer, answer)
    return answer if answer in answers else None


def _ended(ending: Ending, folder: Path) -> int:
    with contextlib.suppress(OSError):  # the record says it too
        lines = ["", *summary(fold(read(folder / "journal.jsonl").events), str(folder))]
        print(painted("\n".join(lines), sys.stdout), flush=True)
    return exit_codes.of(ending)
