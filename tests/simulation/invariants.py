"""The checks of :mod:`runbook.proving.checks` on one process of an incident, which is suspended at times too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runbook.engine.plan import Plan
from runbook.proving.checks import Checks
from runbook.proving.demands import Demands
from runbook.proving.truth import Transcript, Truth
from runbook.raft.model import Peer
from tests.simulation.faults import CommandTrial, RequestFault


class IncidentChecks(Checks):
    """``inject_fault`` is what befalls a removal, and whom it is to remove."""

    def __init__(
        self,
        truth: Truth,
        transcript: Transcript,
        plan: Plan,
        who: str,
        *,
        dry_run: bool,
        token: str,
        holds_lock: Callable[[], bool],
        inject_fault: Callable[[RequestFault | None, Peer], None],
        past: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        confirm_for, looks = float(str(plan.params["confirm_for"])), int(str(plan.params["looks"]))
        demands = Demands(confirm_for, looks, plan.policy.min_voters)
        super().__init__(
            truth, transcript, demands, who, dry_run=dry_run, token=token, holds_lock=holds_lock, past=past
        )
        self._inject_fault = inject_fault

    def suspended(self, seconds: float) -> None:
        """It stands still for so long, which is no time of its own."""
        self._transcript.happened(CommandTrial.SUSPENDED.value, f"for {seconds:.0f} s")
        self._began, self._spoke = self._began + seconds, self._spoke + seconds

    def inject_fault(self, fault: RequestFault | None) -> None:
        self._inject_fault(fault, self._target)
