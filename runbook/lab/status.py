"""One server of a lab as ``runbook lab status`` shows it, whatever the lab is made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServerStatus:
    """``address`` is ``http://IP:PORT``, ``rpc`` is the Raft address ``IP:PORT``, ``id`` empty where it is not known.

    ``state`` is ``running``, ``frozen``, or ``killed`` (simulated) or ``stopped`` (a real agent may end by itself).
    """

    name: str
    address: str
    rpc: str
    state: str
    leader: bool
    id: str = ""
