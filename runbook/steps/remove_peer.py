"""``raft.remove_peer``: look, fence, guard, intent, act, look again. The only step that changes a cluster.

One attempt and a resumed run are the same code: both begin with a look, and with what is known of an earlier intent.
"""

from __future__ import annotations

from math import inf
from typing import Any

from runbook.cluster.port import ClusterError, Trouble
from runbook.events import (
    AlreadyGone,
    RemovalConfirmed,
    RemovalFailed,
    RemovalRequested,
    RemovalStillListed,
    RemovalUnsettled,
    RemovalWouldBeRequested,
)
from runbook.raft.model import ClusterView, Peer
from runbook.raft.plan_basis import refusal_if_plan_is_stale
from runbook.raft.removal import Refusal, refusal_if_worse
from runbook.steps.base import StepResult
from runbook.steps.context import RefusedError, StepContext, as_if_gone, counted, led, reason_against
from runbook.steps.looking import confirm
from runbook.steps.settling import HELD_FOR, Settled, settle

FRESH = 10.0  # seconds since a look began after which no removal follows from it: what it saw may be no longer so
UNWRITTEN = (Trouble.NO_LEADER, Trouble.UNAVAILABLE, Trouble.FORBIDDEN, Trouble.REJECTED, Trouble.UNREACHABLE)


