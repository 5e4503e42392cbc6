"""What is wrong with this cluster, by name: a pure function of one view. Worst first, and always at least one finding.

Everything is decided on what the view holds; nothing here lets a server be removed. docs/diagnoses.md has a line for
each name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from runbook.errors import ErrorKind
from runbook.raft.diagnosis.configuration_checks import configuration_findings
from runbook.raft.diagnosis.context import DiagnosisContext, Phase
from runbook.raft.diagnosis.findings import (
    Certainty,
    Finding,
    Severity,
    format_count,
    format_names,
    server_of,
    worst_first,
)
from runbook.raft.diagnosis.left_out_checks import left_out_findings
from runbook.raft.diagnosis.quorum_checks import quorum_findings
from runbook.raft.diagnosis.server_checks import server_findings
from runbook.raft.diagnosis.upkeep import NO_UPKEEP, Upkeep, upkeep_findings
from runbook.raft.left_out import NOBODY, LeftOutList
from runbook.raft.model import ClusterView, Reach, Vantage


def diagnose(
    view: ClusterView,
    *,
    removed: Collection[str] = (),
    earlier: Collection[ClusterView] = (),
    left_out: LeftOutList = NOBODY,
    upkeep: Upkeep = NO_UPKEEP,
) -> tuple[Finding, ...]:
    """Name everything that is wrong, worst first.

    Args:
        removed: ids that earlier runs took out of this cluster.
        earlier: the looks before this one, oldest first.
        left_out: whom a recovery left out of this cluster; their ports are in the view's probes.
        upkeep: what this machine shows of its upkeep.
    """
    context = DiagnosisContext(view, frozenset(removed), tuple(earlier), left_out)
    found = [
        *left_out_findings(context),
        *_access(context),
        *quorum_findings(context),
        *server_findings(context),
        *configuration_findings(context),
        *_history_findings(context),
        *upkeep_findings(context, upkeep),
    ]
    if all(finding.severity in (Severity.NOTICE, Severity.OK) for finding in found):
        found.append(_healthy(context))
    return worst_first(found)


def _healthy(context: DiagnosisContext) -> Finding:
    return Finding(
        "Healthy",
        Severity.OK,
        Certainty.CERTAIN,
        f"{context.voter_counts}; {context.tolerance or 'no'} more may fail",
        (f"{context.leader.label} leads" if context.leader else "there is a leader",),
        "Nothing to do",
    )


def _access(context: DiagnosisContext) -> Iterator[Finding]:
    """What keeps this host from reading the cluster."""
    refused = [v for v in context.view.vantages if v.forbidden]
    if context.phase is Phase.UNREADABLE:
        yield _nothing_readable(context, forbidden=bool(refused) or context.view.error_kind == "forbidden")
    elif refused:
        yield Finding(
            "Forbidden",
            Severity.WARNING,
            Certainty.CERTAIN,
            f"{len(refused)} of {len(context.view.vantages)} addresses refuse this token",
            tuple(v.trouble or v.url for v in refused),
            "Give a token with the permission that is named; a new ACL may not have reached that server yet",
            tuple(server_of(v) for v in refused),
        )
    for vantage in context.view.vantages:
        if vantage.other_id is not None:
            yield Finding(
                "SharedAddress",
                Severity.WARNING,
                Certainty.CERTAIN,
                f"two servers answer at {vantage.url} (a load balancer?), so replies from there are not counted",
                (f"asked twice, it said {vantage.server_id} and {vantage.other_id}",),
                "Give the servers' own addresses, separated by commas",
                (server_of(vantage),),
            )


def _nothing_readable(context: DiagnosisContext, *, forbidden: bool) -> Finding:
    sealed = [vantage for vantage in context.view.vantages if vantage.state == "Sealed"]
    if sealed:
        return _all_sealed(context, sealed)
    heard = [vantage for vantage in context.view.vantages if vantage.reach is Reach.ANSWERED]
    unshown = heard and all(vantage.configuration is None for vantage in heard)
    if unshown and not forbidden and context.view.error_kind == ErrorKind.NO_LEADER.value:
        return _nobody_leads(heard)
    answering = len(context.view.answering)
    trouble = (context.view.error_text,) if context.view.error_text else ()
    reasons = tuple(v.trouble for v in context.view.vantages if v.trouble)
    if forbidden:
        sentence, next_action = "this token may not read the cluster", "Give a token with the permission that is named"
    elif answering:
        sentence = f"{answering} servers answer and none holds a Raft configuration"
        next_action = "If these servers are new, join them to the cluster; otherwise check the addresses given"
    elif heard:
        sentence = f"{format_count(len(heard), 'server')} asked answered, and none showed the cluster"
        next_action = "Read what they answered; or give another server's own address"
    else:
        sentence, next_action = (
            "no server answers this host",
            "Give a server's own address, or run this on another machine",
        )
    return Finding(
        "Forbidden" if forbidden else "Unreachable",
        Severity.CRITICAL,
        Certainty.CERTAIN,
        sentence,
        reasons or trouble or ("no address gave a reason",),
        next_action,
        tuple(server_of(v) for v in context.view.vantages),
    )


def _nobody_leads(heard: list[Vantage]) -> Finding:
    """Where a server passes even the configuration on to the leader, it shows nothing while there is none."""
    one = len(heard) == 1
    shows = "1 server answers, and it does not show" if one else f"{len(heard)} servers answer, and none of them shows"
    return Finding(
        "QuorumLostTransient",
        Severity.CRITICAL,
        Certainty.POSSIBLE,
        f"there is no leader: {shows} the configuration without one",
        tuple(vantage.trouble or vantage.url for vantage in heard),
        "Run runbook diagnose again in 10 s. If there is still no leader, start or unseal as many of the other servers "
        "as make a quorum",
        tuple(server_of(vantage) for vantage in heard),
    )


def _history_findings(context: DiagnosisContext) -> Iterator[Finding]:
    """What no single look shows: servers whose ports opened and closed while somebody looked."""
    if not context.looping:
        return
    peers = list(context.looping)
    seconds = context.view.taken_at - context.earlier[0].taken_at
    yield Finding(
        "CrashLooping",
        Severity.WARNING,
        Certainty.LIKELY,
        f"{format_names(peers)} {'comes and goes' if len(peers) == 1 else 'come and go'}",
        tuple(
            f"port {peer.address} of {peer.label} opened or closed {changes} times in {seconds:.0f} s"
            for peer, changes in context.looping.items()
        ),
        "Read its log on its host: it crashes and is started again. Mend that, or stop it for good; "
        "runbook removes nothing meanwhile",
        tuple(server_of(peer) for peer in peers),
    )


def _all_sealed(context: DiagnosisContext, sealed: list[Vantage]) -> Finding:
    """As after a power failure: every server runs, and none has its key."""
    return Finding(
        "SealedServer",
        Severity.CRITICAL,
        Certainty.CERTAIN,
        f"no server shows the cluster; {format_count(len(sealed), 'server')} of {len(context.view.vantages)} asked "
        f"{'is' if len(sealed) == 1 else 'are'} sealed",
        tuple(vantage.trouble or vantage.url for vantage in context.view.vantages),
        f"{sealed[0].settled_by}; likewise the others, as many as make a quorum",
        tuple(server_of(vantage) for vantage in sealed),
    )
