"""Whether enough people have signed the plan that a run is held to."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from runbook.errors import RefusedError, SettingsError
from runbook.playbook.approval_rule import ApprovalRule
from runbook.raft.removal import Refusal
from runbook.run_state import RunState
from runbook.session.saved_plans import HeldPlan
from runbook.shipped_playbooks import FOLDER
from runbook.signatures import ApprovalDesk, executors_here
from runbook.steps.context import Agreement


def require_signatures(
    rules: tuple[ApprovalRule, ...],
    held: HeldPlan | None,
    state: RunState,
    folder: Path,
    environment: Mapping[str, str],
    now: str,
) -> tuple[Agreement, ...]:
    """Who they are, each with the key; ``folder`` is the run's. Raises RefusedError for one of the six reasons against,
    or for unsafe signers.
    """
    if held is None:
        raise RefusedError(_without_plan(rules, _words_of(state.started or {})))
    began_by = str((state.started or {}).get("who", "")).partition("@")[0]
    executors = executors_here(environment, began_by)
    try:
        judged = ApprovalDesk(folder).judge(rules, held.path, held.plan.digest, executors, datetime.fromisoformat(now))
    except SettingsError as error:
        raise RefusedError(Refusal("SignersUnsafe", error.sentence, error.next_action)) from None
    if isinstance(judged, Refusal):
        raise RefusedError(judged)
    return tuple(
        Agreement(str(one), f"by the SSH key {one.key}, signed at {one.at:%Y-%m-%dT%H:%M:%SZ}") for one in judged
    )


def _words_of(started: Mapping[str, Any]) -> str:
    """By which its plan is made: the playbook, by its name where that is a shipped one, and the cluster."""
    playbook, path = str(started.get("playbook", "PLAYBOOK")), str(started.get("path") or "")
    named = shlex.quote(playbook if path.startswith(FOLDER) else path or playbook)
    cluster = str(started.get("cluster", "")).partition(":")[2]
    return f"{named} --cluster {shlex.quote(cluster)}" if started.get("inventory") else named


def _without_plan(rules: tuple[ApprovalRule, ...], playbook: str) -> Refusal:
    needed = " and ".join(f"{rule.count} {'person' if rule.count == 1 else 'people'} of {rule.by}" for rule in rules)
    sentence = f"a plan of this run must be signed by {needed}, and it was begun without one"
    steps = f"runbook plan {playbook} -o plan.json; have them run runbook approve plan.json"
    return Refusal("NoApproval", sentence, f"{steps}; then runbook execute --plan plan.json")
