"""Looks that add up: dead is only who was dead in every one of several looks, spread over a time."""

from __future__ import annotations

from collections.abc import Collection

from runbook.events import Waiting
from runbook.raft.liveness import SILENT_MACHINE, Liveness, Verdict, judge_once
from runbook.raft.model import ClusterView
from runbook.steps.context import StepContext, led

LOOK_EVERY = 10.0  # seconds at most between two looks: below the longest gap that a verdict allows
PATIENCE = 30.0  # seconds more than a verdict needs: a few looks may be void


def look_again(context: StepContext) -> ClusterView:
    """One more look at a cluster that has a leader. Raises ClusterError where it has none."""
    view = context.look()
    led(view)
    return view


def pause(context: StepContext, verdicts: Collection[Verdict] = ()) -> float:
    """Seconds between two looks, so that they are spread over the time that these verdicts need."""
    needed = max((verdict.lasting for verdict in verdicts), default=0.0) or context.state.confirm_for
    return min(max(needed / (context.state.least_looks - 1), 0.05), LOOK_EVERY)


def confirm(context: StepContext, wanted: Collection[str]) -> ClusterView:
    """The newest look, after as many as a verdict of *dead* on the ``wanted`` peers needs.

    A resumed run begins with none. Bounded: whoever is not confirmed by then is judged unknown.
    """
    view = look_again(context)
    until = context.clock.monotonic() + max(context.state.confirm_for, SILENT_MACHINE) + PATIENCE
    while (doubted := _unconfirmed(context, view, wanted)) and context.clock.monotonic() < until:
        reason = f"confirming that {doubted[0].peer.label} is dead: {doubted[0].evidence[0]}"
        context.emit(Waiting(context.step, round(pause(context, doubted), 1), reason))
        context.clock.sleep(pause(context, doubted))
        view = look_again(context)
    return view


def _unconfirmed(context: StepContext, view: ClusterView, wanted: Collection[str]) -> list[Verdict]:
    """Whoever of them looks dead in this look and needs more looks to be proven so; not who comes and goes."""
    dead = {peer.id for peer in led(view).peers if judge_once(view, peer).liveness is Liveness.DEAD}
    verdicts = [verdict for peer_id, verdict in context.state.verdicts().items() if peer_id in dead & {*wanted}]
    return [verdict for verdict in verdicts if verdict.liveness is Liveness.UNKNOWN and not verdict.returned]
