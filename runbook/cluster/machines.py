"""Which ports a look tries: every peer's own, and those that say whether a machine is up, whatever its server does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

from runbook.dataclass import dataclass
from runbook.raft.model import ClusterView, Reach, Vantage
from runbook.raft.probes import MACHINE_PORTS

PortQuestion = tuple[Literal["raft", "host"], str]  # an address with a port, the peer's own or another of its machine


@dataclass(frozen=True)
class PortProbes:
    """The ports to try in one look, and what was seen there.

    ``peers`` are the addresses of all, ``silent`` of those that did not answer; ``own`` are the product's usual ports.
    Where a peer's port is silent, other ports of its machine and of the machines of the living are tried too: a machine
    that is off is told apart from a process that is frozen by what its neighbours do.
    """

    peers: tuple[str, ...]
    silent: tuple[str, ...]
    own: tuple[int, ...]

    @classmethod
    def of(cls, view: ClusterView, answering: Sequence[Vantage], own: Iterable[int]) -> PortProbes:
        """Of the peers in any configuration that was read."""
        held = [view.configuration, *(vantage.configuration for vantage in answering)]
        peers = {peer.address: peer for each in held if each is not None for peer in each.peers}
        silent = (address for address, peer in peers.items() if view.vantage_of(peer) is None)
        return cls(tuple(sorted(peers)), tuple(sorted(silent)), tuple(own))

    def of_peers(self) -> list[PortQuestion]:
        """Everybody's own port."""
        return [("raft", address) for address in self.peers]

    def of_machines(self) -> list[PortQuestion]:
        """Ssh, a closed port and the product's own, of the silent first and then of the living; none if all answer."""
        return list(self._of_machines)

    @cached_property
    def _of_machines(self) -> tuple[PortQuestion, ...]:
        """Asked for after each silence."""
        ordered = (*self.silent, *(address for address in self.peers if address not in self.silent))
        places = (place for address in ordered for place in machine_ports(address, self.own))
        return tuple(("host", place) for place in places) if self.silent else ()

    def after(self, answer: Any) -> list[PortQuestion]:
        """What is tried as soon as this answer has come."""
        return self.of_machines() if answer is Reach.SILENT else []

    def seen(self, said: Mapping[Any, Any]) -> tuple[dict[str, Reach], dict[str, dict[int, Reach]]]:
        """What these ports did, of all the answers of a look: each peer's own, and those of the machines."""
        probes = {place: reach for (kind, place), reach in said.items() if kind == "raft" and reach is not None}
        machines = {place: reach for (kind, place), reach in said.items() if kind == "host"}
        return probes, by_machine(self.peers, machines)


def machine_ports(address: str, own: Iterable[int]) -> tuple[str, ...]:
    """The places to try on the machine of the peer at this address: ssh, a closed port, and the product's ``own``."""
    host = address.rpartition(":")[0]
    return tuple(f"{host}:{port}" for port in sorted({*MACHINE_PORTS, *own}))


def by_machine(addresses: Iterable[str], tried: Mapping[str, Reach | None]) -> dict[str, dict[int, Reach]]:
    """What was seen at each port of each peer's machine, by the peer's address; empty where nothing was tried."""
    found: dict[str, dict[int, Reach]] = {}
    for address in addresses:
        host = address.rpartition(":")[0]
        for place, reach in tried.items():
            if reach is not None and place.rpartition(":")[0] == host:
                found.setdefault(address, {})[int(place.rpartition(":")[2])] = reach
    return found
