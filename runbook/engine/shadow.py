"""The world of a dry run: looked at for real until it stands still, and then a shadow that only the run changes.

The same steps and guards run on it as on the live cluster. Once it is a shadow, no wait takes any time: its clock goes
on by what would have been slept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from math import inf
from pathlib import Path

from runbook.clock import Clock
from runbook.cluster.port import Cluster, transferring
from runbook.events import Emit
from runbook.raft.model import ClusterView, Peer, Reach
from runbook.raft.shadow import after_removals, after_stops, after_transfer, picture, stands_still
from runbook.run_state import RunState
from runbook.shadow_events import ShadowEntered

STILL_FOR = 3.0  # seconds over which two looks must show the same: one look may have caught a bad moment
LEADERLESS = 20.0  # the same where nobody leads: elections take seconds
PATIENCE = 90.0  # seconds for a cluster that does not settle: gossip makes up its mind in 35 to 48 s


class Shadow:
    """A cluster and a clock in one, as both stand still at the same moment."""

    def __init__(self, cluster: Cluster, clock: Clock, state: RunState, emit: Emit) -> None:
        """``state`` knows whom a person has confirmed to be off; ``emit`` is told when it becomes a shadow."""
        self.name = cluster.name
        self.simulated = False
        self._cluster, self._clock, self._state, self._emit = cluster, clock, state, emit
        self._leapt = 0.0
        self._looks = 0
        self._first: ClusterView | None = None
        self._live: ClusterView | None = None
        self._same_since = 0.0
        self._removed: frozenset[str] = frozenset()
        self._leaders: tuple[str, ...] = ()  # whom the run has let lead, one after the other
        self._stopped: frozenset[str] = frozenset()

    # -- a clock

    def monotonic(self) -> float:
        return self._clock.monotonic() + self._leapt

    def now(self) -> str:
        moment = datetime.fromisoformat(self._clock.now()) + timedelta(seconds=self._leapt)
        return moment.isoformat(timespec="milliseconds")

    def sleep(self, seconds: float) -> None:
        """For real only as long as another look may yet show something else."""
        real = min(seconds, max(0.0, self._live_until() - self._clock.monotonic()))
        if real > 0:
            self._clock.sleep(real)
        self._leapt += seconds - real

    def _live_until(self) -> float:
        """Until when, by the real clock, another look is worth waiting for."""
        if self.simulated or self._first is None or self._live is None:
            return -inf
        return min(self._same_since + self._needed(self._live), self._first.taken_at + PATIENCE)

    # -- a cluster

    @property
    def secrets(self) -> tuple[str, ...]:
        return self._cluster.secrets

    def look(self, *, within: float = inf) -> ClusterView:
        if self.simulated and self._live is not None:
            return self._look_at_shadow(self._live)
        leapt, view = self._leapt, self._cluster.look(within=within)
        self._keep(view)
        return replace(view, taken_at=view.taken_at + leapt)

    def _keep(self, view: ClusterView) -> None:
        off, before = self._state.confirmed_off, self._live
        if before is None or picture(before, off) != picture(view, off):
            self._same_since = view.taken_at
        self._first, self._live, self._looks = self._first or view, view, self._looks + 1
        watched = view.taken_at - self._same_since
        if watched > self._needed(view) - 0.01:
            self._become_shadow(f"every server has looked the same for {watched:.0f} s")
        elif view.taken_at - self._first.taken_at >= PATIENCE:
            self._become_shadow(f"the cluster has not settled within {PATIENCE:.0f} s")

    def _needed(self, view: ClusterView) -> float:
        """For how many seconds looks must show the same as this one."""
        if view.leader_id is None:
            return LEADERLESS
        return STILL_FOR if stands_still(view, self._state.confirmed_off) else PATIENCE

    def _become_shadow(self, why: str) -> None:
        if self.simulated:
            return
        self.simulated = True
        watched = self._live.ended_at - self._first.taken_at if self._live and self._first else 0.0
        self._emit(ShadowEntered(self._looks, round(watched, 1), why))

    def _look_at_shadow(self, live: ClusterView) -> ClusterView:
        """It takes as long as the last live one did."""
        view = after_removals(after_stops(live, self._stopped), self._removed, self.monotonic())
        for leader in self._leaders:
            view = after_transfer(view, leader)
        self._leapt += view.seconds
        return view

    def probe(self, addresses: Collection[str]) -> Mapping[str, Reach]:
        if not self.simulated or self._live is None:
            return self._cluster.probe(addresses)
        probes = after_stops(self._live, self._stopped).probes
        return {address: probes[address] for address in addresses if address in probes}

    def remove_peer(self, peer: Peer, *, within: float = inf) -> None:  # noqa: ARG002 - it takes no time
        """It takes effect at once, and in the shadow alone."""
        self._become_shadow("a removal is foretold")
        self._removed |= {peer.id}

    def transfer_leadership(self, to: Peer | None, *, within: float = inf) -> None:  # noqa: ARG002 - as above
        """At once, and in the shadow alone. Whom the cluster would elect by itself is not known: nobody moves."""
        transferring(self._cluster)
        self._become_shadow("a transfer of leadership is foretold")
        self._leaders += (to.id,) if to else ()

    def foretell_stop(self, peer: Peer) -> None:
        """Its process has ended from now on, in the shadow alone."""
        self._become_shadow("a stop is foretold")
        self._stopped |= {peer.id}

    def save_state(self, path: Path, *, within: float = inf) -> str:
        """The live cluster's, as a read changes nothing."""
        return self._cluster.save_state(path, within=within)

    @property
    def seen(self) -> ClusterView | None:
        """The last look at the living cluster."""
        return self._live

    @property
    def peers(self) -> tuple[Peer, ...]:
        """The configuration as it would be now; empty where no look told one."""
        seen = after_removals(self._live, self._removed, 0.0).best_configuration if self._live else None
        return seen.peers if seen else ()
