"""Checks of leader and quorum: present, at risk, lost for now, lost for good, or only unreachable from here?

Telling *lost* from *partitioned*: what hangs on it is in docs/servers/raft.md#a-recovered-minority-wins. A process
seen to be gone (its machine answers: nothing listens) cannot vote anywhere. A voter from which nothing came back may
run behind a cut. So a majority can be running elsewhere only if the voters that cannot be reached are enough for a
quorum of their own; if they are, one cut explains what otherwise takes as many deaths, and that is said first, because
recovering by hand on the wrong side makes two clusters out of one.

Telling *for now* from *for good*: no request shows a disk. What can be seen hints at it only: another id answers at a
voter's address (its data were wiped), it left on purpose, or no gossip knows it any more. So *for good* is never more
than *possible*, and a person decides.
"""

from __future__ import annotations

from collections.abc import Iterator

from runbook.raft.advice import GIVE_ADDRESS
from runbook.raft.diagnosis.context import DiagnosisContext, Phase
from runbook.raft.diagnosis.findings import (
    REMOVE_DEAD_PEERS,
    Certainty,
    Finding,
    Severity,
    format_choice,
    format_names,
    server_of,
)
from runbook.raft.diagnosis.observations import Appearance, PeerObservation
from runbook.raft.listeners import how_to_unseal
from runbook.raft.liveness import Liveness, judge_once
from runbook.raft.model import ClusterView, Peer, Vantage
from runbook.raft.quorum import failure_tolerance, quorum

RECOVER = "recover with peers.json: runbook recover plan prints how"
RECOVER_ETCD = "recover the cluster from one member: runbook recover plan says how"
CHECK_FIRST = "first make sure that they are down, and not just unreachable from here"
NO_REMOVAL = "Send no removal: it would stay uncommitted and make recovery harder"


def how_to_recover(view: ClusterView) -> str:
    """The command that says how a quorum that is lost for good is recovered, and by what."""
    return RECOVER_ETCD if view.cluster.startswith("etcd:") else RECOVER


def quorum_findings(context: DiagnosisContext) -> Iterator[Finding]:
    """Everything wrong with leader and quorum: what holds for the cluster as a whole."""
    if context.phase is Phase.NO_LEADER and len(context.claimed_leaders) > 1:
        return  # server_checks has a finding for it, ObserversDisagree
    if context.phase is Phase.NO_LEADER:
        yield _election_due(context)
    elif context.phase is Phase.QUORUM_LOST:
        yield from _quorum_lost(context)
    elif context.phase is Phase.HAS_LEADER and context.live < context.needed:
        yield _leader_and_too_few_voters(context)
    elif context.phase is Phase.HAS_LEADER and context.tolerance == 0 and len(context.voters) > 1:
        yield _quorum_at_risk(context)


def _election_due(context: DiagnosisContext) -> Finding:
    """Enough voters answer, so an election is due; nobody leads only for seconds, unless something else is wrong."""
    lost, missing = context.former_leaders, context.missing
    certainty = Certainty.LIKELY if lost or not missing else Certainty.POSSIBLE
    sentence = "there is no leader yet"
    if context.view.error_kind not in ("no_leader", "unavailable"):  # only servers that say so prove that nobody leads
        reason = context.view.error_text or context.view.error_kind or "no reason was given"
        sentence = f"no leader could be asked ({reason})"
    evidence = [f"a server that answers still names {o.peer.label} as leader" for o in lost]
    return Finding(
        "DeadLeader" if missing else "QuorumLostTransient",
        Severity.CRITICAL,
        certainty,
        f"{sentence}, though {context.voter_counts}",
        (*evidence, *_evidence(missing), *_terms_and_logs(context)),
        "Run runbook diagnose again in 10 s. If there is still no leader, check the servers' disks, clocks and network",
        tuple(server_of(o.peer) for o in lost or missing),
    )


