"""What a new run and a resumed one share: the journal first, then what is shown; the last lines."""

from __future__ import annotations

import contextlib
import os
import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runbook.cli import exit_codes
from runbook.cli.claim import Claim, Override
from runbook.cli.interrupts import Interrupts
from runbook.cli.person import Asking, person
from runbook.cli.telling import Write, fitted, telling
from runbook.clock import Clock, SystemClock
from runbook.cluster.hashicorp import HashiCorpCluster
from runbook.engine.execute import Ending, execute
from runbook.engine.plan import Plan
from runbook.engine.services import RunServices
from runbook.events import Emit, Event
from runbook.journal.store import Journal
from runbook.report.screen import LABEL_WIDTH, summary
from runbook.run_state import RunState
from runbook.secrets import Redactor, Vault


@dataclass(frozen=True)
class Manner:
    """How a run is told and asked about. ``form`` is how events are told while it goes on: text, json or none.

    ``answers`` are a person's words on changes whose end was not seen, by their names.
    """

    dry_run: bool = False
    at_terminal: bool = False
    yes: bool = False
    form: str = "text"
    verbose: bool = False
    override: Override = field(default_factory=Override)
    answers: Mapping[str, str] = field(default_factory=dict)


def told(text: str, code: int) -> int:
    """One sentence on stderr, and the exit code."""
    print(text, file=sys.stderr)
    return code


def conduct(
    plan: Plan,
    cluster: HashiCorpCluster,
    manner: Manner,
    state: Path,
    journal: Journal,
    first: Event,
    run_state: RunState,
) -> int:
    """Run, or resume, to an ending; the exit code. ``first`` is what the journal is told before anything happens."""
    clock, interrupts = SystemClock(), Interrupts()
    folder = state / "runs" / plan.run
    redactor = _knowing(cluster)
    vault = Vault(os.environ, redactor)
    vault.foresee(plan.playbook.secrets)
    claimed_before = run_state.peers
    with interrupts.caught(), telling(manner.form, plan.run) as tell:
        emit = _emitting(journal, run_state, redactor, clock, interrupts, tell.write)
        claim = Claim(plan, state, person(), emit, manner.override, clock)
        with interrupts.allowed():
            emit(first)
        asking = Asking(manner.at_terminal, manner.yes, tell.aside)
        services = RunServices(
            cluster=cluster,
            clock=clock,
            emit=emit,
            folder=folder,
            random_fraction=random.random,
            approve=asking.approve,
            dry_run=manner.dry_run,
            keep_tracebacks=manner.verbose,
            check_free=claim.check_free,
            acquire=claim.acquire,
            check_cooldown=claim.check_cooldown,
            choose=asking.choose,
            set_aside=claim.set_aside,
            answers=manner.answers,
            vault=vault,
            interrupts=interrupts,
        )
        ending = execute(plan, services, run_state)
    with contextlib.suppress(OSError):  # then its name stays in the lock, and the next run is told
        claim.release(claimed_before)
    return _ended(ending, run_state, folder)


def _knowing(cluster: HashiCorpCluster) -> Redactor:
    redactor = Redactor()
    for secret in cluster.secrets:
        redactor.learn(secret)
    return redactor


def _emitting(
    journal: Journal, state: RunState, redactor: Redactor, clock: Clock, interrupts: Interrupts, write: Write
) -> Emit:
    """The journal first, with no secret in it, then the state; a lost terminal does not end the run."""

    def emit(event: Event) -> None:
        with interrupts.held():
            record = {"at": clock.now(), **redactor.hide(event.record())}
            journal.append(record, durable=event.durable)
            state.apply(record, view=getattr(event, "view", None), moment=clock.monotonic())
            with contextlib.suppress(OSError, ValueError):
                write(record)

    return emit


def _ended(ending: Ending, state: RunState, folder: Path) -> int:
    with contextlib.suppress(OSError):  # the record says it too
        print(fitted(["", *summary(state, str(folder))], sys.stdout, LABEL_WIDTH), flush=True)
    return exit_codes.of(ending)
