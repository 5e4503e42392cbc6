"""Runs a plan to one of its four endings. Whatever happens, the last event says where and why.

A run whose steps are all done is recovered, unless ``continue_on_failure`` led past a removal, or a voter is left that
nobody can call alive or dead.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from runbook.doors import shut_for_dry_run
from runbook.engine.open_changes import settle_open_changes
from runbook.engine.outcome import Failure, failure_of
from runbook.engine.plan import Plan
from runbook.engine.runner import PlaybookRunner
from runbook.engine.services import RunServices
from runbook.errors import RefusedError
from runbook.events import Emit, Event, RunCompleted, RunFailed, RunInterrupted, RunRefused
from runbook.raft.quorum import quorum
from runbook.raft.removal import Refusal
from runbook.raft.verdicts import UNDECIDED
from runbook.run_state import RunState

if TYPE_CHECKING:
    from runbook.engine.foretelling import Foretelling

Ending = RunCompleted | RunRefused | RunFailed | RunInterrupted
REMOVES, PROVES, FINDS = "raft.remove_peer", "raft.check_quorum", "raft.find_dead"


def execute(plan: Plan, services: RunServices, state: RunState) -> Ending:
    """Every step in reading order; those that ``state`` holds as finished are not done again.

    ``services.emit`` advances ``state``. Raises only what it raises: without a journal nothing may go on.
    """
    services = replace(services, emit=_or_nothing_goes_on(services.emit))
    foretelling = _foretelling(services, state) if services.dry_run else None
    services = foretelling.services if foretelling else services
    doors = shut_for_dry_run(services.folder, run_reads=services.run_reads) if foretelling else nullcontext()
    try:
        with doors:
            failure = _run(plan, services, state)
            ending = failure.ending if failure else ending_of(plan, state)
            if foretelling:
                foretelling.over()
            services.emit(ending)
    except RecordLostError as lost:
        raise lost.cause from None
    return ending


def _foretelling(services: RunServices, state: RunState) -> Foretelling:
    """Loaded in a dry run only: a recovery waits for nothing that it does not need."""
    from runbook.engine.foretelling import Foretelling

    return Foretelling(services, state)


class RecordLostError(BaseException):
    """No event can be written any more. Not an Exception: no handler of a step may catch it and go on."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _or_nothing_goes_on(emit: Emit) -> Emit:
    def sure(event: Event) -> None:
        try:
            emit(event)
        except Exception as error:
            raise RecordLostError(error) from error

    return sure


def _run(plan: Plan, services: RunServices, state: RunState) -> Failure | None:
    """What nobody saw the end of is settled before anything else is done, or nothing is."""
    try:
        with services.interrupts.allowed():
            done = settle_open_changes(plan.run, services, state)
    except (RefusedError, KeyboardInterrupt) as error:
        place = next((change.name for change in state.open_changes), state.step)
        return failure_of(place, error, keep_traceback=False)
    return PlaybookRunner(services, state, changes=plan.changes, done=done).run(plan)


def ending_of(plan: Plan, state: RunState) -> RunCompleted | RunFailed | RunRefused:
    """Where every step has ended, or failed and may be gone past."""
    return (
        _not_seen_done(plan, state)
        or _never_asked_for(state)
        or _undecided(plan, state)
        or RunCompleted(_summary(plan, state))
    )


def _not_seen_done(plan: Plan, state: RunState) -> RunFailed | None:
    """A removal that was asked for and not seen done: that is no recovery."""
    left = (state.asked | state.unsettled) - state.gone
    if not left:
        return None
    open_ = left & (state.unsettled | state.still_listed)
    again = f"`runbook resume {plan.run}`, which looks first" if open_ else "the playbook again"
    what = f"the removal of {_names(state, left)} was asked for and not seen done. Run runbook diagnose, then {again}"
    return RunFailed(_step_of(plan, REMOVES), "ambiguous" if open_ else "rejected", what)


def _never_asked_for(state: RunState) -> RunFailed | None:
    """Nor is one that was proven, and failed before it was asked for: the failure that came last is told."""
    places = [place for place, uses in state.uses.items() if uses == REMOVES and state.steps[place] == "failed"]
    left = _proven(state) - state.asked - state.gone
    if not places or not left:
        return None
    end = state.ends[places[-1]]
    fate = "was to be removed, and its removal" if len(left) == 1 else "were to be removed, and a removal"
    what = f"{_names(state, left)} {fate} failed before it was asked for: {end.message}"
    return RunFailed(places[-1], end.code or "rejected", f"{what}. Run runbook diagnose, then the playbook again")


def _proven(state: RunState) -> frozenset[str]:
    """Everybody whose removal was proven safe in this run, in a round or not."""
    outputs = [state.outputs[place] for place, uses in state.uses.items() if uses == PROVES and place in state.outputs]
    proofs = [proof for output in outputs for proof in output.get("results", [output])]
    return frozenset(item["id"] for proof in proofs for item in proof["removals"])


def _undecided(plan: Plan, state: RunState) -> RunRefused | None:
    """Where nothing was removed, *nothing to do* would be untrue beside a voter in trouble. A recovery stays one."""
    voters, left = state.now, state.undecided
    if state.gone or not left or voters is None or not _step_of(plan, REMOVES):
        return None
    found = "; ".join(f"{name} ({sign})" for name, sign in left.items())
    are = "is" if len(left) == 1 else "are"
    numbers = f"{voters.live_voters} of {voters.voters} are alive, {quorum(voters.voters)} are a quorum"
    sentence = (
        f"{len(left)} of {voters.voters} voters {are} neither proven alive nor proven dead, so nothing was removed: "
        f"{found}. {numbers}, and failure tolerance is {voters.tolerance}"
    )
    settled = "; ".join(f"{name}: {what}" for name, what in state.settled_by.items())
    refusal = Refusal(UNDECIDED, sentence, f"{settled}. Then run the playbook again")
    return RunRefused(_step_of(plan, FINDS) or _step_of(plan, REMOVES), refusal.code, str(refusal))


def _summary(plan: Plan, state: RunState) -> str:
    if state.gone:
        return "would recover the cluster" if state.dry_run else "recovered"
    if _step_of(plan, REMOVES) and not state.changes:
        return "nothing to do"
    return "done, as a dry run: nothing was changed" if state.dry_run else "done"


def _names(state: RunState, peers: frozenset[str]) -> str:
    return ", ".join(sorted(state.names.get(peer_id, peer_id) for peer_id in peers))


def _step_of(plan: Plan, uses: str) -> str:
    """The first step of this type; empty where there is none."""
    return next((step.id for step in plan.playbook.every_step() if step.uses == uses), "")
