"""``raft.verify``: everybody agrees, several looks in a row, and nobody has been added back."""

from __future__ import annotations

from typing import Any

from runbook.cluster.port import ClusterError, Trouble
from runbook.events import Waiting
from runbook.raft.model import ClusterView
from runbook.steps.base import StepResult
from runbook.steps.context import StepContext, as_if_gone, led, tolerance
from runbook.steps.settling import PAUSE


def run(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Wait for agreement; then, only if something was removed, watch past the leader's next reconcile."""
    if context.dry_run and context.state.gone:
        return _foretold(as_if_gone(context.look(), context.state.gone))
    view = _agreement(context, arguments["within"], arguments["successes"])
    if context.state.gone:
        view = _watch(context, arguments["watch_for"], view)
    output = {"voters": len(led(view).voters), "tolerance": tolerance(view)}
    return StepResult(f"{output['voters']} voters, failure tolerance {output['tolerance']}, all servers agree", output)


def _foretold(view: ClusterView) -> StepResult:
    output = {"voters": len(led(view).voters), "tolerance": tolerance(view)}
    return StepResult(f"it would be {output['voters']} voters with failure tolerance {output['tolerance']}", output)


def _agreement(context: StepContext, within: float, successes: int) -> ClusterView:
    until = context.clock.monotonic() + within
    agreed = 0
    while True:
        view = context.look()
        _refuse_what_came_back(context, view)
        agreed = agreed + 1 if _agrees(view) else 0
        if agreed >= successes:
            return view
        if context.clock.monotonic() >= until:
            what = f"the servers did not agree {successes} times in a row within {within:g} s"
            raise ClusterError(Trouble.TIMEOUT, what, "Run runbook diagnose")
        context.clock.sleep(PAUSE if agreed == 0 else PAUSE / 4)


def _agrees(view: ClusterView) -> bool:
    if view.configuration is None:
        return False
    fingerprints = {v.configuration.fingerprint for v in view.answering if v.configuration}
    return fingerprints == {view.configuration.fingerprint}


def _watch(context: StepContext, seconds: float, view: ClusterView) -> ClusterView:
    """Gossip that still calls a removed server alive makes the leader add it back at its 60 s reconcile."""
    until = context.clock.monotonic() + seconds
    while (left := until - context.clock.monotonic()) > 0:
        pause = min(10.0, left)
        context.emit(Waiting(context.step, round(left, 1), "watching that no removed server is added back"))
        context.clock.sleep(pause)
        view = context.look()
        led(view)
        _refuse_what_came_back(context, view)
    return view


def _refuse_what_came_back(context: StepContext, view: ClusterView) -> None:
    """The finding ``ZombiePeer``: gossip called it alive, so the leader added it: docs/servers/raft.md#reconcile."""
    back = [p.label for p in view.configuration.peers if p.id in context.state.gone] if view.configuration else []
    if back:
        what = f"ZombiePeer: {', '.join(back)} was removed and the leader has added it back, as its gossip is alive"
        raise ClusterError(Trouble.REJECTED, what, "Its process runs: stop it, wait for gossip, then run again")
