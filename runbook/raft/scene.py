"""One view with everything counted once: what every diagnosis looks at."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from runbook.raft.model import ClusterView, Configuration, Peer, Vantage
from runbook.raft.quorum import failure_tolerance, quorum
from runbook.raft.sightings import Appearance, Sighting, sightings_of


class Phase(Enum):
    """What can be done at all; it comes before every other question."""

    LED = "led"  # there is a leader: an online removal may be asked about
    ELECTING = "electing"  # no leader, and enough voters answer: wait, and find out why
    QUORUM_LOST = "quorum lost"  # no leader, and too few voters answer: no online change at all
    DARK = "dark"  # nobody told a configuration


@dataclass(frozen=True)
class Scene:
    """``removed`` holds the ids of peers that earlier runs took out of this cluster."""

    view: ClusterView
    removed: frozenset[str] = frozenset()

    @classmethod
    def of(cls, view: ClusterView, removed: Collection[str] = ()) -> Scene:
        return cls(view, frozenset(removed))

    @property
    def phase(self) -> Phase:
        if not self.voters:
            return Phase.DARK
        if self.view.leader_id is not None:
            return Phase.LED
        return Phase.ELECTING if self.live >= self.needed else Phase.QUORUM_LOST

    @property
    def configuration(self) -> Configuration:
        """The best that is known; empty where nobody told one."""
        return self.view.best_configuration or Configuration(())

    @cached_property
    def sightings(self) -> tuple[Sighting, ...]:
        return sightings_of(self.view)

    @property
    def voters(self) -> tuple[Sighting, ...]:
        return tuple(s for s in self.sightings if s.peer.voter)

    @property
    def missing(self) -> tuple[Sighting, ...]:
        """Voters whose own HTTP API does not answer."""
        return tuple(s for s in self.voters if not s.answers)

    @property
    def live(self) -> int:
        return len(self.voters) - len(self.missing)

    @property
    def needed(self) -> int:
        return quorum(len(self.voters))

    @property
    def tolerance(self) -> int:
        return failure_tolerance(len(self.voters), self.live)

    @property
    def hidden(self) -> tuple[Sighting, ...]:
        """Missing voters that may live where this host cannot hear them: no process was seen to be gone."""
        gone = (Appearance.DOWN, Appearance.REPLACED)
        return tuple(s for s in self.missing if s.appearance not in gone)

    @property
    def leader(self) -> Peer | None:
        return self.configuration.peer(self.view.leader_id) if self.view.leader_id else None

    @property
    def insiders(self) -> tuple[Vantage, ...]:
        """Servers that answer and are in the configuration, else in their own: the words of others are hearsay.

        Without a leader, who is in the configuration depends on whom one asks, so all who think they are count.
        """
        own = [vantage for peer in self.configuration.peers if (vantage := self.view.vantage_of(peer))]
        if self.view.leader_id is None:
            own += [v for v in self.view.answering if v not in own and v.configuration and v.configuration.peers]
        return tuple(sorted(own, key=lambda v: v.name or v.url))

    @property
    def self_styled_leaders(self) -> tuple[Vantage, ...]:
        """More than one is a transition, or two clusters: nobody is believed then."""
        return tuple(vantage for vantage in self.insiders if vantage.state == "Leader")

    @property
    def numbers(self) -> str:
        """``3 of 5 voters answer, 3 needed``."""
        return f"{self.live} of {len(self.voters)} voters answer, {self.needed} needed"