def run(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """One attempt. Nothing is asked for twice: what this run asked for before is settled first."""
    peer_id = arguments["peer"]
    if peer_id in context.state.gone:
        return StepResult(f"{context.name_of(peer_id)} was removed before", {"id": peer_id, "outcome": "removed"})
    for other in sorted(context.state.unsettled - {peer_id}):
        _was_done(context, other)  # a playbook may go on after a failure, and still one at most is unsettled (I6)
    if peer_id in context.state.unsettled and _was_done(context, peer_id):
        return StepResult(f"{context.name_of(peer_id)} removed", {"id": peer_id, "outcome": "removed"})
    view = confirm(context, {peer_id})
    context.acquire(view)
    for other in sorted(context.state.still_listed - context.state.gone - {peer_id}):
        if led(view).peer(other) is None:
            _vanished(context, other)
    peer = led(view).peer(peer_id)
    if peer is None:
        return _vanished(context, peer_id)
    if context.dry_run:
        view = as_if_gone(view, context.state.gone)
    _guard(context, view, peer)
    if context.permit(context, *_question(context, view, peer)):
        return run(context, arguments)  # a person took their time: all is looked at and asked again
    told = (context.step, peer.id, peer.address, peer.label, len(led(view).voters) - peer.voter)
    if context.dry_run:
        context.emit(RemovalWouldBeRequested(*told))
        return StepResult(f"{peer.label} would be removed", {"id": peer.id, "outcome": "removed"})
    return _remove(context, peer, RemovalRequested(*told), view.taken_at + FRESH)


def _question(context: StepContext, view: ClusterView, peer: Peer) -> tuple[str, frozenset[str]]:
    """Names every server that was proven to go, as the answer is for all of them; and their ids."""
    planned = context.state.plan_basis.removals if context.state.plan_basis else frozenset()
    going = [peer, *(other for other in led(view).peers if other.id in planned - {peer.id})]
    names = ", ".join(f"{each.label} ({each.address})" for each in going)
    before, less = len(led(view).voters), sum(each.voter for each in going)
    question = f"Remove {names} from {context.cluster.name}: {before} -> {before - less} voters?"
    return question, frozenset(each.id for each in going)


def _vanished(context: StepContext, peer_id: str) -> StepResult:
    """By what this run asked for, late; or by itself: the cluster's own clean-up was faster, or a person."""
    name = context.name_of(peer_id)
    if peer_id in context.state.still_listed:
        return _gone(context, peer_id)
    context.emit(AlreadyGone(context.step, peer_id, name))
    return StepResult(f"{name} was gone already", {"id": peer_id, "outcome": "already_gone"})


def _gone(context: StepContext, peer_id: str, by_word: str = "") -> StepResult:
    """By our doing."""
    context.emit(RemovalConfirmed(context.step, peer_id, context.name_of(peer_id), by_word))
    return StepResult(f"{context.name_of(peer_id)} removed", {"id": peer_id, "outcome": "removed"})


def _guard(context: StepContext, view: ClusterView, peer: Peer) -> None:
    reason = (
        _reason_in_plan(context, view, peer)
        or _reason_in_decline(context, view)
        or reason_against(context, view, peer, changes_so_far=len(context.state.asked - {peer.id}))
    )
    if reason is not None:
        raise RefusedError(reason)


def _reason_in_plan(context: StepContext, view: ClusterView, peer: Peer) -> Refusal | None:
    basis = context.state.plan_basis
    if basis is None or peer.id not in basis.removals:
        return Refusal("NotPlanned", "no raft.check_quorum has proven this removal", "Put one before this step")
    return refusal_if_plan_is_stale(basis, view)


def _reason_in_decline(context: StepContext, view: ClusterView) -> Refusal | None:
    start = context.state.before.margin if context.state.before else None
    return refusal_if_worse(start, counted(view).margin) if context.policy.never_worse else None


# -- the change itself


def _remove(context: StepContext, peer: Peer, intent: RemovalRequested, until: float) -> StepResult:
    """Intent, request, look. However this ends, the journal says what became of the intent (I7)."""
    try:
        context.emit(intent)
        error = _asked(context, peer, until)
        settled = settle(context, peer.id, _held_until(context, peer.id, error))
    except (Exception, KeyboardInterrupt) as stop:  # the step's time may be over in here too
        if isinstance(stop, KeyboardInterrupt) or peer.id in context.state.unsettled:
            why = str(stop) or "interrupted"
            context.emit(RemovalUnsettled(context.step, peer.id, f"{why}, before it was known to be done"))
        raise
    if settled is not Settled.DONE:
        raise _not_seen_done(context, peer, settled, error)
    if error is not None and error.trouble is Trouble.NOT_A_PEER:
        return _vanished(context, peer.id)
    return _gone(context, peer.id)


def _held_until(context: StepContext, peer_id: str, error: ClusterError | None) -> float:
    """From when on a list that still holds the peer means that it was not done: at once, later, or never."""
    if error is None:
        return inf
    return -inf if error.trouble is Trouble.NOT_A_PEER else _asked_moment(context, peer_id) + HELD_FOR


def _asked_moment(context: StepContext, peer_id: str) -> float:
    return context.state.asked_moment(peer_id, context.clock.monotonic(), context.clock.now())


def _asked(context: StepContext, peer: Peer, until: float) -> ClusterError | None:
    """Nothing, or why the answer leaves open what was done. Raises where it is sure that nothing was."""
    try:
        if context.clock.monotonic() > until:  # the disk hung under the intent, or this machine slept
            what = f"not sent: the look that allowed it began more than {FRESH:g} s ago"
            raise ClusterError(Trouble.UNAVAILABLE, what, "Is the leader slow to answer, or the disk of the record?")
        context.cluster.remove_peer(peer, within=context.left(inf))
    except ClusterError as error:
        if error.trouble not in UNWRITTEN:
            return error
        _surely_not(context, peer, str(error))
        raise
    return None


def _not_seen_done(context: StepContext, peer: Peer, settled: Settled, error: ClusterError | None) -> ClusterError:
    """Told as what it is; a later attempt, or a later run, begins by looking again."""
    if settled is Settled.CANNOT_TELL:
        what = f"{peer.label} is still listed, or the servers disagree, or one of them hangs and may hold the request"
        message = f"{error}; {what}" if error else what
        context.emit(RemovalUnsettled(context.step, peer.id, message))
    elif error is not None and error.trouble is Trouble.NOT_A_PEER:
        message = f"{error}; and yet the leader and every server that answers list {peer.label}"
        _surely_not(context, peer, message)
    else:
        message = f"{error}; {_still_listed(context, peer.id)}"
    return ClusterError(Trouble.AMBIGUOUS, message, "Run runbook diagnose, then resume this run: it looks first")


def _surely_not(context: StepContext, peer: Peer, why: str) -> None:
    """Nothing came of this request. One before it, without an answer, may yet be carried out."""
    if peer.id in context.state.still_listed:
        _still_listed(context, peer.id, f"{why}; and an earlier request may yet be carried out")
        return
    context.emit(RemovalFailed(context.step, peer.id, why))


def _still_listed(context: StepContext, peer_id: str, why: str = "") -> str:
    """The request is taken for lost; should it be carried out all the same, it was this run's."""
    message = why or f"{HELD_FOR:g} s after it was asked for, the leader and every server that answers still list it"
    context.emit(RemovalStillListed(context.step, peer_id, context.name_of(peer_id), message))
    return message


# -- what an earlier attempt, or an earlier process, asked for


def _was_done(context: StepContext, peer_id: str) -> bool:
    """Whether an intent without an end took effect; its end is on record afterwards. Raises where nobody can tell."""
    led(context.look())
    settled, by_word = settle(context, peer_id, _asked_moment(context, peer_id) + HELD_FOR), ""
    if settled is Settled.CANNOT_TELL:
        settled, by_word = _told_by_a_person(context, peer_id)
    if settled is Settled.DONE:
        _gone(context, peer_id, by_word)
        return True
    _still_listed(context, peer_id, by_word)
    return False


def _told_by_a_person(context: StepContext, peer_id: str) -> tuple[Settled, str]:
    """Nobody is asked without a terminal: then nothing more is changed."""
    name = context.name_of(peer_id)
    question = f"Was {name} removed? The servers do not agree, or one hangs and may hold the request"
    answer = context.choose(question, ("done", "not done"))
    if answer is None:
        why = "the servers disagree, or one hangs and may hold the request"
        sentence = f"it cannot be told whether the removal of {name} took effect: {why}"
        advice = "Run runbook diagnose; bring back or stop the servers that do not answer; then resume at a terminal"
        raise RefusedError(Refusal("CannotTell", sentence, advice))
    return Settled(answer), "by the word of the person at the terminal"
