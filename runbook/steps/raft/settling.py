"""Asking for one removal, and finding out what became of it: only looks can tell."""

from __future__ import annotations

from enum import Enum
from math import inf

from runbook.clock import wait
from runbook.errors import ClusterError, ErrorKind, RefusedError
from runbook.events import Waiting
from runbook.raft.model import ClusterView, Peer, Reach
from runbook.raft.removal import Refusal
from runbook.removals import (
    AlreadyGone,
    RemovalConfirmed,
    RemovalFailed,
    RemovalRequested,
    RemovalStillListed,
    RemovalUnsettled,
)
from runbook.steps.base import StepResult
from runbook.steps.context import StepContext
from runbook.steps.raft.looking import require_leader_configuration

FRESH = 10.0  # seconds since a look began after which no removal follows from it: what it saw may be no longer so
UNWRITTEN = (ErrorKind.NO_LEADER, ErrorKind.UNAVAILABLE, ErrorKind.FORBIDDEN, ErrorKind.REJECTED, ErrorKind.UNREACHABLE)
SETTLE = 60.0  # seconds: a few elections, and then a person must look
PAUSE = 1.0  # seconds between the first looks, where the leader's lease is shorter
LEASES = {"nomad": 0.5}  # seconds by product, as it is set unless told otherwise
LEASE = 2.5  # Consul's; and that of a product of which none is known
MARGIN = 0.1  # seconds
LONGEST_PAUSE = 5.0  # later, as nobody gains by asking an ill server a hundred times
AGREE = 2  # looks in a row that must say the same

HELD_FOR = 120.0
"""Seconds after which a request without an answer is taken for lost, counted from when it was about to leave.

Until then the servers may still carry it out, whatever became of the connection. What has a limit adds up to this: 20 s
in which we may be sending it; 7 s (Consul; Nomad 5) in which a server without a leader holds it; 40 s until a server
gives up the connection to a leader that hangs (yamux: a keep-alive every 30 s that must be written within 10); 20 s for
elections at the longest time-outs that may be set; 30 s after which Linux gives up a disk that does not answer, while
the leader goes on leading and shows the old list, as it shows a change only once its own disk has it.

Two things have no limit: the library's wait for a commit, and a process that is stopped. A stopped server reads what it
was sent when it wakes up, though the connection was reset long before, and hands it to whoever leads by then (seen on
Consul, 90 s and an election later). So no request counts as lost while a server hangs. And as a disk, too, may hang for
longer, whoever was asked for counts as removed wherever a later removal counts the voters that will be left.
"""


class Settled(Enum):
    """The three answers to: was it done?"""

    DONE = "done"
    NOT_DONE = "not done"
    CANNOT_TELL = "cannot tell"


def settle(context: StepContext, peer_id: str, held_until: float = inf) -> Settled:
    """Look until the leader and every server that answers say the same, twice in a row and a lease apart.

    NOT_DONE is believed only of looks that begin after ``held_until`` (seconds of the clock's ``monotonic``), when no
    server holds the request any more; after a plain *yes* never, as a list that still holds the peer may be an old one.
    """
    began = context.clock.monotonic()
    told = False

    def answer() -> Settled | None:
        nonlocal told
        left = held_until - context.clock.monotonic()
        says = _what_a_look_says(context.look(), peer_id)
        if says is Settled.NOT_DONE and 0 < left < inf and not told:
            told = True
            context.emit(Waiting(context.step, round(left, 1), _may_be_held(context, peer_id)))
        return None if says is Settled.CANNOT_TELL or (says is Settled.NOT_DONE and left > 0) else says

    within = SETTLE + (0.0 if held_until == inf else max(0.0, held_until - began))
    lease = LEASES.get(context.cluster.name.partition(":")[0], LEASE)
    least = max(PAUSE, lease + MARGIN if lease > PAUSE else 0.0)

    def pause(waited: float, _held: int) -> float:
        return min(max(least, waited / 10), LONGEST_PAUSE)

    settled = wait(context.clock, answer, every=pause, within=within, successes=AGREE)
    return settled or Settled.CANNOT_TELL


