"""What a new run and a resumed one share: the journal first, then what is shown; the questions; the last lines."""

from __future__ import annotations

import contextlib
import os
import random
import select
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runbook.cli import exit_codes
from runbook.cli.claim import Claim, Override
from runbook.cli.interrupts import Interrupts
from runbook.clock import Clock, SystemClock
from runbook.cluster.hashicorp import HashiCorpCluster
from runbook.engine.execute import Ending, execute
from runbook.engine.plan import Plan
from runbook.engine.resume import NOTHING_YET
from runbook.engine.world import AGREE_WITHIN, World
from runbook.events import Emit, Event
from runbook.journal.store import Journal, read
from runbook.progress import RunProgress, fold
from runbook.report.screen import Screen, summary
from runbook.secrets import Redactor, Vault

Write = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Manner:
    """How a run is told and asked about. ``form`` is how events are told while it goes on: text, json or none."""

    dry_run: bool = False
    ask: bool = False
    yes: bool = False
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
    plan: Plan,
    cluster: HashiCorpCluster,
    manner: Manner,
    state: Path,
    journal: Journal,
    first: Event,
    past: RunProgress | None,
) -> int:
    """Run, or go on, to an ending; the exit code. ``first`` is what the journal is told before anything happens."""
    clock, interrupts, who = SystemClock(), Interrupts(), person()
    folder = state / "runs" / plan.run
    redactor = Redactor()
    vault = Vault(os.environ, redactor)
    vault.foresee(plan.playbook.secrets)
    for secret in cluster.secrets:
        redactor.learn(secret)
    with interrupts.caught():
        emit = _emitting(journal, redactor, clock, interrupts, _writer(manner, plan.run))
        claim = Claim(plan, state, who, emit, manner.override, clock)
        emit(first)
        ending = execute(plan, _world(cluster, clock, emit, folder, manner, claim, vault), past or NOTHING_YET)
    claim.release()  # whoever dies before this leaves its name in the lock
    return _ended(ending, folder)


def _world(
    cluster: HashiCorpCluster, clock: Clock, emit: Emit, folder: Path, manner: Manner, claim: Claim, vault: Vault
) -> World:
    who = person()
    return World(
        cluster=cluster,
        clock=clock,
        emit=emit,
        folder=folder,
        chance=random.random,
        approve=lambda sentence, seconds: _agreed(who, sentence, seconds) if manner.ask else "",
        dry_run=manner.dry_run,
        keep_tracebacks=manner.verbose,
        claim=claim.hold,
        may_change=claim.refuse_in_cooldown,
        choose=_answer if manner.ask else _nobody,
        agree=lambda sentence, seconds: _may_go_on(manner, who, sentence, seconds),
        vault=vault,
    )


def _emitting(journal: Journal, redactor: Redactor, clock: Clock, interrupts: Interrupts, write: Write) -> Emit:
    """Journal first, with no secret in it; what is shown comes after, and a lost terminal does not end the run."""

    def emit(event: Event) -> None:
        with interrupts.held():
            record = {"at": clock.now(), **redactor.hide(event.record())}
            journal.append(record)
            with contextlib.suppress(OSError, ValueError):
                write(record)

    return emit


def _writer(manner: Manner, run: str) -> Write:
    if manner.form == "none":
        return lambda _record: None
    if manner.form == "json":
        from runbook.report.log import json_log

        return json_log(sys.stderr, run)
    screen = Screen()

    def show(record: Mapping[str, Any]) -> None:
        for line in screen.lines(record):
            print(line, file=sys.stderr, flush=True)

    return show


# -- the person at the terminal


def _agreed(who: str, sentence: str, seconds: float) -> str | None:
    """Who said yes at this terminal; nobody, when the answer is another or does not come in time."""
    return who if _answer(sentence, ("y", "N"), seconds) == "y" else None


def _may_go_on(manner: Manner, who: str, sentence: str, seconds: float) -> str | None:
    """For the step ``approve``: without a terminal only ``--yes`` agrees, given beforehand and in general."""
    if manner.ask:
        return _agreed(who, sentence, seconds)
    return f"{who} (--yes)" if manner.yes else None


def _answer(question: str, answers: tuple[str, ...], seconds: float = AGREE_WITHIN) -> str | None:
    """One of the answers, as typed; None for any other, and after so many seconds of silence."""
    print(f"{question} [{'/'.join(answers)}] ", end="", file=sys.stderr, flush=True)
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    answer = sys.stdin.readline().strip().lower() if ready else ""
    answer = {"yes": "y"}.get(answer, answer)
    return answer if answer in answers else None


def _nobody(_question: str, _answers: tuple[str, ...]) -> None:
    """Without a terminal there is no person to ask."""


def _ended(ending: Ending, folder: Path) -> int:
    with contextlib.suppress(OSError):  # the record says it too
        print("\n".join(["", *summary(fold(read(folder / "journal.jsonl").events), str(folder))]), flush=True)
    return exit_codes.of(ending)
