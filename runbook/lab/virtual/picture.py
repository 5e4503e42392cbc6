"""A live cluster's last look as a stage: who is said to have died is dead in it, and nothing else moves by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from math import inf
from pathlib import Path

from runbook.errors import ClusterError, ErrorKind
from runbook.files import replace_file
from runbook.lab.virtual.door import EPOCH
from runbook.lab.virtual.timeline import Timeline
from runbook.raft.deaths import NO_LEADER, Deaths, after_deaths
from runbook.raft.model import ClusterView, Peer, Reach
from runbook.raft.shadow import after_removals

SHORTEST_LOOK = 0.1  # seconds


class PictureStage:
    """``view`` has a leader; ``deaths`` befall it at the beginning."""

    impossible = ""

    def __init__(self, view: ClusterView, deaths: Deaths) -> None:
        self.timeline = Timeline(self)
        self.removed: frozenset[str] = frozenset()
        self._view, self._deaths = view, deaths

    def advance(self, now: float) -> None:
        """So long ago they died."""
        self._deaths = replace(self._deaths, seconds=now)

    def now(self) -> ClusterView:
        """What a look would show at this moment."""
        seen = after_removals(self._view, self.removed, EPOCH + self.timeline.now)
        return after_deaths(seen, self._deaths)

    def cluster(self) -> PictureCluster:
        return PictureCluster(self, self._view.cluster)

    def name_of(self, raft_id: str) -> str:
        return self._view.label_of(raft_id)

    def voters(self) -> tuple[str, ...]:
        held = after_removals(self._view, self.removed, 0.0).configuration
        return tuple(sorted(peer.label for peer in (held.voters if held else ())))

    def leader(self) -> str | None:
        leader = self.now().leader
        return leader.label if leader else None


class PictureCluster:
    """See :class:`runbook.cluster.port.Cluster`: a look takes as long as the live one did, a removal no time."""

    secrets: tuple[str, ...] = ()

    def __init__(self, stage: PictureStage, name: str) -> None:
        self.name = name
        self._stage = stage

    def look(self, *, within: float = inf) -> ClusterView:
        began = self._stage.timeline.now
        seconds = min(max(self._stage.now().seconds, SHORTEST_LOOK), within)
        self._stage.timeline.wait(began + seconds)
        return replace(self._stage.now(), taken_at=EPOCH + began, seconds=seconds)

    def probe(self, addresses: Collection[str]) -> Mapping[str, Reach]:
        tried = self._stage.now().probes
        return {address: tried[address] for address in addresses if address in tried}

    def remove_peer(self, peer: Peer, *, within: float = inf) -> None:  # noqa: ARG002 - it takes no time
        if self._stage.now().leader_id is None:
            raise ClusterError(ErrorKind.NO_LEADER, NO_LEADER)
        self._stage.removed |= {peer.id}

    def save_state(self, path: Path, *, within: float = inf) -> str:  # noqa: ARG002 - it takes no time
        data = b"a picture of a cluster has no state\n"
        replace_file(path, data)
        return hashlib.sha256(data).hexdigest()
