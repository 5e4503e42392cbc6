"""``raft.remove_peer``: look, fence, guard, intent, act, look again. The only step that changes a cluster."""

from __future__ import annotations

from typing import Any

from runbook.cluster.port import ClusterError, Trouble
from runbook.events import (
    AlreadyGone,
    RemovalConfirmed,
    RemovalFailed,
    RemovalRequested,
    RemovalUnsettled,
    RemovalWouldBeRequested,
)
from runbook.raft.model import ClusterView, Peer
from runbook.raft.removal import Unsafe, reason_unsafe_to_remove
from runbook.steps.base import Context, Output, RefusedError, as_if_gone, led, tolerance

SETTLE = 60.0  # seconds: a few elections (FACTS 0), and then a person must look
PAUSE = 1.0  # seconds between looks: above one leader lease of 0.5 s (FACTS 9 row 9)
UNWRITTEN = (Trouble.NO_LEADER, Trouble.UNAVAILABLE, Trouble.FORBIDDEN, Trouble.REJECTED, Trouble.UNREACHABLE)


def run(context: Context, arguments: dict[str, Any]) -> tuple[str, Output]:
    """One attempt. It begins with a look, so that an attempt after a lost reply asks for nothing twice (FACTS 2.7)."""
    view = context.look()
    peer = led(view).peer(arguments["peer"])
    if peer is None:
        context.emit(AlreadyGone(context.step, arguments["peer"]))
        context.memory.gone.add(arguments["peer"])
        return "already gone", {"id": arguments["peer"], "outcome": "already_gone"}
    context.memory.looks.append(view)
    if context.dry_run:
        view = as_if_gone(view, context.memory.gone)
    _guard(context, view, peer)
    context.memory.asked.add(peer.id)
    told = (context.step, peer.id, peer.address, peer.label, len(led(view).voters) - peer.voter)
    if context.dry_run:
        context.emit(RemovalWouldBeRequested(*told))
    else:
        _remove(context, peer, RemovalRequested(*told))
    context.memory.gone.add(peer.id)
    return f"{peer.label} {'would be ' * context.dry_run}removed", {"id": peer.id, "outcome": "removed"}


def _guard(context: Context, view: ClusterView, peer: Peer) -> None:
    others = context.memory.asked - {peer.id}
    reason = (
        _reason_in_drift(context, view)
        or _reason_in_decline(context, view)
        or reason_unsafe_to_remove(view, context.verdicts(), peer, context.policy, changes_so_far=len(others))
    )
    if reason is not None:
        raise RefusedError(reason)


def _reason_in_drift(context: Context, view: ClusterView) -> Unsafe | None:
    """The fence: there is no compare-and-set, so the whole set of peers is read again (FACTS 9 row 1)."""
    planned = context.memory.planned
    if planned is None:
        return Unsafe("NotPlanned", "no raft.check_quorum has proven this removal", "Put one before this step")
    before, now = planned.fingerprint, led(view).fingerprint
    moved = now - before, {entry for entry in before - now if entry[0] not in context.memory.gone}
    if context.dry_run or not any(moved):
        return None
    words = [f"new: {address}" for _, address, _ in moved[0]] + [f"gone: {address}" for _, address, _ in moved[1]]
    return Unsafe("ConfigurationChanged", f"the configuration moved ({', '.join(words)})", "Run the playbook again")


def _reason_in_decline(context: Context, view: ClusterView) -> Unsafe | None:
    start = context.memory.tolerance_at_start
    if not context.policy.never_worse or start is None or tolerance(view) >= start:
        return None
    sentence = f"failure tolerance fell from {start} to {tolerance(view)} during this run"
    return Unsafe("NeverWorse", sentence, "Find out which server went away before anything else is changed")


def _remove(context: Context, peer: Peer, intent: RemovalRequested) -> None:
    """Intent, request, look. However this ends, the journal says what became of the intent (I7)."""
    try:
        context.emit(intent)
        error = _asked(context, peer)
        settled = _settled_gone(context, peer)
    except KeyboardInterrupt:
        context.emit(RemovalUnsettled(context.step, peer.id, "interrupted before it was known to be done"))
        raise
    if settled:
        context.emit(RemovalConfirmed(context.step, peer.id, peer.label))
        return
    message = f"{peer.label} is still listed, or the servers disagree, after {SETTLE:g} s"
    context.emit(RemovalUnsettled(context.step, peer.id, message))
    raise ClusterError(Trouble.AMBIGUOUS, f"{error}; {message}" if error else message, "Run runbook diagnose")


def _asked(context: Context, peer: Peer) -> ClusterError | None:
    """Nothing, or why the answer leaves open what was done. Raises where it is sure that nothing was."""
    try:
        context.cluster.remove_peer(peer)
    except ClusterError as error:
        if error.trouble not in UNWRITTEN:
            return error
        context.emit(RemovalFailed(context.step, peer.id, str(error)))
        raise
    return None


def _settled_gone(context: Context, peer: Peer) -> bool:
    """Twice in a row the leader and every server that answers hold a configuration without the peer (FACTS 9.2)."""
    until = context.clock.monotonic() + SETTLE
    agreed = 0
    while agreed < 2 and context.clock.monotonic() < until:
        agreed = agreed + 1 if all_without(context.look(), peer.id) else 0
        if agreed < 2:
            context.clock.sleep(PAUSE)
    return agreed >= 2


def all_without(view: ClusterView, peer_id: str) -> bool:
    """The leader's configuration and that of every answering server lack this peer."""
    held = [view.configuration, *(vantage.configuration for vantage in view.answering)]
    return view.leader_id is not None and all(c is not None and c.peer(peer_id) is None for c in held)
