"""A cluster in a run that is held to a plan: the last door, at which a change that the plan does not hold stays here,
whoever asks for it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf
from pathlib import Path
from typing import IO

from runbook.cluster.port import Cluster, adding, reason_not_permitted, restoring, transferring
from runbook.errors import ClusterError, ErrorKind
from runbook.raft.model import ClusterView, Peer, Reach
from runbook.saved_plan import TRANSFERS, SavedPlan

ADDS, RESTORES = frozenset({"raft.add_server", "raft.join_empty"}), "raft.restore_snapshot"


class HeldCluster:
    """The same, and what changes it passes only where the plan has it. Whatever does not was surely not sent."""

    def __init__(self, cluster: Cluster, plan: SavedPlan) -> None:
        self.name, self._cluster = cluster.name, cluster
        self._removals, self._uses = plan.removals, frozenset(request.uses for request in plan.requests)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be seen in any record."""
        return self._cluster.secrets

    def look(self, *, within: float = inf) -> ClusterView:
        """As the cluster."""
        return self._cluster.look(within=within)

    def probe(self, addresses: Collection[str]) -> Mapping[str, Reach]:
        """As the cluster."""
        return self._cluster.probe(addresses)

    def save_state(self, path: Path, *, within: float = inf) -> str:
        """As the cluster."""
        return self._cluster.save_state(path, within=within)

    def reason_not_permitted(self, *, within: float = inf) -> str | None:
        """As the cluster."""
        return reason_not_permitted(self._cluster, within)

    def remove_peer(self, peer: Peer, *, within: float = inf) -> None:
        """Those alone that the plan takes out. Raises ClusterError for any other."""
        _refuse_unless(peer.id in self._removals, f"the removal of {peer.label} ({peer.address})")
        self._cluster.remove_peer(peer, within=within)

    def transfer_leadership(self, to: Peer | None, *, within: float = inf) -> None:
        """Where the plan has one. Raises ClusterError otherwise, and StepError as the cluster."""
        _refuse_unless(TRANSFERS in self._uses, "a transfer of leadership")
        transferring(self._cluster).transfer_leadership(to, within=within)

    def restore_state(self, state: IO[bytes], *, within: float = inf) -> None:
        """Where the plan has it. Raises ClusterError otherwise, and StepError as the cluster."""
        _refuse_unless(RESTORES in self._uses, "a restored state")
        restoring(self._cluster).restore_state(state, within=within)

    def add_learner(self, peer_urls: tuple[str, ...], *, within: float = inf) -> tuple[str, Mapping[str, str]]:
        """Where the plan adds servers. Raises ClusterError otherwise, and StepError as the cluster."""
        _refuse_unless(bool(ADDS & self._uses), f"a new member at {', '.join(peer_urls)}")
        return adding(self._cluster).add_learner(peer_urls, within=within)

    def promote(self, member_id: str, *, within: float = inf) -> None:
        """Where the plan adds servers. Raises ClusterError otherwise, and StepError as the cluster."""
        _refuse_unless(bool(ADDS & self._uses), f"a vote for {member_id}")
        adding(self._cluster).promote(member_id, within=within)


def _refuse_unless(held: bool, what: str) -> None:
    if not held:
        sentence = f"not sent: {what} is no change that the plan of this run holds"
        raise ClusterError(ErrorKind.REJECTED, sentence, "Make a new plan")
