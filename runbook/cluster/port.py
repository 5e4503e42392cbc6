"""What the engine may ask of a cluster, and every way in which the answer can fail."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf
from pathlib import Path
from typing import Protocol

from runbook.raft.model import ClusterView, Peer, Reach


class Cluster(Protocol):
    """A Raft cluster. ``name`` is what a lock is held on; every call is bounded in time by the adapter, and by
    ``within`` seconds where that is less.
    """

    name: str

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be seen in any record."""

    def look(self, *, within: float = inf) -> ClusterView:
        """Ask everybody at once. Never raises for a cluster that is ill, or for time that is over: the view says so."""

    def probe(self, addresses: Collection[str]) -> Mapping[str, Reach]:
        """This host's own try of these ports, all at once; who does not say anything within a second is left out."""

    def remove_peer(self, peer: Peer, *, within: float = inf) -> None:
        """Ask the leader to take one peer out. Raises :class:`ClusterError`; 200 is not yet proof: look again."""

    def save_state(self, path: Path, *, within: float = inf) -> str:
        """Write the cluster's own state snapshot to ``path`` and return its verified SHA-256 (hex).

        Where the last look met no leader, an old one, if the product can. Raises :class:`ClusterError` and OSError.
        """
