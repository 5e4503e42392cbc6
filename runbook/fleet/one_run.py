"""One run of a fleet on one cluster: the session that `runbook execute` would have, by whoever has its credentials."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

from runbook.clock import Clock
from runbook.cluster.choice import ClusterChoice
from runbook.dataclass import dataclass
from runbook.engine.execute import Ending
from runbook.errors import NotStartedError, RunbookError
from runbook.exit_codes import INTERRUPTED, exit_code_of_ending, exit_code_of_error
from runbook.fleet.requests import INTERRUPTION, NOT_STARTED, ClusterRunRequest, ClusterRunResult
from runbook.inspection.check_look import one_line
from runbook.redaction import Redactor
from runbook.report.tracing import open_tracing
from runbook.session.cluster_lock import FarLock
from runbook.session.interrupts import RunInterrupts, SignalInterrupts
from runbook.session.open_run import RunRequest, open_run, plan_of
from runbook.session.run_session import EventWriter, RunOptions, RunSession
from runbook.steps.context import Agreement

Begin = Callable[[str, str], None]
"""Called with the name and the folder of a run when it has a record, and nothing was asked of any server."""


@dataclass(frozen=True)
class FleetOperator:
    """Whoever began the fleet, and how they agreed to all of it. Nobody sits beside one run of many."""

    name: str
    agreed: str

    def approve(self, _sentence: str, _seconds: float) -> Agreement | None:
        """Nothing where nobody agreed beforehand."""
        return Agreement(self.name, f"{self.agreed}, for a whole fleet") if self.agreed else None

    def choose(self, _question: str, _answers: tuple[str, ...]) -> str | None:
        """A choice is of one cluster: it is made there."""
        return None

    would_approve, would_choose = approve, choose


def run_on_cluster(
    request: ClusterRunRequest,
    environment: Mapping[str, str],
    clock: Clock,
    *,
    inventory: str | None = None,
    begin: Begin = lambda _run, _folder: None,
    write: EventWriter = lambda _event: None,
    interrupts: RunInterrupts | None = None,
    far_lock: FarLock | None = None,
) -> ClusterRunResult:
    """Do it here, with this machine's inventory, and tell how it ended; no secret is in what is told.

    Whatever kept it from its beginning or its end is a result too. ``interrupts`` are those of whoever does several;
    without them the run heeds the signals of this process, and must be in its main thread. ``far_lock`` is shared with
    other hosts.
    """
    redactor, began = Redactor.of(environment), clock.monotonic()
    signals, run, folder = interrupts or SignalInterrupts(), "", ""
    try:
        with signals.caught(), contextlib.ExitStack() as stack:
            with signals.allowed():
                own = _own(request, inventory)
                if request.digest and plan_of(own, environment, clock, redactor).playbook.digest != request.digest:
                    raise NotStartedError(f"{request.playbook} is not the text with which the fleet was begun")
                session = stack.enter_context(open_run(own, environment, clock, redactor))
            begin(session.plan.run, str(session.folder))
            run, folder = session.plan.run, str(session.folder)
            ending = _run(session, FleetOperator(request.who, request.agreed), write, signals, far_lock)
            outcome, code = ending.kind.removeprefix("run."), exit_code_of_ending(ending)
            sentence = ending.message
    except (RunbookError, OSError, KeyboardInterrupt) as error:
        code = exit_code_of_error(error)
        outcome = INTERRUPTION if code == INTERRUPTED else "failed" if run else NOT_STARTED
        sentence = one_line(error) or "interrupted before its first step"
    told = " ".join(str(redactor.hide(sentence)).split())
    took = round(clock.monotonic() - began, 3)
    return ClusterRunResult(request.cluster, outcome, told, code, run, folder, took)


def _own(request: ClusterRunRequest, inventory: str | None) -> RunRequest:
    choice = ClusterChoice(request.cluster, inventory)
    options = RunOptions(choice, dry_run=request.dry_run, unattended=request.unattended)
    return RunRequest(request.playbook, request.params, options=options)


def _run(
    session: RunSession,
    operator: FleetOperator,
    write: EventWriter,
    signals: RunInterrupts,
    far_lock: FarLock | None,
) -> Ending:
    with open_tracing(session.environment, session.plan.run, session.plan.playbook.name, lambda _text: None) as traced:
        return session.run(operator, traced(write), signals, far_lock).ending
