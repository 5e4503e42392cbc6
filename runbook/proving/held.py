"""What became of the removals that were asked for: whether a server still holds one, and whether it was carried out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runbook.lab.virtual.links import Links
from runbook.lab.virtual.messages import SentRequest
from runbook.simulation.cluster import SimulatedCluster
from runbook.simulation.state import ProcessState

OPEN = ("asked", "unsettled", "still_listed")
SETTLED = ("removal.confirmed", "removal.failed", "removal.still_listed", "removal.unsettled", "removal.already_gone")


@dataclass(frozen=True)
class Asked:
    """One removal that a run sent, or was about to send."""

    run: str
    peer: str
    request: SentRequest


@dataclass
class Removals:
    """Of all runs of an incident, as the servers know it and no run can."""

    model: SimulatedCluster
    links: Links
    asked: list[Asked] = field(default_factory=list)
    promised: list[Asked] = field(default_factory=list)

    def held(self, run: str, peer: str | None = None) -> list[Asked]:
        """Those of a run, or those of one peer, that a server may yet carry out."""
        return [each for each in self.asked if each.run == run and peer in (None, each.peer) and self._may_yet(each)]

    def can_be_seen(self, asked: Asked) -> bool:
        """Whether a look shows that somebody may hold it: a server at work does so for less than anybody waits."""
        server = asked.request.server
        return server.running or (self.links.open(server.name) and server.name not in self.links.full)

    def by(self, run: str, peer: str) -> bool:
        """Whether a request of this run took the peer out."""
        return any(self._carried_out(each) for each in self.asked if (each.run, each.peer) == (run, peer))

    def promise(self, run: str, peer: str) -> None:
        """The run has said that nothing was changed by what it has asked for so far."""
        self.promised += [each for each in self.asked if (each.run, each.peer) == (run, peer)]

    def broken_promises(self) -> Iterator[str]:
        """To be asked at the end, when all that was held has been carried out, or never will be."""
        for each in self.promised:
            if self._carried_out(each):
                yield f"{each.run} said that nothing was changed, and its removal of {each.peer} was carried out"

    def _may_yet(self, asked: Asked) -> bool:
        request, server = asked.request, asked.request.server
        lives = server.process is not ProcessState.KILLED and server.life == request.life
        return request.sent and not request.over and lives

    def _carried_out(self, asked: Asked) -> bool:
        """Whether its entry is in a log, committed: it stays that for ever."""
        if asked.request.entry is None:
            return False
        term, index = asked.request.entry
        return any(
            server.committed >= index and len(server.log) >= index and server.log[index - 1].term == term
            for server in self.model.state.servers.values()
        )


def left_open(records: Sequence[Mapping[str, Any]]) -> str | None:
    """The peer whose removal the processes before asked for without anybody having seen its end."""
    open_intent: str | None = None
    for record in records:
        if record["kind"] == "removal.requested":
            open_intent = str(record["peer"])
        elif record["kind"] in SETTLED and record["kind"] != "removal.unsettled":
            open_intent = None
    return open_intent
