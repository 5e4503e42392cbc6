"""Whether everything that may change something stands under a limit that a person wrote down (decision 0020)."""

from __future__ import annotations

from runbook.playbook.faults import Faults
from runbook.playbook.model import Effect, StepSpec

APPROVE = "approve"
"""The step type that asks a person."""


class Guarding:
    """Tells of the first changing step without ``guards:``, and of every step of unknown effect that nothing limits."""

    def __init__(self, guarded: bool, faults: Faults) -> None:
        self._guarded = guarded
        self._faults = faults
        self._told = False

    def check(self, steps: tuple[StepSpec, ...], *, approved: bool = False) -> None:
        """``steps`` is one list in reading order; ``approved`` says that a person was asked before it begins."""
        if self._guarded:
            return
        for step in steps:
            if step.uses:
                self._check_one(step, approved)
            self.check(step.steps, approved=approved)
            self.check(step.on_failure)  # it is run as well where the person said no
            self.check(step.finally_)
            approved = approved or _always_asks(step)

    def _check_one(self, step: StepSpec, approved: bool) -> None:
        if not step.guarded:
            return
        if step.effect is Effect.CHANGE and not self._told:
            self._told = True
            message = f"{step.uses} changes the cluster, but the playbook has no guards"
            self._faults.add(step.mark, message, "Add guards: { max_changes: 1, never_worse: true }.")
        if step.effect is Effect.UNKNOWN and not approved:
            message = f"what {step.uses} does is not known, and nothing limits it"
            self._faults.add(step.mark, message, "Add effect: read if it only reads; else guards, or an approve step.")


def _always_asks(step: StepSpec) -> bool:
    return step.uses == APPROVE and step.condition is None and step.for_each is None and not step.continue_on_failure
