"""Checks of single servers: dead, hung, lagging, not yet a voter, or seen differently by different observers."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.raft.advice import GIVE_ADDRESS, GIVE_LEADER, MAY_BE_FROZEN
from runbook.raft.diagnosis.context import DiagnosisContext, Phase
from runbook.raft.diagnosis.findings import (
    REMOVE_DEAD_PEERS,
    Certainty,
    Finding,
    Severity,
    format_names,
    server_of,
)
from runbook.raft.diagnosis.observations import Appearance, PeerObservation
from runbook.raft.listeners import how_to_unseal, speaking_listener, waiting_server
from runbook.raft.liveness import Liveness, judge_once
from runbook.raft.model import Peer, Vantage
from runbook.raft.opinions import OpinionKind

MAX_TRAILING = 250  # log entries: what autopilot itself tolerates by default
AGAIN = "Run runbook diagnose again in a minute: gossip takes up to 48 s to mark a server failed"
START_OR_REMOVE = (
    "Start {it} again. If that is not possible, run the playbook: it confirms the failure, then removes {it}"
)
TOO_FEW_LEFT = "Start {it} again, or add a replacement first: a removal would leave {left} voters"
MINIMUM_UNREAD = "Start {it} again: a removal is refused while the cluster's own minimum of voters cannot be read"
QUORUM_UNPROVEN = "Start {it} again; for a removal, give the addresses of more servers' own APIs, to prove the quorum"
KEEP_OUT_FIRST = "First keep out who was left out by a recovery and is back: until then no run removes {it}"
LEAST_VOTERS = 3  # what the shipped playbook leaves at least, unless a person names another number


def server_findings(context: DiagnosisContext) -> Iterator[Finding]:
    """Everything wrong with single servers. Where no quorum is seen, they are evidence of that finding instead."""
    if context.phase is Phase.HAS_LEADER:
        if context.live >= context.needed:
            yield from _servers_without_answer(context)
        yield from _lagging_voters(context)
        yield from _non_voters(context)
    yield from _disagreements(context)
    yield from _two_leaders(context)


def _servers_without_answer(context: DiagnosisContext) -> Iterator[Finding]:
    """Servers in the same state are one finding, so that nobody reads the same advice five times."""
    groups: dict[tuple[str, Certainty], list[PeerObservation]] = {}
    for observation in context.observations:
        group = _classify(context, observation)
        if group is not None:
            groups.setdefault(group, []).append(observation)
    for (name, certainty), observations in groups.items():
        yield _finding(context, name, certainty, observations)


def _classify(context: DiagnosisContext, o: PeerObservation) -> tuple[str, Certainty] | None:
    """The finding that a server which does not answer belongs to, and how sure that is; None where it has another."""
    if o.alive or o.appearance is Appearance.REPLACED or o.peer in context.looping:
        return None
    if o.appearance is Appearance.REFUSES_US:
        return None  # it has a finding of its own, Forbidden
    if o.appearance is Appearance.WAITS:
        return _name_of_waiting(context, o), Certainty.CERTAIN
    if judge_once(context.view, o.peer).liveness is Liveness.DEAD:
        return _name_of_dead(context, o), Certainty.LIKELY
    if o.appearance is Appearance.OUT_OF_SIGHT:
        return "Unreachable", Certainty.POSSIBLE
    if o.appearance is Appearance.HANGS and speaking_listener(context.view, o.peer):
        return "Unreachable", Certainty.LIKELY
    if o.appearance is Appearance.HANGS:
        missed = o.all_say_gone or any(opinion.kind is OpinionKind.UNSURE for opinion in o.opinions.values())
        ill = missed or o.peer.id in (context.view.unhealthy or ())
        return ("HungServer", Certainty.LIKELY) if ill else ("Unreachable", Certainty.LIKELY)
    if o.silent and o.nobody_misses_it:
        return "ObserversDisagree", Certainty.POSSIBLE
    return _name_of_dead(context, o), Certainty.POSSIBLE


def _name_of_waiting(context: DiagnosisContext, o: PeerObservation) -> str:
    waiting = waiting_server(context.view, o.peer)
    return "EmptyServer" if waiting is not None and waiting.state == "Empty" else "SealedServer"


def _name_of_dead(context: DiagnosisContext, o: PeerObservation) -> str:
    if o in context.former_leaders:
        return "DeadLeader"
    if o.is_unknown_to_all:
        return "StalePeer"
    return "DeadFollower" if o.peer.voter else "NonVoterStuck"


SENTENCES = {
    "SealedServer": "{who} runs and is sealed: it is not dead, and takes part in nothing until it has its key",
    "EmptyServer": "a server without data runs at the address of {who}",
    "DeadLeader": "no sign of life from the former leader {who}; {leader} has been elected since",
    "StalePeer": "no sign of life from {who}, unknown to gossip",
    "DeadFollower": "no sign of life from {who}",
    "NonVoterStuck": "no sign of life from the non-voter {who}: it will never vote",
    "HungServer": "connections to {who} open but get no reply: a hung process is not dead",
    "Unreachable": "the HTTP API of {who} cannot be reached from this host, though a process listens there",
    "ObserversDisagree": "this host cannot reach {who}, but gossip says alive",
}
UNASKED = "{who} cannot be asked from here, and the leader misses nobody"
_NEXT = {
    "EmptyServer": "Let it join the cluster again under the same id: it takes up its old entry. It is not dead",
    "HungServer": MAY_BE_FROZEN,
    "Unreachable": GIVE_ADDRESS,
    "ObserversDisagree": f"{AGAIN}. If it still says alive then, check the network between this host and the server",
}


def _finding(
    context: DiagnosisContext, name: str, certainty: Certainty, observations: list[PeerObservation]
) -> Finding:
    """One finding for all servers in one state. The playbook is named only where it would not refuse."""
    peers = [o.peer for o in observations]
    settings, likely = context.view.autopilot, certainty is Certainty.LIKELY
    left = len(context.voters) - sum(peer.voter for peer in peers)
    any_voter = left < len(context.voters)
    leader_unread = certainty is Certainty.POSSIBLE and all(o.all_say_gone for o in observations)
    playbook = None
    if name == "SealedServer":
        next_action = how_to_unseal(context.view, peers)
    elif name == "Unreachable" and (speaking := speaking_listener(context.view, peers[0])):
        next_action = speaking.settled_by or GIVE_ADDRESS
    elif name in _NEXT:
        next_action = _NEXT[name]
    elif not likely:
        next_action = GIVE_LEADER if leader_unread else AGAIN
    elif any_voter and left < max(LEAST_VOTERS, settings.min_quorum if settings else 0):
        next_action = TOO_FEW_LEFT
    elif any_voter and settings is None:
        next_action = MINIMUM_UNREAD
    elif not context.proves_quorum:
        next_action = QUORUM_UNPROVEN
    elif context.returned:
        next_action = KEEP_OUT_FIRST
    else:
        next_action, playbook = START_OR_REMOVE, REMOVE_DEAD_PEERS
    evidence = [o.evidence for o in observations]
    if leader_unread:  # what forbids the verdict dead, although all gossip that was read says so
        evidence += sorted({judge_once(context.view, peer).evidence[0] for peer in peers})
    evidence += _autopilot_evidence(context, voters=likely and any_voter, removable=playbook is not None)
    leader = context.leader.label if context.leader else "another"
    unasked = all(o.appearance is Appearance.OUT_OF_SIGHT for o in observations)
    return Finding(
        name,
        Severity.NOTICE if unasked else Severity.WARNING,
        certainty,
        (UNASKED if unasked else SENTENCES[name]).format(who=format_names(peers), leader=leader),
        tuple(evidence),
        next_action.format(it="it" if len(peers) == 1 else "them", left=left),
        tuple(server_of(peer) for peer in peers),
        playbook,
    )


def _autopilot_evidence(context: DiagnosisContext, *, voters: bool, removable: bool) -> Iterator[str]:
    """The cluster's own minimum of voters, and that autopilot may act too: who vanishes meanwhile it removed."""
    settings = context.view.autopilot
    if settings is None and voters:
        why = context.view.autopilot_error or "it was not asked for"
        yield f"autopilot's MinQuorum could not be read: {why}"
    if settings is not None and voters and settings.min_quorum > 0:
        yield f"the cluster's own minimum, autopilot's MinQuorum, is {settings.min_quorum}"
    if settings is not None and removable and settings.cleanup_dead_servers:
        yield "autopilot's CleanupDeadServers is on: autopilot may remove it first"


