"""A cluster whose servers' machines are known: where only its own machine can tell of a server, a look asks it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import IO

from runbook.clock import seconds as now
from runbook.cluster import threads
from runbook.cluster.port import Cluster, adding, reason_not_permitted, restoring, transferring
from runbook.errors import StepError
from runbook.hosts.host import Host, word_of
from runbook.hosts.spec import HostSpec
from runbook.raft.liveness import settled_by_host
from runbook.raft.model import ClusterView, Peer, Reach, named
from runbook.raft.opinions import HostWord
from runbook.raft.recovery_files import FILES

LIMIT = 6.0  # seconds for all that is asked of one machine


class ClusterWithHosts:
    """The same, and its looks have what the machines say of those of whom nothing else is missing for *dead*."""

    def __init__(self, cluster: Cluster, hosts: Mapping[str, HostSpec]) -> None:
        """``hosts``: by a name or an id of each server."""
        self.name, self._cluster, self._hosts = cluster.name, cluster, hosts
        files = FILES.get(cluster.name.partition(":")[0])
        self._id_file = files.id_file if files else ""
        self._doubtful: dict[Peer, HostSpec] = {}

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be seen in any record."""
        return self._cluster.secrets

    def look(self, *, within: float = inf) -> ClusterView:
        """Whose machine the last look had to ask is asked again beside all others, and who is new in it afterwards."""
        until, earlier = now() + within, self._doubtful
        asking = threads.Begun(lambda: self._ask(earlier, until))
        view = self._cluster.look(within=within)
        self._doubtful = self._machines_of(view)
        words = asking.result(2 * LIMIT)
        words |= self._ask({peer: spec for peer, spec in self._doubtful.items() if peer not in words}, until)
        if not self._doubtful:
            return view
        told = {peer.id: words[peer] for peer in self._doubtful}
        return replace(view, host_words=told, seconds=now() - view.taken_at)

    def probe(self, addresses: Collection[str]) -> Mapping[str, Reach]:
        """As the cluster."""
        return self._cluster.probe(addresses)

    def remove_peer(self, peer: Peer, *, within: float = inf) -> None:
        """As the cluster."""
        self._cluster.remove_peer(peer, within=within)

    def save_state(self, path: Path, *, within: float = inf) -> str:
        """As the cluster."""
        return self._cluster.save_state(path, within=within)

    def restore_state(self, state: IO[bytes], *, within: float = inf) -> None:
        """As the cluster. Raises StepError where its servers would have to begin anew."""
        restoring(self._cluster).restore_state(state, within=within)

    def reason_not_permitted(self, *, within: float = inf) -> str | None:
        """As the cluster."""
        return reason_not_permitted(self._cluster, within)

    def add_learner(self, peer_urls: tuple[str, ...], *, within: float = inf) -> tuple[str, Mapping[str, str]]:
        """As the cluster. Raises StepError where its members join by themselves."""
        return adding(self._cluster).add_learner(peer_urls, within=within)

    def promote(self, member_id: str, *, within: float = inf) -> None:
        """As the cluster. Raises StepError where its members join by themselves."""
        adding(self._cluster).promote(member_id, within=within)

    def transfer_leadership(self, to: Peer | None, *, within: float = inf) -> None:
        """As the cluster. Raises StepError where its leadership does not move by a request."""
        transferring(self._cluster).transfer_leadership(to, within=within)

    def _machines_of(self, view: ClusterView) -> dict[Peer, HostSpec]:
        """Of those whom a word of theirs would settle, as far as the inventory knows one machine of each."""
        seen = view.best_configuration
        known = [(named(seen, server), spec) for server, spec in self._hosts.items()] if seen else []
        machines = {meant[0]: spec for meant, spec in known if len(meant) == 1}
        return {peer: machines[peer] for peer in settled_by_host(view) if peer in machines}

    def _ask(self, machines: Mapping[Peer, HostSpec], until: float) -> dict[Peer, HostWord]:
        limit = min(LIMIT, until - now())

        def ask(peer: Peer) -> HostWord:
            spec = machines[peer]
            if not spec.data_folder:
                return HostWord(stopped=False, words=f"{spec.label} has no data_folder in the inventory")
            try:
                return word_of(spec, peer, Host(spec, now() + limit).examine(peer.address, self._id_file))
            except StepError as error:
                return HostWord(stopped=False, words=f"nothing could be seen: {error.sentence}")

        late = HostWord(stopped=False, words=f"nothing was said within {LIMIT:g} s")
        return {peer: word or late for peer, word in threads.gather(machines, ask, lambda _word: (), limit).items()}
