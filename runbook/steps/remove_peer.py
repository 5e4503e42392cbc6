"""``raft.remove_peer``: look, fence, guard, intent, act, look again. The only step that changes a cluster.

One attempt and a resumed run are the same code: both begin with a look, and with what is known of an earlier intent.
"""

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
from runbook.raft.removal import Unsafe, reason_in_drift
from runbook.steps.base import Context, Output, RefusedError, as_if_gone, led, reason_against, tolerance
from runbook.steps.looking import confirm
from runbook.steps.settling import SETTLE, Settled, settle

FRESH = 10.0  # seconds since a look began after which no removal follows from it: what it saw may be no longer so
UNWRITTEN = (Trouble.NO_LEADER, Trouble.UNAVAILABLE, Trouble.FORBIDDEN, Trouble.REJECTED, Trouble.UNREACHABLE)


def run(context: Context, arguments: dict[str, Any]) -> tuple[str, Output]:
    """One attempt. Nothing is asked for twice: what this run asked for before is settled first."""
    peer_id = arguments["peer"]
    if peer_id in context.memory.gone:
        return f"{_name(context, peer_id)} was removed before", {"id": peer_id, "outcome": "removed"}
    for other in sorted(context.memory.unsettled - {peer_id}):
        _was_done(context, other)  # a playbook may go on after a failure, and still one at most is unsettled (I6)
    if peer_id in context.memory.unsettled and _was_done(context, peer_id):
        return f"{_name(context, peer_id)} removed", {"id": peer_id, "outcome": "removed"}
    view = confirm(context, {peer_id})
    peer = led(view).peer(peer_id)
    if peer is None:
        return _vanished(context, peer_id)
    if context.dry_run:
        view = as_if_gone(view, context.memory.gone)
    _guard(context, view, peer)
    context.memory.asked.add(peer.id)
    told = (context.step, peer.id, peer.address, peer.label, len(led(view).voters) - peer.voter)
    if context.dry_run:
        context.emit(RemovalWouldBeRequested(*told))
        context.memory.gone.add(peer.id)
        return f"{peer.label} would be removed", {"id": peer.id, "outcome": "removed"}
    return _remove(context, peer, RemovalRequested(*told), view.taken_at + FRESH)


def _name(context: Context, peer_id: str) -> str:
    """As the run has met it; a peer that is gone is in no new look."""
    return context.memory.names.get(peer_id, peer_id)


def _vanished(context: Context, peer_id: str) -> tuple[str, Output]:
    """It went by itself: the cluster's own clean-up was faster, or a person."""
    name = _name(context, peer_id)
    context.emit(AlreadyGone(context.step, peer_id, name))
    context.memory.gone.add(peer_id)
    return f"{name} was gone already", {"id": peer_id, "outcome": "already_gone"}


def _guard(context: Context, view: ClusterView, peer: Peer) -> None:
    others = context.memory.asked - {peer.id}
    reason = (
        _reason_in_plan(context, view, peer)
        or _reason_in_decline(context, view)
        or reason_against(context, view, peer, changes_so_far=len(others))
    )
    if reason is not None:
        context.memory.fence = None  # a handler of this run removes nothing either (I5)
        raise RefusedError(reason)


def _reason_in_plan(context: Context, view: ClusterView, peer: Peer) -> Unsafe | None:
    fence = context.memory.fence
    if fence is None or peer.id not in fence.removals:
        return Unsafe("NotPlanned", "no raft.check_quorum has proven this removal", "Put one before this step")
    return reason_in_drift(fence, view)


def _reason_in_decline(context: Context, view: ClusterView) -> Unsafe | None:
    start = context.memory.tolerance_at_start
    if not context.policy.never_worse or start is None or tolerance(view) >= start:
        return None
    sentence = f"failure tolerance fell from {start} to {tolerance(view)} during this run"
    return Unsafe("NeverWorse", sentence, "Find out which server went away before anything else is changed")


# -- the change itself


