"""What is learned of one server outside of the looks: a person's word, and a port that opened between two of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from runbook.events import Event
from runbook.raft.model import ClusterView


@dataclass(frozen=True)
class ConfirmedOff(Event):
    """A person says of one server, by its name, that it is off, and how they know. It holds for this process alone."""

    kind = "server.confirmed_off"
    name: str
    who: str
    because: str


@dataclass(frozen=True)
class PortOpened(Event):
    """Between two looks a port accepted of a server that looked dead in the first: it comes and goes.

    ``view`` holds just that, as a look without a leader, for this process alone.
    """

    kind: ClassVar[str] = "server.port_opened"
    step: str
    name: str
    address: str
    view: ClusterView | None = field(default=None, compare=False, repr=False)

    def record(self) -> dict[str, Any]:
        return {"kind": self.kind, "step": self.step, "name": self.name, "address": self.address}
