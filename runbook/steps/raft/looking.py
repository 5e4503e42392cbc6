"""Looks that add up: dead is only who was dead in every one of several looks, and what a look allows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import Any

from runbook.clock import wait
from runbook.cluster_events import PortOpened
from runbook.errors import ClusterError, ErrorKind
from runbook.events import Waiting
from runbook.raft.diagnosis.diagnose import diagnose
from runbook.raft.diagnosis.findings import format_choice, format_names
from runbook.raft.diagnosis.quorum_checks import how_to_recover
from runbook.raft.liveness import MAX_GAP, SILENT_MACHINE, Liveness, Verdict, judge_once
from runbook.raft.model import AutopilotSettings, ClusterView, Configuration, Peer, Reach
from runbook.raft.probes import ProbeMeaning, probe_evidence
from runbook.raft.quorum import VoterCounts, quorum, voters_in_contact
from runbook.raft.removal import CLUSTER_MINIMUM, MINIMUM_UNREAD, Refusal, refusal_to_remove
from runbook.steps.context import StepContext

LOOK_EVERY = 10.0  # seconds at most between two looks: below the longest gap that a verdict allows
UNDECIDED_EVERY = 3.0  # while nobody looks dead yet
QUORUM_EVERY = 1.0  # seconds between two looks for a quorum
SOON = 0.5  # seconds more than a verdict needs
WATCH_EVERY = 1.0  # seconds between two tries of a port between two looks
ELECTION = 60.0  # seconds: who led so lately may have a successor in a moment
PATIENCE = 30.0  # seconds more than a verdict needs: a few looks may be void


def look_again(context: StepContext) -> ClusterView:
    """One more look at a cluster that has a leader. Raises ClusterError where it has none."""
    view = context.look()
    led_lately = any(look.configuration and view.taken_at - look.taken_at <= ELECTION for look in context.state.looks)
    require_leader_configuration(view, led_lately=led_lately)
    return view


def pause(context: StepContext, verdicts: Collection[Verdict] = ()) -> float:
    """Seconds between two looks, so that they are spread over the time that these verdicts need, and no longer.

    While nobody of them looks dead yet, the others are making up their minds, and that is to be seen soon.
    """
    needed = max((verdict.lasting for verdict in verdicts), default=0.0) or context.state.confirm_for
    spread = min(max(needed / (context.state.criteria.least_looks - 1), 0.05), LOOK_EVERY)
    confirming = [
        max(verdict.lasting, context.state.confirm_for) - verdict.seen_for
        for verdict in verdicts
        if verdict.seen_for is not None
    ]
    if not confirming:
        return min(spread, UNDECIDED_EVERY) if verdicts else spread
    left = max(confirming) - context.state.looks[-1].seconds
    return min(spread, max(left, 0.0) + SOON)


def confirm(context: StepContext, wanted: Collection[str]) -> ClusterView:
    """The newest look, after as many as a verdict of *dead* on the ``wanted`` peers needs.

    A resumed run begins with none. Bounded: whoever is not confirmed by then is judged unknown.
    """
    limit = max(context.state.criteria.longest, SILENT_MACHINE) + PATIENCE
    return prove_quorum(
        context, look_until_decided(context, lambda view: _unconfirmed(context, view, wanted), within=limit)
    )


def prove_quorum(context: StepContext, view: ClusterView) -> ClusterView:
    """This look, or a later one that shows a quorum in contact with the leader, where one look may have missed it.

    Behind one door old releases show living servers without an answer now and then. Where too many look dead, more
    looks would show no more.
    """
    voters = require_leader_configuration(view).voters
    dead = sum(looks_dead(context, view, peer) for peer in voters)
    if _shows_quorum(view) or len(voters) - dead < quorum(len(voters)):
        return view
    reason = "too few voters are seen in contact with the leader yet"
    context.emit(Waiting(context.step, PATIENCE, reason))
    wait(
        context.clock,
        lambda: _shows_quorum(look_again(context)) or None,
        every=lambda _waited, _held: QUORUM_EVERY,
        within=PATIENCE,
    )
    return context.state.looks[-1]


def _shows_quorum(view: ClusterView) -> bool:
    voters = require_leader_configuration(view).voters
    return len(voters_in_contact(view)) >= quorum(len(voters)) or view.quorum_proof is not None


def look_until_decided(
    context: StepContext, undecided: Callable[[ClusterView], list[Verdict]], *, within: float
) -> ClusterView:
    """The newest look, once none of them leaves anybody ``undecided`` who is worth waiting for, or at the limit."""
    waited_for: list[Verdict] = []
    unseen = _unseen_for(context)

    def decided() -> ClusterView | None:
        view = look_again(context)
        waited_for[:] = undecided(view)
        return None if waited_for else view

    def tell_and_pause(_waited: float, _held: int) -> float:
        seconds = pause(context, waited_for)
        reason = _awaited(waited_for, unseen)
        context.emit(Waiting(context.step, round(seconds, 1), reason, *_confirmed_so_far(context, waited_for)))
        return _watch_ports(context, seconds)

    wait(context.clock, decided, every=tell_and_pause, within=within)
    return context.state.looks[-1]


def _unseen_for(context: StepContext) -> float:
    """For how many seconds nobody has looked; nothing where that is so short that the earlier looks still count."""
    last = context.state.looks[-1] if context.state.looks else None
    seconds = context.clock.monotonic() - last.ended_at if last else 0.0
    return seconds if seconds > MAX_GAP else 0.0


def _awaited(verdicts: Collection[Verdict], unseen: float) -> str:
    """Whose death takes time to confirm, and why the others are unknown. After ``unseen`` seconds it begins anew."""
    confirming = [verdict.peer for verdict in verdicts if verdict.seen_for is not None]
    told = [f"{verdict.peer.label}: {verdict.evidence[0]}" for verdict in verdicts if verdict.seen_for is None]
    are = "is" if len(confirming) == 1 else "are"
    anew = f" anew, as no look was taken for {unseen:.0f} s" if unseen else ""
    return "; ".join([*([f"confirming {format_names(confirming)} {are} dead{anew}"] if confirming else []), *told])


def _confirmed_so_far(context: StepContext, verdicts: Iterable[Verdict]) -> tuple[float, float] | tuple[None, None]:
    """For how long whoever takes longest to confirm has looked dead by now, of how many seconds that are needed."""
    confirming = [
        (verdict.seen_for + context.state.looks[-1].seconds, max(verdict.lasting, context.state.confirm_for))
        for verdict in verdicts
        if verdict.seen_for is not None
    ]
    if not confirming:
        return None, None
    passed, whole = max(confirming, key=lambda one: one[1] - one[0])
    return round(min(passed, whole), 1), whole


def _watch_ports(context: StepContext, seconds: float) -> float:
    """Try the ports of those that look dead every second, as who accepts between two looks lives. What is left to wait.

    A server that crashes and is started again would otherwise look dead in every look.
    """
    newest, until = context.state.looks[-1], context.clock.monotonic() + seconds
    peers = newest.best_configuration.peers if newest.best_configuration else ()
    closed = [peer for peer in peers if newest.probes.get(peer.address) is not Reach.ACCEPTED]
    watched = {peer.address: peer for peer in closed if looks_dead(context, newest, peer)}
    while watched and until - context.clock.monotonic() > WATCH_EVERY:
        context.clock.sleep(WATCH_EVERY)
        began = context.clock.monotonic()
        for address, reach in context.cluster.probe(watched).items():
            if reach is Reach.ACCEPTED:
                peer = watched.pop(address)
                seen = ClusterView(newest.cluster, began, None, None, (), {address: reach})
                context.emit(PortOpened(context.step, peer.label, address, seen))
    return max(0.0, until - context.clock.monotonic())


def looks_dead(context: StepContext, view: ClusterView, peer: Peer) -> bool:
    """In this one look, and with what a person has confirmed."""
    verdict = judge_once(view, peer, confirmed_off=context.state.is_confirmed_off(peer))
    return verdict.liveness is Liveness.DEAD


def _unconfirmed(context: StepContext, view: ClusterView, wanted: Collection[str]) -> list[Verdict]:
    """Whoever of them looks dead in this look and needs more looks to be proven so; not who comes and goes."""
    dead = {peer.id for peer in require_leader_configuration(view).peers if looks_dead(context, view, peer)}
    verdicts = [verdict for peer_id, verdict in context.state.verdicts().items() if peer_id in dead & {*wanted}]
    return [verdict for verdict in verdicts if verdict.liveness is Liveness.UNKNOWN and not verdict.returned]


# -- what one look says and allows


def require_leader_configuration(view: ClusterView, *, led_lately: bool = False) -> Configuration:
    """The leader's configuration. Without one there is no changing call at all: the way out is named.

    ``led_lately``: this run saw a leader a moment ago, so that it may look again before it believes in a partition.
    """
    if view.configuration is not None:
        return view.configuration
    nobody_knows = view.best_configuration is None  # then a proxy may have spoken, and counting says nothing
    if view.error_kind not in (ErrorKind.NO_LEADER.value, ErrorKind.UNAVAILABLE.value) or nobody_knows:
        raise ClusterError(ErrorKind(view.error_kind or "unreachable"), view.error_text or "the cluster did not answer")
    raise ClusterError(*_without_leader(view, led_lately))


def _without_leader(view: ClusterView, led_lately: bool) -> tuple[ErrorKind, str, str]:
    """Out of sight is not gone: to start servers again, or peers.json, would be the wrong advice.

    Where those that answer and those that at least accept connections are a quorum, or somebody led a moment ago, an
    election may be under way: behind one door that looks like a partition.
    """
    seen = view.best_configuration
    voters = seen.voters if seen else ()
    live = sum(judge_once(view, peer).liveness is Liveness.ALIVE for peer in voters)
    listening = sum(probe_evidence(view, peer).meaning is ProbeMeaning.LISTENS for peer in voters)
    parted = next((finding for finding in diagnose(view) if finding.name == "MinorityPartition"), None)
    if parted is not None:
        elects = led_lately or listening >= quorum(len(voters))
        kind = ErrorKind.NO_LEADER if elects else ErrorKind.QUORUM_LOST
        return kind, f"{parted.name} ({parted.certainty.value}): {parted.sentence}", parted.next_action
    if not voters or live >= quorum(len(voters)):
        what = f"there is no leader, though {live} of {len(voters)} voters answer"
        return ErrorKind.NO_LEADER, what, "Wait for an election and run again"
    missing = [peer for peer in voters if judge_once(view, peer).liveness is not Liveness.ALIVE]
    missing.sort(key=lambda peer: peer.label)
    start = f"Start {format_choice(quorum(len(voters)) - live, missing)}"
    what = f"quorum is lost: {live} of {len(voters)} voters answer and {quorum(len(voters))} are needed"
    return (
        ErrorKind.QUORUM_LOST,
        what,
        (
            f"Send no removal. {start} again with {'its' if len(missing) == 1 else 'their'} data; "
            f"only if their disks are lost, {how_to_recover(view)}"
        ),
    )


def view_without(view: ClusterView, gone: Iterable[str]) -> ClusterView:
    """What the leader would hold if these had been removed."""
    configuration = require_leader_configuration(view)
    for peer_id in gone:
        configuration = configuration.without(peer_id)
    return replace(view, configuration=configuration)


def reason_against_removal(
    context: StepContext, view: ClusterView, peer: Peer, *, changes_so_far: int
) -> Refusal | None:
    """Why the peer may not be removed: as the cluster is, or as it is once all is done that this run asked for."""
    reason = _reason_in_view(context, view, peer, changes_so_far)
    pending = (context.state.still_listed | context.state.unsettled) - context.state.gone - {peer.id}
    if reason is not None or not pending:
        return reason
    reason = _reason_in_view(context, view_without(view, pending), peer, changes_so_far)
    names = ", ".join(sorted(map(context.name_of, pending)))
    why = f"should {names} go yet, whose removal was asked for without an answer"
    return reason and replace(reason, sentence=f"{reason.sentence}, {why}")


def _reason_in_view(context: StepContext, view: ClusterView, peer: Peer, changes_so_far: int) -> Refusal | None:
    """A minimum of the cluster's own that was read before in this run still binds where it cannot be read; one that no
    look has read counts as none only by a person's word.

    ``changes_so_far`` are the removals; to them come the changes of all other steps.
    """
    changes_so_far += len(context.state.changes)
    known = replace(view, autopilot=view.autopilot or context.state.autopilot)
    verdicts, policy = context.state.verdicts(), context.policy
    reason = refusal_to_remove(known, verdicts, peer, policy, changes_so_far=changes_so_far)
    if reason is None or reason.code != MINIMUM_UNREAD or not context.set_aside(CLUSTER_MINIMUM, reason.sentence):
        return reason
    none = replace(view, autopilot=AutopilotSettings(cleanup_dead_servers=False, min_quorum=0))
    return refusal_to_remove(none, verdicts, peer, policy, changes_so_far=changes_so_far)


def count_voters(view: ClusterView) -> VoterCounts:
    """The leader's voters, and how many of them are alive by our own verdicts of this one look."""
    voters = require_leader_configuration(view).voters
    return VoterCounts(len(voters), sum(judge_once(view, peer).liveness is Liveness.ALIVE for peer in voters))


def tolerance(view: ClusterView) -> int:
    """How many more may fail, by the same."""
    return count_voters(view).tolerance


def peer_item(verdict: Verdict) -> dict[str, Any]:
    """One peer as a playbook reads it, with what the run holds of it."""
    peer = verdict.peer
    return {
        "id": peer.id,
        "address": peer.address,
        "name": peer.label,
        "voter": peer.voter,
        "verdict": verdict.liveness.value,
    }
