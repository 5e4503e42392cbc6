"""``by-hand.md`` in the folder of a run, and the same for a playbook: what a person does where the program does not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runbook.clock import seconds as now
from runbook.engine.plan import Plan, bind_plan
from runbook.errors import NoRunError, NotStartedError
from runbook.files import read_limited, replace_file
from runbook.playbook.parser import parse_playbook
from runbook.playbook.reader import MAX_BYTES
from runbook.report.summary import BY_HAND
from runbook.run_state import RunState
from runbook.secrets import SecretStore
from runbook.session.run_folders import PLAYBOOK, UNREADABLE, read_run, why_unreadable
from runbook.steps.registry import CATALOG

SHARE = 50  # a step waits for its page for no more than one part in so many of the time
STEPS_END = frozenset({"step.completed", "step.failed", "step.skipped", "item.completed", "item.failed"})
Record = Mapping[str, Any]


def by_hand_text(plan: Plan, state: RunState, *, kind: str, folder: str = "", at: str = "") -> str:
    """The page. ``folder`` is that of the run and ``at`` its newest event; of a playbook alone there is neither."""
    from runbook.engine.by_hand import hand_plan
    from runbook.report.by_hand import format_by_hand

    return format_by_hand(hand_plan(plan, state, kind=kind, folder=folder, at=at))


def by_hand_of_run(folder: Path, secret_store: SecretStore) -> str:
    """What is left of a run, from its record alone. Raises NoRunError, PlaybookError or NotStartedError."""
    try:
        record, state = read_run(folder)
        text = read_limited(folder / PLAYBOOK, MAX_BYTES)
    except UNREADABLE as error:
        raise NoRunError(why_unreadable(error)) from None
    if state.started is None:
        raise NotStartedError(f"{folder.name} has no beginning: nothing was started")
    path = str(state.started.get("path") or folder / PLAYBOOK)
    plan = bind_plan(parse_playbook(text, path, CATALOG), folder.name, state.started["params"])
    secret_store.foresee(plan.playbook.secrets)
    kind, at = kind_of(str(state.started["cluster"])), str(record.events[-1]["at"])
    return by_hand_text(plan, state, kind=kind, folder=str(folder), at=at)


def kind_of(cluster: str) -> str:
    """The product, of a cluster's name as records have it."""
    return cluster.partition(":")[0]


class ByHandFile:
    """Keeps the page of a run that may change something. Whatever fails here changes nothing of that run."""

    def __init__(self, plan: Plan, kind: str, folder: Path, hide: Callable[[str], Any]) -> None:
        self._plan, self._kind, self._folder, self._hide = plan, kind, folder, hide
        self._next = 0.0

    def refresh(self, record: Record, state: RunState) -> None:
        """After each step; where steps are many and short, not after each, but after each removal and at the end."""
        kind = str(record["kind"])
        must = kind.startswith(("run.", "removal."))
        if not must and (kind not in STEPS_END or now() < self._next):
            return
        began = now()
        with contextlib.suppress(Exception):
            text = by_hand_text(
                self._plan, state, kind=self._kind, folder=str(self._folder), at=str(record.get("at", ""))
            )
            replace_file(self._folder / BY_HAND, str(self._hide(text)).encode("utf-8", "backslashreplace"))
        self._next = now() + SHARE * (now() - began)