def _quorum_lost(context: DiagnosisContext) -> Iterator[Finding]:
    """Too few voters answer: a partition first where one cut explains it, then lost for now, then perhaps for good."""
    if len(context.possibly_alive) >= context.needed:
        yield _minority_partition(context)
        yield _lost_for_now(context)
        return
    yield _lost_for_now(context)
    gone = [o for o in context.missing if o.appearance is Appearance.REPLACED or o.left_or_unknown]
    if len(context.voters) - len(gone) < context.needed:
        yield _lost_for_good(context, gone)


def _minority_partition(context: DiagnosisContext) -> Finding:
    """The voters that cannot be reached from here are enough for a quorum of their own."""
    silent = all(o.silent for o in context.missing)
    peers = [o.peer for o in context.possibly_alive]
    return Finding(
        "MinorityPartition",
        Severity.CRITICAL,
        Certainty.LIKELY if silent else Certainty.POSSIBLE,
        f"this host may be on the minority side of a network partition: {context.voter_counts}, "
        f"and {len(peers)} cannot be reached from here",
        (
            f"{format_names(peers)} may be running and are enough to elect a leader of their own",
            *_evidence(context.missing),
            *_terms_and_logs(context),
        ),
        f"Change nothing from here. Run runbook diagnose on a machine near {format_names(peers)}; "
        "a recovery with peers.json on this side would make two clusters",
        tuple(server_of(peer) for peer in peers),
    )


def _lost_for_now(context: DiagnosisContext) -> Finding:
    """Whether the data still exist only a person can say, so this is never *certain*."""
    near = (Appearance.DOWN, Appearance.HANGS, Appearance.REFUSES_US, Appearance.WAITS)
    reached = [o for o in context.missing if o.appearance in near]
    enough = context.live + len(reached) >= context.needed
    back = [o.peer for o in context.missing if o.appearance is not Appearance.REPLACED] or [
        o.peer for o in context.missing
    ]
    return Finding(
        "QuorumLostTransient",
        Severity.CRITICAL,
        Certainty.LIKELY if enough else Certainty.POSSIBLE,
        f"quorum is lost: {context.voter_counts}",
        (
            *_evidence(context.missing),
            *_terms_and_logs(context),
            "whether their disks survive cannot be seen from here",
        ),
        f"{NO_REMOVAL}. {_bring_back(context, back)}",
        tuple(server_of(peer) for peer in back),
    )


def _bring_back(context: DiagnosisContext, back: list[Peer]) -> str:
    """By a key, where enough servers only wait for one; else by being started; only then by hand."""
    lacking = context.needed - context.live
    waiting = [o.peer for o in context.missing if o.appearance is Appearance.WAITS]
    if len(waiting) >= lacking:
        return f"{how_to_unseal(context.view, waiting)}. {lacking} of them {'is' if lacking == 1 else 'are'} enough"
    start = f"Start {format_choice(lacking, back)}"
    unseal = f"{how_to_unseal(context.view, waiting)}. " if waiting else ""
    by_hand = (
        CHECK_FIRST
        if len(context.possibly_alive) >= context.needed
        else f"only if their disks are lost, {how_to_recover(context.view)}"
    )
    return f"{unseal}{start} again with the existing data; {by_hand}"


def _lost_for_good(context: DiagnosisContext, gone: list[PeerObservation]) -> Finding:
    """So many voters were replaced, left or are forgotten by gossip that the rest is no quorum."""
    peers = [o.peer for o in gone]
    return Finding(
        "QuorumLostPermanent",
        Severity.CRITICAL,
        Certainty.POSSIBLE,
        f"quorum may be lost for good: {format_names(peers)} may never come back with their data",
        (
            *_evidence(tuple(gone)),
            *_terms_and_logs(context),
            "only a person can tell whether their old disks still exist",
        ),
        f"{NO_REMOVAL}. Look for the old data of {format_names(peers)} first; "
        f"if they are lost, {how_to_recover(context.view)}",
        tuple(server_of(peer) for peer in peers),
    )