def _may_be_held(context: StepContext, peer_id: str) -> str:
    name = context.name_of(peer_id)
    return f"{name} is still listed, and the servers may hold the request for up to {HELD_FOR:g} s; looking again"


def _what_a_look_says(view: ClusterView, peer_id: str) -> Settled:
    """Of one look. Whoever holds an uncommitted change shows another list than the leader: then nobody can tell yet.

    Nor can anybody tell that it was not done while a server accepts connections and says nothing: it may be stopped,
    with the request in its hands.
    """
    if view.configuration is None or view.leader_id is None:
        return Settled.CANNOT_TELL
    own = [vantage for vantage in view.answering if vantage.other_id is None]  # not of a load balancer
    held = [view.configuration, *(vantage.configuration for vantage in own)]
    listed = {configuration is None or configuration.peer(peer_id) is not None for configuration in held}
    if len(listed) > 1 or None in held:
        return Settled.CANNOT_TELL
    if not listed.pop():
        return Settled.DONE
    hangs = any(vantage.reach is Reach.ACCEPTED and vantage.server_id is None for vantage in view.vantages)
    return Settled.CANNOT_TELL if hangs else Settled.NOT_DONE


# -- the change itself


def remove_and_settle(context: StepContext, peer: Peer, intent: RemovalRequested, until: float) -> StepResult:
    """Intent, request, look. However this ends, the journal says what became of the intent (I7)."""
    try:
        context.emit(intent)
        error = _send_removal(context, peer, until)
        settled = settle(context, peer.id, _held_until(context, peer.id, error))
    except (Exception, KeyboardInterrupt) as stop:  # the step's time may be over in here too
        if isinstance(stop, KeyboardInterrupt) or peer.id in context.state.unsettled:
            why = str(stop) or "interrupted"
            context.emit(RemovalUnsettled(context.step, peer.id, f"{why}, before it was known to be done"))
        raise
    if settled is not Settled.DONE:
        raise _not_seen_done(context, peer, settled, error)
    if error is not None and error.kind is ErrorKind.NOT_A_PEER:
        return record_vanished(context, peer.id)
    return _record_removed(context, peer.id)


def _held_until(context: StepContext, peer_id: str, error: ClusterError | None) -> float:
    """From when on a list that still holds the peer means that it was not done: at once, later, or never."""
    if error is None:
        return inf
    return -inf if error.kind is ErrorKind.NOT_A_PEER else _requested_at(context, peer_id) + HELD_FOR


def _requested_at(context: StepContext, peer_id: str) -> float:
    return context.state.asked_moment(peer_id, context.clock.monotonic(), context.clock.now())


def _send_removal(context: StepContext, peer: Peer, until: float) -> ClusterError | None:
    """Nothing, or why the answer leaves open what was done. Raises where it is sure that nothing was."""
    try:
        if context.clock.monotonic() > until:  # the disk hung under the intent, or this machine slept
            what = f"not sent: the look that allowed it began more than {FRESH:g} s ago"
            raise ClusterError(ErrorKind.UNAVAILABLE, what, "Is the leader slow to answer, or the disk of the record?")
        context.cluster.remove_peer(peer, within=context.left(inf))
    except ClusterError as error:
        if error.kind not in UNWRITTEN:
            return error
        _record_not_done(context, peer, str(error))
        raise
    return None


def _not_seen_done(context: StepContext, peer: Peer, settled: Settled, error: ClusterError | None) -> ClusterError:
    """Told as what it is; a later attempt, or a later run, begins by looking again."""
    if settled is Settled.CANNOT_TELL:
        what = f"{peer.label} is still listed, or the servers disagree, or one of them hangs and may hold the request"
        message = f"{error}; {what}" if error else what
        context.emit(RemovalUnsettled(context.step, peer.id, message))
    elif error is not None and error.kind is ErrorKind.NOT_A_PEER:
        message = f"{error}; and yet the leader and every server that answers list {peer.label}"
        _record_not_done(context, peer, message)
    else:
        message = f"{error}; {_record_still_listed(context, peer.id)}"
    return ClusterError(ErrorKind.AMBIGUOUS, message, "Run runbook diagnose, then resume this run: it looks first")


