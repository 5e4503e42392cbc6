"""Every door that a run may use, in one frozen value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runbook.clock import Clock
from runbook.cluster.port import Cluster
from runbook.events import Emit
from runbook.secrets import Redactor, Vault
from runbook.steps.base import Agreement, Choose, SetAside

AGREE_WITHIN = 600.0  # seconds a person may take to agree to the first change


@dataclass(frozen=True)
class World:
    """``claim`` holds the cluster that has these peers, ``may_change`` is asked once before the first change.

    Both raise :class:`runbook.steps.base.RefusedError`.

    ``approve`` is asked before the first change, and by the step of that name: who said yes to this sentence within so
    many seconds, or None. ``answers`` are a person's words, given beforehand, on the changes of a run that is gone on
    with, by their names.
    """

    cluster: Cluster
    clock: Clock
    emit: Emit
    folder: Path
    chance: Callable[[], float]
    approve: Callable[[str, float], Agreement | None]
    dry_run: bool
    keep_tracebacks: bool
    claim: Callable[[frozenset[str]], None] = lambda _peers: None
    may_change: Callable[[], None] = lambda: None
    choose: Choose = lambda _question, _answers: None
    set_aside: SetAside = lambda _guard, _refusal: False
    answers: Mapping[str, str] = field(default_factory=dict)
    vault: Vault = field(default_factory=lambda: Vault({}, Redactor()))
