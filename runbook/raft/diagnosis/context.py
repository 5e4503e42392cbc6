"""One view with everything counted once: what every check of the diagnosis looks at."""

from __future__ import annotations

from enum import Enum
from functools import cached_property
from itertools import pairwise

from runbook.dataclass import dataclass
from runbook.raft.diagnosis.observations import Appearance, PeerObservation, observe_peers
from runbook.raft.left_out import NOBODY, LeftOutList, LeftOutServer, returned_in
from runbook.raft.model import ClusterView, Configuration, Peer, Reach, Vantage
from runbook.raft.quorum import failure_tolerance, quorum

COMES_AND_GOES = 2  # changes of a port between open and closed: one is a death, or a return


class Phase(Enum):
    """What can be done at all; it comes before every other question. The values are read by machines."""

    HAS_LEADER = "led"  # an online removal may be asked about
    NO_LEADER = "electing"  # no leader, and enough voters answer: wait, and find out why
    QUORUM_LOST = "quorum lost"  # no leader, and too few voters answer: no online change at all
    UNREADABLE = "dark"  # no server returned a configuration


@dataclass(frozen=True)
class DiagnosisContext:
    """One view; ``removed`` are the ids of peers that earlier runs took out of this cluster, ``earlier`` the looks
    before it, oldest first, of whoever has looked for longer, ``left_out`` whom a recovery left out of this cluster.
    """

    view: ClusterView
    removed: frozenset[str] = frozenset()
    earlier: tuple[ClusterView, ...] = ()
    left_out: LeftOutList = NOBODY

    @property
    def phase(self) -> Phase:
        if not self.voters:
            return Phase.UNREADABLE
        if self.view.leader_id is not None:
            return Phase.HAS_LEADER
        return Phase.NO_LEADER if self.live >= self.needed else Phase.QUORUM_LOST

    @property
    def configuration(self) -> Configuration:
        """The best that is known; empty where no server returned one."""
        return self.view.best_configuration or Configuration(())

    @cached_property
    def observations(self) -> tuple[PeerObservation, ...]:
        return observe_peers(self.view)

    @cached_property
    def returned(self) -> dict[LeftOutServer, tuple[str, ...]]:
        """Who of those that a recovery left out is back, with what shows it."""
        return returned_in(self.view, self.left_out)

    @cached_property
    def looping(self) -> dict[Peer, int]:
        """How often the Raft port of each peer opened or closed over these looks, of those that come and go."""
        changed = {o.peer: self._changes_of(o.peer) for o in self.observations}
        return {peer: changes for peer, changes in changed.items() if changes >= COMES_AND_GOES}

    def _changes_of(self, peer: Peer) -> int:
        tried = [view.probes.get(peer.address) for view in (*self.earlier, self.view)]
        listens = [reach is Reach.ACCEPTED for reach in tried if reach in (Reach.ACCEPTED, Reach.REFUSED)]
        return sum(before != after for before, after in pairwise(listens))

    @property
    def voters(self) -> tuple[PeerObservation, ...]:
        return tuple(o for o in self.observations if o.peer.voter)

    @property
    def missing(self) -> tuple[PeerObservation, ...]:
        """Voters of which neither this host nor a server that can be believed heard, and that the leader misses."""
        return tuple(o for o in self.voters if not o.alive and o.appearance is not Appearance.OUT_OF_SIGHT)

    @property
    def live(self) -> int:
        """How many voters are alive, or are so by all that the leader knows."""
        return len(self.voters) - len(self.missing)

    @property
    def needed(self) -> int:
        """How many voters are a quorum."""
        return quorum(len(self.voters))

    @property
    def proves_quorum(self) -> bool:
        """Whether the voters that somebody heard from are a quorum, or the product itself has proven that there is."""
        return sum(o.alive for o in self.voters) >= self.needed or bool(self.view.quorum_proof)

    @property
    def tolerance(self) -> int:
        return failure_tolerance(len(self.voters), self.live)

    @property
    def possibly_alive(self) -> tuple[PeerObservation, ...]:
        """Missing voters that may run where this host cannot reach them: nothing shows that their process is gone."""
        gone = (Appearance.DOWN, Appearance.REPLACED, Appearance.WAITS)
        return tuple(o for o in self.missing if o.appearance not in gone)

    @property
    def leader(self) -> Peer | None:
        return self.configuration.peer(self.view.leader_id) if self.view.leader_id else None

    @property
    def listed_vantages(self) -> tuple[Vantage, ...]:
        """Servers that answer and are in the configuration, else in their own: only these are believed.

        Without a leader, who is in the configuration depends on whom one asks, so all who think they are count.
        """
        own = [vantage for peer in self.configuration.peers if (vantage := self.view.vantage_of(peer))]
        if self.view.leader_id is None:
            own += [v for v in self.view.answering if v not in own and v.configuration and v.configuration.peers]
        return tuple(sorted(own, key=lambda v: v.label))

    @property
    def claimed_leaders(self) -> tuple[Vantage, ...]:
        """Servers that call themselves leader. More than one: a transition, or two clusters, and none is believed."""
        return tuple(vantage for vantage in self.listed_vantages if vantage.state == "Leader")

    @property
    def former_leaders(self) -> tuple[PeerObservation, ...]:
        """Peers that do not answer and are still named leader by a server that does: it has not heard of another."""
        addresses = {vantage.leader_address for vantage in self.listed_vantages} - {None}
        return tuple(o for o in self.observations if not o.alive and o.peer.address in addresses)

    @property
    def voter_counts(self) -> str:
        """``3 of 5 voters answer, 3 needed``; of those that do not answer this host, by whose word they live."""
        others = self.live - sum(o.answers for o in self.voters)
        live = f"answer or are alive by the leader's word ({others})" if others else "answer"
        return f"{self.live} of {len(self.voters)} voters {live}, {self.needed} needed"