def _record_not_done(context: StepContext, peer: Peer, why: str) -> None:
    """Nothing came of this request. One before it, without an answer, may yet be carried out."""
    if peer.id in context.state.still_listed:
        _record_still_listed(context, peer.id, f"{why}; and an earlier request may yet be carried out")
        return
    context.emit(RemovalFailed(context.step, peer.id, why))


def _record_still_listed(context: StepContext, peer_id: str, why: str = "") -> str:
    """The request is taken for lost; should it be carried out all the same, it was this run's."""
    message = why or f"{HELD_FOR:g} s after it was asked for, the leader and every server that answers still list it"
    context.emit(RemovalStillListed(context.step, peer_id, context.name_of(peer_id), message))
    return message


# -- what an earlier attempt, or an earlier process, asked for


def settle_earlier_request(context: StepContext, peer_id: str) -> bool:
    """Whether an intent without an end took effect; its end is on record afterwards. Raises where nobody can tell."""
    require_leader_configuration(context.look())
    settled, by_word = settle(context, peer_id, _requested_at(context, peer_id) + HELD_FOR), ""
    if settled is Settled.CANNOT_TELL:
        settled, by_word = _ask_a_person(context, peer_id)
    if settled is Settled.DONE:
        _record_removed(context, peer_id, by_word)
        return True
    _record_still_listed(context, peer_id, by_word)
    return False


def _ask_a_person(context: StepContext, peer_id: str) -> tuple[Settled, str]:
    """By their word given beforehand, or now. Nobody is asked without a terminal: then nothing more is changed."""
    name = context.name_of(peer_id)
    given = context.answers.get(context.step)
    if given in ("done", "again"):
        return (Settled.DONE if given == "done" else Settled.NOT_DONE), "according to --answer"
    question = f"Was {name} removed? The servers do not agree, or one hangs and may hold the request"
    answer = None if given == "stop" else context.choose(question, ("done", "not done"))
    if answer is None:
        why = "the servers disagree, or one hangs and may hold the request"
        sentence = f"it cannot be told whether the removal of {name} took effect: {why}"
        advice = "Run runbook diagnose; bring back or stop the servers that do not answer; then resume at a terminal"
        advice += f", or with --answer {context.step}=done or =again"
        raise RefusedError(Refusal("CannotTell", sentence, advice))
    return Settled(answer), "according to the person at the terminal"


def record_vanished(context: StepContext, peer_id: str) -> StepResult:
    """By what this run asked for, late; or by itself: the cluster's own clean-up was faster, or a person."""
    name = context.name_of(peer_id)
    if peer_id in context.state.still_listed:
        return _record_removed(context, peer_id)
    context.emit(AlreadyGone(context.step, peer_id, name, _who_removed(context)))
    return StepResult(f"{name} was gone already", {"id": peer_id, "outcome": "already_gone"})


def _who_removed(context: StepContext) -> str:
    """As far as the cluster's own settings tell."""
    settings = context.state.autopilot
    if settings is None:
        return "by a person or another program"
    if settings.cleanup_dead_servers:
        return "probably by the cluster's own clean-up, as autopilot's CleanupDeadServers is on"
    return "by a person or another program, as autopilot's CleanupDeadServers is off"


def _record_removed(context: StepContext, peer_id: str, by_word: str = "") -> StepResult:
    """By our doing."""
    context.emit(RemovalConfirmed(context.step, peer_id, context.name_of(peer_id), by_word))
    return StepResult(f"{context.name_of(peer_id)} removed", {"id": peer_id, "outcome": "removed"})
