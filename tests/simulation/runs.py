"""What a process of the tool leaves behind: its record, and its name in the lock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from runbook.cluster_events import ClusterClaimed
from runbook.engine.execute import Ending
from runbook.errors import RefusedError
from runbook.events import RunCompleted
from runbook.proving.claims import ENDINGS
from runbook.raft.removal import Refusal
from runbook.run_state import fold
from tests.simulation.commands import Commands
from tests.simulation.invariants import IncidentChecks
from tests.simulation.tool import MemoryJournal


@dataclass
class Run:
    """What is left of one process of the tool.

    ``began_at`` is how many records its run had before; ``ending`` is None where it had none.
    """

    name: str
    host: str
    journal: MemoryJournal
    checks: IncidentChecks
    commands: Commands
    began_at: int = 0
    ending: Ending | None = None

    @property
    def may_go_on(self) -> bool:
        records = self.journal.records
        return bool(records) and records[-1]["kind"] != RunCompleted.kind and not self.journal.state.ended_undecided

    def unknown_at_the_end(self) -> frozenset[str]:
        """The servers that its last look calls unknown, and its summary too."""
        looks = [record["verdicts"] for record in self.journal.records if record["kind"] == "cluster.looked"]
        last = looks[-1] if looks else {}
        return frozenset(name.partition(".")[0] for name, verdict in last.items() if verdict == "unknown")

    def of_kind(self, kind: str) -> list[str]:
        """The peers of these events that this process wrote."""
        return [str(record["peer"]) for record in self.journal.records[self.began_at :] if record["kind"] == kind]


@dataclass
class Locks:
    """As the files of :mod:`runbook.journal.lock`: a holder that dies leaves its name until it is passed or wiped.

    ``record_of`` gives the record of a run as it stands, ``violated`` is told of a run that is barred for no reason.
    """

    record_of: Callable[[str], list[dict[str, Any]]]
    violated: Callable[[str, str], None]
    held: dict[tuple[str, str], str] = field(default_factory=dict)
    died: set[str] = field(default_factory=set)
    taken: dict[str, frozenset[str]] = field(default_factory=dict)  # by the process of this run that is at work

    def take(self, host: str, peers: frozenset[str], run: str, *, over: bool) -> None:
        holders = {self.held[host, peer] for peer in peers if (host, peer) in self.held} - {run}
        for holder in sorted(holders):
            if holder not in self.died or not (over or fold(self.record_of(holder)).released):
                self._look_for_a_reason(run, holder)
                raise RefusedError(Refusal("Locked", f"{holder} holds this cluster", "Wait for it, or take over"))
        self.died.discard(run)  # it was gone on with: a lock of the living is never passed on
        self.taken[run] = peers
        self.held |= {(host, peer): run for peer in peers}

    def dies(self, run: str) -> None:
        self.died.add(run)
        self.taken.pop(run, None)

    def _look_for_a_reason(self, run: str, holder: str) -> None:
        if holder in self.died and self.record_of(holder)[-1]["kind"] in ENDINGS:
            self.violated("I8", f"{run} is barred by {holder}, which has its ending and died before its release")

    def has(self, run: str) -> bool:
        """Whether its process that is at work took it; the name of one that died is no lock."""
        return run in self.taken

    def free(self, run: str) -> None:
        """What this process took, and what earlier ones claimed by the record."""
        records = self.record_of(run)
        freed = self.taken.pop(run, frozenset()) | fold(records).peers
        self.held = {place: holder for place, holder in self.held.items() if holder != run or place[1] not in freed}
        self.died.discard(run)
        claimed = {peer for record in records if record["kind"] == ClusterClaimed.kind for peer in record["peers"]}
        if any(holder == run and peer in claimed for (_, peer), holder in self.held.items()):
            self.violated("I8", f"{run} is over, and its name still stands in the lock")
