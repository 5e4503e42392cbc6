"""What only a person can tell of a run that is gone on with: whether a change whose end nobody saw was made.

Asked before anything else is done, each time until it is answered; the answer is on record.
"""

from __future__ import annotations

import re
import shlex

from runbook.changes import ANSWERS, TOLD_BY_A_LOOK, Change, ChangeAnswered, Key
from runbook.engine.services import RunServices
from runbook.errors import RefusedError
from runbook.playbook.model import StepSpec
from runbook.raft.removal import Refusal
from runbook.run_state import RunState
from runbook.steps.registry import CATALOG

_PROCESS = re.compile(r"~\d+\.")


def without_process_number(place: str) -> str:
    """The place of a step as every process of the run has it: those of handlers hold the number of the process."""
    return _PROCESS.sub("", place)


def settle_open_changes(run: str, services: RunServices, state: RunState) -> frozenset[Key]:
    """The changes of earlier processes that are done by a person's word.

    Raises RefusedError, and then nothing may be done.
    """
    done = {(without_process_number(change.step), change.item) for change in state.changes if change.state == "done"}
    unanswered = []
    for change in state.open_changes:
        answer, how = services.answers.get(change.name), "--answer"
        if answer is None and change.uses in TOLD_BY_A_LOOK:
            continue
        if answer is None:
            answer, how = services.choose(_question(change), ANSWERS), "at the terminal"
        if answer is None:
            unanswered.append(change)
            continue
        services.emit(ChangeAnswered(change.step, change.item, answer, how))
        if answer == "stop":
            what = f"a person said stop: {_format_open_change(change)}"
            raise RefusedError(Refusal("Stopped", what, _next_action(run, [change])))
        if answer == "done":
            done.add((without_process_number(change.step), change.item))
    if unanswered:
        raise RefusedError(
            Refusal("CannotTell", "; ".join(map(_format_open_change, unanswered)), _next_action(run, unanswered))
        )
    return frozenset(done)


def _question(change: Change) -> str:
    """With what the step type says about finding out."""
    found = f" {CATALOG[change.uses].observe}" if change.uses in CATALOG else ""
    return f"{_format_open_change(change)}.{found}\nWas it done?"


def _format_open_change(change: Change) -> str:
    return f"step {change.name} ({change.uses}) was begun at {change.at}, and its end was not seen"


def _next_action(run: str, changes: list[Change]) -> str:
    given = " ".join(f"--answer {shlex.quote(change.name)}=WORD" for change in changes)
    words = "done (it was made), again (it was not: make it) or stop"
    return f"Find out, then type runbook resume {run} {given}, where WORD is {words}"


def left_open(state: RunState, spec: StepSpec, place: str, prefix: str) -> bool:
    """Whether a removal in it, past which an earlier process went on, may yet be done: that is looked at again."""
    steps = [removal.step for removal in state.removals if removal.may_yet_be_done]
    within = {prefix + step.id for step in spec.inner()} if steps else set()
    return any(step in within or step.startswith((f"{place}.", f"{place}/")) for step in steps)
