"""The signatures that a playbook or an inventory asks for, on a file that this run has written."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from runbook.errors import RefusedError, SettingsError
from runbook.playbook.types import format_duration

if TYPE_CHECKING:
    from runbook.approvals import Signature
    from runbook.steps.context import StepContext

PAUSE = 1.0  # seconds between two looks into the folder


def would_await_approvals(context: StepContext, path: str, within: float) -> str:
    """What a dry run tells of it."""
    rules = " and ".join(f"{rule.count} of {rule.by}" for rule in context.approvals)
    return f"would wait up to {format_duration(within)} for signatures on {path}: {rules}"


def await_approvals(context: StepContext, path: str, digest: str, within: float) -> str:
    """Who signed the file with this SHA-256 (hex), once all rules hold; on record, each with the key.

    Raises RefusedError where they do not in time, or where the allowed signers are not safe, and StepError.
    """
    from runbook.clock import wait
    from runbook.events import Approved, Waiting
    from runbook.raft.removal import Refusal
    from runbook.signatures import ApprovalDesk, executors_here

    desk, within, told = ApprovalDesk(), context.left(within), ""
    until = context.clock.monotonic() + within
    began_by = str((context.state.started or {}).get("who", "")).partition("@")[0]
    executors = executors_here(os.environ, began_by)
    newest: list[tuple[Signature, ...] | Refusal] = []

    def agreed() -> bool | None:
        nonlocal told
        try:
            now = datetime.fromisoformat(context.clock.now())
            newest[:] = [desk.judge(context.approvals, Path(path), digest, executors, now)]
        except SettingsError as error:
            raise RefusedError(Refusal("SignersUnsafe", error.sentence, error.next_action)) from None
        if isinstance(newest[0], Refusal) and str(newest[0]) != told:
            told = str(newest[0])
            left = max(0.0, until - context.clock.monotonic())
            context.emit(Waiting(context.step, round(left, 1), told))
        return None if isinstance(newest[0], Refusal) else True

    wait(context.clock, agreed, every=lambda *_: PAUSE, within=within)
    if isinstance(newest[0], Refusal):
        raise RefusedError(newest[0])
    for one in newest[0]:
        how = f"by the SSH key {one.key}, signed at {one.at:%Y-%m-%dT%H:%M:%SZ}"
        context.emit(Approved(context.step, str(one), how, f"{path}, SHA-256 {digest}"))
    return f"signed by {', '.join(map(str, newest[0]))}"