def _remove(context: Context, peer: Peer, intent: RemovalRequested, until: float) -> tuple[str, Output]:
    """Intent, request, look. However this ends, the journal says what became of the intent (I7)."""
    try:
        context.emit(intent)
        context.memory.unsettled.add(peer.id)
        error = _asked(context, peer, until)
        settled = settle(context, peer.id, was_refused=error is not None)
    except (Exception, KeyboardInterrupt) as stop:  # the step's time may be over in here too
        if isinstance(stop, KeyboardInterrupt) or peer.id in context.memory.unsettled:
            why = str(stop) or "interrupted"
            context.emit(RemovalUnsettled(context.step, peer.id, f"{why}, before it was known to be done"))
        raise
    if settled is not Settled.DONE:
        raise _not_seen_done(context, peer, settled, error)
    context.memory.unsettled.discard(peer.id)
    if error is not None and error.trouble is Trouble.NOT_A_PEER:
        return _vanished(context, peer.id)
    context.emit(RemovalConfirmed(context.step, peer.id, peer.label))
    context.memory.gone.add(peer.id)
    return f"{peer.label} removed", {"id": peer.id, "outcome": "removed"}


def _asked(context: Context, peer: Peer, until: float) -> ClusterError | None:
    """Nothing, or why the answer leaves open what was done. Raises where it is sure that nothing was."""
    try:
        if context.clock.monotonic() > until:  # the disk hung under the intent, or this machine slept
            what = f"not sent: the look that allowed it began more than {FRESH:g} s ago"
            raise ClusterError(Trouble.UNAVAILABLE, what, "Is the leader slow to answer, or the disk of the record?")
        context.cluster.remove_peer(peer)
    except ClusterError as error:
        if error.trouble not in UNWRITTEN:
            return error
        context.emit(RemovalFailed(context.step, peer.id, str(error)))
        context.memory.unsettled.discard(peer.id)
        raise
    return None


def _not_seen_done(context: Context, peer: Peer, settled: Settled, error: ClusterError | None) -> ClusterError:
    """Told as what it is; a later attempt, or a later run, begins by looking again."""
    if settled is Settled.NOT_DONE:
        message = f"{error}; the leader and every server that answers still list {peer.label}: it was not done"
        context.emit(RemovalFailed(context.step, peer.id, message))
        context.memory.unsettled.discard(peer.id)
    else:
        message = f"{peer.label} is still listed, or the servers disagree, after {SETTLE:g} s"
        message = f"{error}; {message}" if error else message
        context.emit(RemovalUnsettled(context.step, peer.id, message))
    return ClusterError(Trouble.AMBIGUOUS, message, "Run runbook diagnose")


# -- what an earlier attempt, or an earlier process, asked for


def _was_done(context: Context, peer_id: str) -> bool:
    """Whether an intent without an end took effect; its end is on record afterwards. Raises where nobody can tell."""
    led(context.look())
    settled, by_word = settle(context, peer_id, was_refused=True), ""
    if settled is Settled.CANNOT_TELL:
        settled, by_word = _told_by_a_person(context, peer_id)
    context.memory.unsettled.discard(peer_id)
    if settled is Settled.DONE:
        context.emit(RemovalConfirmed(context.step, peer_id, _name(context, peer_id), by_word))
        context.memory.gone.add(peer_id)
        return True
    context.emit(RemovalFailed(context.step, peer_id, by_word or "looked again: every server still lists it"))
    return False


def _told_by_a_person(context: Context, peer_id: str) -> tuple[Settled, str]:
    """Nobody is asked without a terminal: then nothing more is changed."""
    question = f"Was {_name(context, peer_id)} removed? The servers do not agree"
    answer = context.choose(question, ("done", "not done"))
    if answer is None:
        sentence = f"it cannot be told whether the removal of {_name(context, peer_id)} took effect: servers disagree"
        advice = "Run runbook diagnose; bring back the servers that are silent; then resume this run at a terminal"
        raise RefusedError(Unsafe("CannotTell", sentence, advice))
    return Settled(answer), "by the word of the person at the terminal"
