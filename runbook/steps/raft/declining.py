"""One look may miss a server that lives: what ``never_worse`` is asked of is looked at again for a while."""

from __future__ import annotations

from runbook.clock import wait
from runbook.events import Waiting
from runbook.raft.liveness import Liveness, judge_once
from runbook.raft.model import ClusterView
from runbook.raft.quorum import VoterCounts
from runbook.steps.context import StepContext
from runbook.steps.raft.looking import (
    PATIENCE,
    QUORUM_EVERY,
    count_voters,
    look_again,
    looks_dead,
    require_leader_configuration,
)


def outlast_decline(context: StepContext, view: ClusterView) -> ClusterView:
    """This look, or a later one that shows no fewer living voters than there were when the run began.

    Behind one door old releases show a living server without an answer now and then. Nobody waits for a voter that
    looks dead: more looks would show no more.
    """
    start = context.state.before
    if start is None or not context.policy.never_worse or not _may_be_over(context, view, start):
        return view
    reason = "fewer voters are seen alive than when the run began, and who is missing does not look dead"
    context.emit(Waiting(context.step, PATIENCE, reason))
    wait(
        context.clock,
        lambda: None if _may_be_over(context, look_again(context), start) else True,
        every=lambda _waited, _held: QUORUM_EVERY,
        within=context.left(PATIENCE),
    )
    return context.state.looks[-1]


def _may_be_over(context: StepContext, view: ClusterView, start: VoterCounts) -> bool:
    """Whether the margin fell, and would not have if all those lived of whom this look cannot tell."""
    margin = count_voters(view).margin
    unknown = [
        peer
        for peer in require_leader_configuration(view).voters
        if judge_once(view, peer).liveness is not Liveness.ALIVE and not looks_dead(context, view, peer)
    ]
    return margin < start.margin <= margin + len(unknown)
