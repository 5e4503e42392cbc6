"""What a process of the tool leaves behind: its record, and its name in the lock."""

from __future__ import annotations

from dataclasses import dataclass, field

from runbook.engine.execute import Ending
from runbook.events import RunCompleted
from runbook.raft.removal import Unsafe
from runbook.steps.base import RefusedError
from tests.simulation.invariants import Checks
from tests.simulation.tool import MemoryJournal


@dataclass
class Run:
    """What is left of one process of the tool.

    ``began_at`` is how many records its run had before; ``ending`` is None where it had none.
    """

    name: str
    host: str
    journal: MemoryJournal
    checks: Checks
    began_at: int = 0
    ending: Ending | None = None

    @property
    def may_go_on(self) -> bool:
        records = self.journal.records
        return bool(records) and records[-1]["kind"] != RunCompleted.kind

    def of_kind(self, kind: str) -> list[str]:
        """The peers of these events that this process wrote."""
        return [str(record["peer"]) for record in self.journal.records[self.began_at :] if record["kind"] == kind]


@dataclass
class Locks:
    """As the files of :mod:`runbook.journal.lock`: a holder that dies leaves its name, and is passed by name only."""

    held: dict[tuple[str, str], str] = field(default_factory=dict)
    died: set[str] = field(default_factory=set)

    def take(self, host: str, peers: frozenset[str], run: str, *, over: bool) -> None:
        holders = {self.held[host, peer] for peer in peers if (host, peer) in self.held} - {run}
        for holder in sorted(holders):
            if holder not in self.died or not over:
                raise RefusedError(Unsafe("Locked", f"{holder} holds this cluster", "Wait for it, or take over"))
        self.died.discard(run)  # it was gone on with: a lock of the living is never passed on
        self.held |= {(host, peer): run for peer in peers}

    def has(self, run: str) -> bool:
        return run in self.held.values()

    def free(self, run: str) -> None:
        self.held = {place: holder for place, holder in self.held.items() if holder != run}
