"""Which ports say whether a peer's machine is up, whatever its server does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runbook.raft.model import Reach

CLOSED_PORT = 9  # discard: nobody listens there, so a machine that is up refuses it at once
SSH_PORT = 22


def machine_ports(address: str, own: Iterable[int]) -> tuple[str, ...]:
    """The places to try on the machine of the peer at this address: ssh, a closed port, and the product's ``own``."""
    host = address.rpartition(":")[0]
    return tuple(f"{host}:{port}" for port in sorted({SSH_PORT, CLOSED_PORT, *own}))


def by_machine(addresses: Iterable[str], tried: Mapping[str, Reach | None]) -> dict[str, dict[int, Reach]]:
    """What was seen at each port of each peer's machine, by the peer's address; empty where nothing was tried."""
    found: dict[str, dict[int, Reach]] = {}
    for address in addresses:
        host = address.rpartition(":")[0]
        for place, reach in tried.items():
            if reach is not None and place.rpartition(":")[0] == host:
                found.setdefault(address, {})[int(place.rpartition(":")[2])] = reach
    return found
