"""What the engine may ask of a cluster, and every way in which the answer can fail."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable

from runbook.errors import unexpected
from runbook.raft.model import ClusterView, Peer, Reach

OFFLINE = "All members begin anew from the file: docs/operating.md has etcdutl snapshot restore"


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


@runtime_checkable
class AddingCluster(Protocol):
    """What a cluster can whose members are added from outside, and do not join by themselves."""

    def add_learner(self, peer_urls: tuple[str, ...], *, within: float = inf) -> tuple[str, Mapping[str, str]]:
        """The id of the member at these peer URLs, which is added without a vote where it is not there; and the name
        and peer URLs of all, as ``NAME=URL`` by id, without a name where it never started. Raises ClusterError.
        """

    def promote(self, member_id: str, *, within: float = inf) -> None:
        """Give a learner its vote. Raises ClusterError: UNAVAILABLE where it has not copied enough yet."""


@runtime_checkable
class TransferringCluster(Protocol):
    """What a cluster can whose leadership moves when it is asked to."""

    def transfer_leadership(self, to: Peer | None, *, within: float = inf) -> None:
        """Ask the leader of the last look to let this voter lead; None where the product elects whom it will. Raises
        ClusterError; 200 is not yet proof: look again.
        """


@runtime_checkable
class RestoringCluster(Protocol):
    """What a cluster can whose state is replaced while its servers run."""

    def restore_state(self, state: IO[bytes], *, within: float = inf) -> None:
        """Send the state snapshot in this file, which was verified: all that was written since then is lost.

        Raises :class:`ClusterError`; AMBIGUOUS where nobody knows whether it was restored.
        """


@runtime_checkable
class StopForetelling(Protocol):
    """What the cluster of a dry run can: a server's process, which a look alone shows, is foretold to have ended."""

    def foretell_stop(self, peer: Peer) -> None:
        """From now on its ports refuse."""


@runtime_checkable
class PermissionTelling(Protocol):
    """What a cluster can that tells beforehand whether it would refuse a removal."""

    def reason_not_permitted(self, *, within: float = inf) -> str | None:
        """Why it would, for want of a right: empty where it would not, None where that is not told. Raises nothing."""


class PulseMemory(Protocol):
    """What a later process compares its own look with, so that it need not wait for a second sample."""

    def record(self) -> Any:
        """As plain data; None where there is nothing."""

    def resume(self, record: Any, now: float) -> None:
        """Begin with what an earlier process recorded, on the same clock. Whatever else it is tells nothing."""


@runtime_checkable
class PulsedCluster(Protocol):
    """What a cluster is that tells who lives by what moves between two samples."""

    pulse: PulseMemory


def reason_not_permitted(cluster: Cluster, within: float) -> str | None:
    """See :class:`PermissionTelling`; None of a cluster that is none."""
    return cluster.reason_not_permitted(within=within) if isinstance(cluster, PermissionTelling) else None


def transferring(cluster: Cluster) -> TransferringCluster:
    """The same cluster. Raises StepError where its leadership does not move by a request."""
    if not isinstance(cluster, TransferringCluster):
        advice = "Restart the agent of the leader, and another is elected"
        raise unexpected(f"the leadership of {cluster.name} is not moved by a request", advice)
    return cluster


def adding(cluster: Cluster) -> AddingCluster:
    """The same cluster. Raises StepError where its members join by themselves."""
    if not isinstance(cluster, AddingCluster):
        raise unexpected(f"members of {cluster.name} join by themselves, and are not added", "Start the server")
    return cluster


def restoring(cluster: Cluster) -> RestoringCluster:
    """The same cluster. Raises StepError where its servers would have to begin anew."""
    if not isinstance(cluster, RestoringCluster):
        raise unexpected(f"the servers of {cluster.name} restore no snapshot while they run", OFFLINE)
    return cluster
