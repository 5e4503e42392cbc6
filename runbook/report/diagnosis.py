"""A diagnosis as a person reads it at 3 a.m.: what is wrong, what to do next, and then a line a server."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from runbook.printable import printable_line
from runbook.raft.diagnosis.findings import Finding, Severity, command_for
from runbook.raft.diagnosis.observations import observe_peer, observe_peers
from runbook.raft.liveness import judge_once
from runbook.raft.model import ClusterView, Peer, Vantage

WIDTH = 100
MARKS = {Severity.CRITICAL: "CRITICAL", Severity.WARNING: "WARNING", Severity.NOTICE: "NOTICE", Severity.OK: "OK"}


def format_diagnosis(view: ClusterView, findings: Sequence[Finding], width: int = WIDTH) -> list[str]:
    """Everything, at most ``width`` columns wide where words allow it."""
    shown: set[str] = set()
    found = [line for finding in findings for line in (*_format_finding(finding, view.cluster, shown, width), "")]
    lines = [f"{view.cluster}, as this host sees it", "", *found, *_format_servers(view, width)]
    return [printable_line(line) for line in lines]


def _format_finding(finding: Finding, cluster: str, shown: set[str], width: int) -> Iterator[str]:
    """Evidence that stands under a worse finding is not read again."""
    sure = "" if finding.severity is Severity.OK else f" ({finding.certainty.value})"
    head = f"{MARKS[finding.severity]:<9} {finding.name}{sure}: {finding.sentence}"
    yield from _wrapped(head, "", " " * 10, width)
    for words in (words for words in finding.evidence if words not in shown):
        yield from _wrapped(words, " " * 10 + "- ", " " * 12, width)
    shown.update(finding.evidence)
    if finding.severity is not Severity.OK:
        yield from _wrapped(f"next: {finding.next_action}", " " * 10, " " * 16, width)
    if finding.playbook:
        yield f"{'':10}run:  {command_for(cluster, finding.playbook)}"


def _wrapped(text: str, first: str, then: str, width: int) -> list[str]:
    return textwrap.wrap(
        printable_line(text),
        width,
        initial_indent=first,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _format_servers(view: ClusterView, width: int) -> Iterator[str]:
    seen = view.best_configuration
    if seen is None or not seen.peers:
        return
    yield "servers"
    wide = max(len(peer.label) for peer in seen.peers)
    for peer in (observation.peer for observation in observe_peers(view)):
        verdict = judge_once(view, peer)
        yield from _wrapped(
            f"{verdict.liveness.value:<8} {peer.label:<{wide}}  {_describe(view, peer)}", "  ", " " * (wide + 13), width
        )
    listed = {word for peer in seen.peers for word in (peer.id, peer.address)}
    for vantage in view.answering:
        if not {vantage.server_id, vantage.raft_address} & listed:
            name = vantage.label
            yield f"  {'alive':<8} {name:<{wide}}  {vantage.raft_address}; not in the configuration"


def _describe(view: ClusterView, peer: Peer) -> str:
    own = view.vantage_of(peer)
    role = "leader" if peer.id == view.leader_id else "voter" if peer.voter else "non-voter"
    observation = observe_peer(view, peer)
    if own is not None:
        other = f"; {own.trouble}" if own.trouble and own.expected_id not in (None, own.server_id) else ""
        return f"{peer.address}; {role}{_numbers(own)}; {observation.opinions_in_words}{other}"
    looks = "looks dead: " if observation.looks_dead else ""
    return f"{peer.address}; {role}; {looks}{observation.words}; {observation.opinions_in_words}"


def _numbers(vantage: Vantage) -> str:
    term = f", term {vantage.term}" if vantage.term is not None else ""
    log = f", log {vantage.log_end}" if vantage.last_log_index is not None else ""
    return term + log


def server_rows(view: ClusterView) -> list[dict[str, object]]:
    """The servers for a machine: the same that a person reads, with stable keys."""
    return [
        {
            "id": s.peer.id,
            "address": s.peer.address,
            "name": s.peer.label,
            "voter": s.peer.voter,
            "leader": s.peer.id == view.leader_id,
            "verdict": judge_once(view, s.peer).liveness.value,
            "appearance": s.appearance.name.lower(),
            "looks_dead": s.looks_dead,
            "evidence": s.evidence,
        }
        for s in observe_peers(view)
    ]
