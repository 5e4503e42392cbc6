"""The real adapter; what it shows is compared with the truth before anybody decides on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf
from pathlib import Path
from typing import IO

from runbook.cluster.hashicorp.adapter import HashiCorpCluster
from runbook.proving.checks import Checks
from runbook.raft.model import ClusterView, Peer, Reach


class WatchedCluster:
    """As a run of the tool sees it."""

    secrets: tuple[str, ...] = ()

    def __init__(self, inner: HashiCorpCluster, checks: Checks) -> None:
        self.name = inner.name
        self._inner = inner
        self._checks = checks

    def look(self, *, within: float = inf) -> ClusterView:
        self._checks.look_begins()
        view = self._inner.look(within=within)
        self._checks.looked(view)
        return view

    def probe(self, addresses: Collection[str]) -> Mapping[str, Reach]:
        return self._inner.probe(addresses)

    def remove_peer(self, peer: Peer, *, within: float = inf) -> None:
        self._checks.removes(peer)
        self._inner.remove_peer(peer, within=within)

    def save_state(self, path: Path, *, within: float = inf) -> str:
        return self._inner.save_state(path, within=within)

    def transfer_leadership(self, to: Peer | None, *, within: float = inf) -> None:
        self._inner.transfer_leadership(to, within=within)

    def restore_state(self, state: IO[bytes], *, within: float = inf) -> None:
        self._inner.restore_state(state, within=within)
