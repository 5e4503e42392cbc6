"""A run that is held to its plan, in a world that goes on moving: whatever befalls it, nothing else ever leaves."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

from runbook.cluster.hashicorp.adapter import HashiCorpCluster
from runbook.engine.execute import Ending
from runbook.events import RunCompleted
from runbook.raft.model import Peer
from runbook.run_state import RunState
from runbook.saved_plan import SavedPlan
from runbook.session.saved_plans import PlanTerms, plan_of_run
from tests.foretold.compared import ROOT
from tests.foretold.standing import StandingWorld, quick_disk

SEEDS = int(os.environ.get("HELD_SEEDS", "2")) * 12
TERMS = PlanTerms("/plays/x.yaml", "", (), 86400.0, "2026-01-01T00:00:00+00:00")
PLAYBOOK = ROOT / "playbooks" / "remove-dead-peers.yaml"


class MovingWorld(StandingWorld):
    """Its faults go on, and servers die and return as they will."""

    def _stop(self, settled: float) -> None:
        self.world.set()
        self.world.timeline.wait(self.incident.run_at + self.chance.choice((0.0, 30.0, 60.0)))

    def planned(self) -> SavedPlan | None:
        ending = self._remove(dry_run=True)
        return plan_of_run(self.state, self.records, TERMS) if isinstance(ending, RunCompleted) else None

    def held(self, plan: SavedPlan) -> tuple[Ending, list[str]]:
        """Some time later; with the ids of those whose removal has left, in their order."""
        self.wait(self.chance.choice((0.0, 0.0, 5.0, 40.0, 200.0)))
        self.plan, self.records, self.state, left = plan, [], RunState(), []
        send: Callable[..., None] = HashiCorpCluster.remove_peer

        def seen(cluster: HashiCorpCluster, peer: Peer, *, within: float) -> None:
            left.append(peer.id)
            send(cluster, peer, within=within)

        with patch.object(HashiCorpCluster, "remove_peer", seen):
            return self._remove(dry_run=False), left

    def _remove(self, *, dry_run: bool) -> Ending:
        params = self.incident.params if self.incident.commands is None else {}
        return self.play(PLAYBOOK, params, "agrees", dry_run=dry_run)


def test_nothing_leaves_that_the_plan_does_not_hold(tmp_path: Path, summarize: Callable[[str], None]) -> None:
    """In its order, too; a world that moved is refused before anything has left, or with what had left until then."""
    counts: Counter[str] = Counter()
    for seed in range(SEEDS):
        world = MovingWorld(seed, tmp_path / str(seed))
        with quick_disk():
            plan = world.planned()
            if plan is None:
                counts["no plan"] += 1
                continue
            ending, left = world.held(plan)
        planned = [request.peer for request in plan.requests]
        sent = list(dict.fromkeys(left))  # an attempt may be made again
        assert [peer for peer in planned if peer in sent] == sent, f"{seed}: {planned}, and {left} left"
        counts[f"{getattr(ending, 'code', type(ending).__name__)}, {len(sent)} of {len(planned)} left"] += 1
    summarize(f"plans in {SEEDS} moving worlds: {dict(counts)}")
    assert counts.total() - counts["no plan"] > SEEDS / 10