def _leader_and_too_few_voters(context: DiagnosisContext) -> Finding:
    """There is a leader, so a quorum lives where this host cannot reach it, or lived half a second ago."""
    peers = [o.peer for o in context.missing]
    if context.live + len(context.possibly_alive) < context.needed:
        return Finding(
            "QuorumLostTransient",
            Severity.CRITICAL,
            Certainty.LIKELY,
            f"quorum has just been lost and the leader has not noticed: {context.voter_counts}",
            _evidence(context.missing),
            f"{NO_REMOVAL}. "
            f"Start {format_choice(context.needed - context.live, peers)} again with the existing data",
            tuple(server_of(peer) for peer in peers),
        )
    if context.view.quorum_proof:
        return Finding(
            "Unreachable",
            Severity.WARNING,
            Certainty.CERTAIN,
            f"the leader has a quorum, but who belongs to it this host cannot tell: {context.voter_counts}",
            (context.view.quorum_proof, *_evidence(context.missing)),
            GIVE_ADDRESS,
            tuple(server_of(peer) for peer in peers),
        )
    return Finding(
        "MinorityPartition",
        Severity.CRITICAL,
        Certainty.LIKELY,
        f"the cluster has a leader, but this host reaches fewer voters than a quorum: {context.voter_counts}",
        _evidence(context.missing),
        f"Change nothing from here. Run runbook diagnose on a machine that reaches {format_names(peers)}",
        tuple(server_of(peer) for peer in peers),
    )


def _quorum_at_risk(context: DiagnosisContext) -> Finding:
    """There is a leader and exactly a quorum: the next failure ends the service."""
    dead = [o for o in context.missing if judge_once(context.view, o.peer).liveness is Liveness.DEAD]
    after = failure_tolerance(len(context.voters) - len(dead), context.live)
    waiting = [o.peer for o in context.missing if o.appearance is Appearance.WAITS]
    gain = f"Removing {format_names([o.peer for o in dead])} leaves {len(context.voters) - len(dead)} voters, of which "
    if not context.missing:
        next_action = f"Add a server: {len(context.voters)} voters tolerate no failure"
    elif waiting:
        next_action = how_to_unseal(context.view, waiting)
    elif after > 0:
        next_action = f"{gain}{after} more may fail"
    else:
        missing = format_names([o.peer for o in context.missing])
        next_action = f"Start {missing} again, or add a replacement: a removal would not raise the failure tolerance"
    return Finding(
        "QuorumAtRisk",
        Severity.CRITICAL if context.missing else Severity.WARNING,
        Certainty.LIKELY if context.possibly_alive else Certainty.CERTAIN,
        f"no further voter may fail: {context.voter_counts}",
        (*_evidence(context.missing), f"{len(context.voters)} voters need {quorum(len(context.voters))}"),
        next_action,
        tuple(server_of(o.peer) for o in context.missing),
        REMOVE_DEAD_PEERS if context.missing and not waiting and after > 0 and context.proves_quorum else None,
    )


def _evidence(observations: tuple[PeerObservation, ...]) -> tuple[str, ...]:
    return tuple(o.evidence for o in observations)


def _terms_and_logs(context: DiagnosisContext) -> tuple[str, ...]:
    """Whose log is newest: who can win an election, and whom a recovery by hand must not leave out."""
    seen = [v for v in context.listed_vantages if v.term is not None or v.last_log_index is not None]
    return tuple(f"{v.label}: {v.state or 'state unknown'}, {_log_in_words(v)}" for v in seen)


def _log_in_words(vantage: Vantage) -> str:
    index_alone = vantage.last_log_term is None
    end = f"index {vantage.log_end}" if index_alone else f"{vantage.log_end} (term/index)"
    return f"{'' if vantage.term is None else f'term {vantage.term}, '}log ends at {end}"