def _lagging_voters(context: DiagnosisContext) -> Iterator[Finding]:
    """Behind by its own numbers. Autopilot's *unhealthy* alone counts only where nobody is missed."""
    own = context.view.vantage_of(context.leader) if context.leader else None
    zeroed = context.view.autopilot is not None and context.view.autopilot.zeroed
    everybody = not zeroed and all(o.answers and _gossip_conflict(context, o) is None for o in context.observations)
    for observation in context.voters:
        vantage = context.view.vantage_of(observation.peer)
        if vantage is None or observation.peer == context.leader:
            continue
        behind = _log_gap(own, vantage, observation.peer.label)
        ill = everybody and observation.peer.id in (context.view.unhealthy or ())
        if behind or ill:
            words = behind or "the leader's autopilot calls it unhealthy"
            yield _lags(observation.peer, words, Certainty.LIKELY if behind else Certainty.POSSIBLE)


def _log_gap(leader: Vantage | None, one: Vantage, name: str) -> str | None:
    if leader is None or leader.last_log_index is None or one.last_log_index is None:
        return None
    missing = leader.last_log_index - one.last_log_index
    older = (one.last_log_term or 0) < (leader.last_log_term or 0)
    if missing > MAX_TRAILING or (older and missing > 0):
        return (
            f"{name}'s log ends at {one.log_end}, the leader's at "
            f"{leader.log_end}: {missing} {'entry' if missing == 1 else 'entries'} behind"
        )
    return None


