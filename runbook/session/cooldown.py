"""Which run changed this cluster lately without a person having looked at it since.

Nothing that lies on the disk holds a run up for longer than the cool-down, or without a way out that it names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from runbook.clock import Clock
from runbook.engine.plan import Plan
from runbook.errors import JournalError, RefusedError, TransitionError
from runbook.journal.store import read
from runbook.raft.removal import Refusal
from runbook.recorded import fold_recorded
from runbook.run_state import RunState
from runbook.session.run_folders import JOURNAL, began_at, run_folders
from runbook.steps.context import SetAside

LONGEST_RUN = timedelta(days=1)  # a run's folder is named after its beginning; its ending may be that much later
OVERRIDE = "or run with --override cooldown --reason TEXT"


class CooldownGuard:
    """After a change of a cluster the next one waits until a person has looked."""

    def __init__(self, plan: Plan, state: Path, set_aside: SetAside, clock: Clock) -> None:
        self._plan = plan
        self._state = state
        self._set_aside = set_aside
        self._clock = clock

    def check(self, peers: frozenset[str]) -> None:
        """Raises RefusedError while the last change of the cluster that has these peers is fresh."""
        if self._plan.cooldown <= 0 or not peers:
            return
        now = datetime.fromisoformat(self._clock.now())
        reason = refusal_in_cooldown(self._state, self._plan.run, peers, self._plan.cooldown, now)
        if reason is not None and not self._set_aside("cooldown", reason.sentence):
            raise RefusedError(reason)


def refusal_in_cooldown(state: Path, own: str, peers: frozenset[str], seconds: float, now: datetime) -> Refusal | None:
    """Why the run ``own`` must wait before it changes the cluster that has these ``peers``; of several, the newest."""
    cooldown = timedelta(seconds=seconds)
    oldest = (now - cooldown - LONGEST_RUN).astimezone(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    recent = [folder for folder in run_folders(state) if folder.name >= oldest and folder.name != own]
    reasons = (_refusal_in(folder, peers, cooldown, now) for folder in reversed(recent))
    return next((reason for reason in reasons if reason is not None), None)


def _refusal_in(folder: Path, peers: frozenset[str], cooldown: timedelta, now: datetime) -> Refusal | None:
    events: Sequence[Mapping[str, Any]] = ()
    try:
        events = read(folder / JOURNAL).events
        return _refusal_in_run(folder.name, fold_recorded(events), peers, cooldown, now)
    except JournalError as error:
        return _refusal_in_unreadable(folder, error.before, error, peers, cooldown, now)
    except (TransitionError, OSError) as error:
        return _refusal_in_unreadable(folder, events, error, peers, cooldown, now)


def _refusal_in_run(
    run: str, progress: RunState, peers: frozenset[str], cooldown: timedelta, now: datetime
) -> Refusal | None:
    if not progress.has_changed or progress.acknowledged or not progress.peers & peers:
        return None
    ago = now - datetime.fromisoformat(str(progress.ended["at"] if progress.ended else progress.changed_at))
    if abs(ago) >= cooldown:
        return None
    how = f"ended as {progress.state}" if progress.ended else "was cut off"
    sentence = f"{run} changed this cluster and {how} {_minutes(ago)} min ago, and nobody acknowledged it"
    look = f"Look at it (runbook show {run}), then runbook ack {run} --comment TEXT"
    return Refusal("CoolDown", sentence, f"{look}; {OVERRIDE}")


def _refusal_in_unreadable(
    folder: Path,
    events: Sequence[Mapping[str, Any]],
    error: Exception,
    peers: frozenset[str],
    cooldown: timedelta,
    now: datetime,
) -> Refusal | None:
    """What can still be read may tell that it was a dry run, or another cluster; else it may have been this one."""
    began = began_at(folder.name)
    claims = [event.get("peers") for event in events if event.get("kind") == "cluster.claimed"]
    claimed = {peer for claim in claims if isinstance(claim, list) for peer in claim if isinstance(peer, str)}
    of_another = bool(claimed) and not claimed & peers
    if began is None or abs(now - began) >= cooldown or of_another or any(event.get("dry_run") for event in events):
        return None
    what = f"the record of {folder.name}, which began {_minutes(now - began)} min ago, cannot be read"
    sentence = f"{what} ({error}), so it counts as a change of this cluster that nobody acknowledged"
    return Refusal("CoolDown", sentence, f"Examine {folder}, then move it elsewhere; {OVERRIDE}")


def _minutes(ago: timedelta) -> str:
    return f"{ago.total_seconds() / 60:.0f}"