def _lags(peer: Peer, words: str, certainty: Certainty) -> Finding:
    return Finding(
        "LaggingVoter",
        Severity.WARNING,
        certainty,
        f"{peer.label} is alive but does not keep up with the leader",
        (words,),
        "Check its disk, load and network. It is alive: do not remove it",
        (server_of(peer),),
    )


def _non_voters(context: DiagnosisContext) -> Iterator[Finding]:
    zeroed = context.view.autopilot is not None and context.view.autopilot.zeroed
    waiting = [
        o.peer for o in context.observations if o.answers and not o.peer.voter and o.peer.id not in context.removed
    ]
    if waiting and not zeroed:
        ill = [peer for peer in waiting if peer.id in (context.view.unhealthy or ())]
        yield Finding(
            "NonVoterStuck",
            Severity.WARNING if ill else Severity.NOTICE,
            Certainty.LIKELY if ill else Certainty.POSSIBLE,
            f"{format_names(waiting)} is not a voter"
            if len(waiting) == 1
            else f"{format_names(waiting)} are not voters",
            tuple(f"autopilot calls {peer.label} unhealthy" for peer in ill)
            or ("a single look cannot tell since when",),
            "Run runbook diagnose again in 30 s: autopilot promotes a healthy new server after 13 to 20 s",
            tuple(server_of(peer) for peer in waiting),
        )


def _disagreements(context: DiagnosisContext) -> Iterator[Finding]:
    """Gossip contradicts gossip, or a server that answers: the network between servers is cut, or a firewall is."""
    conflicts = [(o.peer, words) for o in context.observations if (words := _gossip_conflict(context, o)) is not None]
    if conflicts:
        yield Finding(
            "ObserversDisagree",
            Severity.WARNING,
            Certainty.CERTAIN,
            f"the servers disagree about {format_names([peer for peer, _ in conflicts])}",
            tuple(words for _, words in conflicts),
            "Run runbook diagnose again in a minute. If they still disagree, check the network between the servers; "
            "runbook removes nothing meanwhile",
            tuple(server_of(peer) for peer, _ in conflicts),
        )


def _gossip_conflict(context: DiagnosisContext, o: PeerObservation) -> str | None:
    names = {by: context.view.label_of(by) for by in o.opinions if by != o.peer.id}
    gone = sorted(names[by] for by in names if o.opinions[by].kind is OpinionKind.GONE)
    alive = sorted(names[by] for by in names if o.opinions[by].kind in (OpinionKind.PRESENT, OpinionKind.HEARD))
    if gone and alive:
        return f"{o.peer.label}: alive for {', '.join(alive)}; failed or left for {', '.join(gone)}"
    if gone and o.answers:
        return f"{o.peer.label} answers this host, but is failed or left for {', '.join(gone)}"
    return None


def _two_leaders(context: DiagnosisContext) -> Iterator[Finding]:
    """Two servers call themselves leader, or followers name two that answer; one that is gone is DeadLeader instead."""
    leaders = context.claimed_leaders
    gone = {o.peer.address for o in context.former_leaders}
    followed = {v.leader_address for v in context.listed_vantages if v.leader_address} - gone
    if len(leaders) < 2 and len(followed) < 2:
        return
    labels = {peer.address: peer.label for peer in context.configuration.peers}
    words = [
        f"{v.label} ({v.state}, term {v.term}) follows {labels.get(v.leader_address or '', 'nobody')}"
        for v in context.listed_vantages
    ]
    yield Finding(
        "ObserversDisagree",
        Severity.WARNING if context.phase is Phase.HAS_LEADER else Severity.CRITICAL,
        Certainty.CERTAIN,
        "the servers disagree about who leads",
        tuple(words),
        "Run runbook diagnose again in 10 s: an election may be under way, and the higher term wins",
        tuple(server_of(v) for v in leaders),
    )
