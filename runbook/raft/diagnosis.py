"""What is wrong with this cluster, by name: a pure function of one view. Worst first, and always at least one finding.

Everything is decided on what the view holds; nothing here lets a server be removed. docs/diagnoses.md has a line for
each name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from runbook.raft.findings import Certainty, Finding, Severity, server_of, worst_first
from runbook.raft.ill_servers import server_findings
from runbook.raft.model import ClusterView
from runbook.raft.odd_records import record_findings
from runbook.raft.scene import Phase, Scene
from runbook.raft.without_quorum import quorum_findings


def diagnose(view: ClusterView, *, removed: Collection[str] = ()) -> tuple[Finding, ...]:
    """Every finding, the worst first. ``removed``: ids that earlier runs took out of this cluster."""
    scene = Scene.of(view, removed)
    found = [*_access(scene), *quorum_findings(scene), *server_findings(scene), *record_findings(scene)]
    if all(finding.severity in (Severity.NOTICE, Severity.OK) for finding in found):
        found.append(_healthy(scene))
    return worst_first(found)


def _healthy(scene: Scene) -> Finding:
    return Finding(
        "Healthy",
        Severity.OK,
        Certainty.CERTAIN,
        f"{scene.numbers}; {scene.tolerance or 'no'} more may fail",
        (f"{scene.leader.label} leads" if scene.leader else "there is a leader",),
        "Nothing to do",
    )


def _access(scene: Scene) -> Iterator[Finding]:
    """What keeps this host from seeing."""
    refused = [v for v in scene.view.vantages if v.forbidden]
    if scene.phase is Phase.DARK:
        yield _dark(scene, forbidden=bool(refused) or scene.view.trouble == "forbidden")
    elif refused:
        yield Finding(
            "Forbidden",
            Severity.WARNING,
            Certainty.CERTAIN,
            f"{len(refused)} of {len(scene.view.vantages)} addresses refuse this token",
            tuple(v.trouble or v.url for v in refused),
            "Give a token with the permission that is named; an ACL may not have reached that server yet",
            tuple(server_of(v) for v in refused),
        )
    for vantage in scene.view.vantages:
        if vantage.other_id is not None:
            yield Finding(
                "SharedAddress",
                Severity.WARNING,
                Certainty.CERTAIN,
                f"two servers answer at {vantage.url}: it is a load balancer's, and nobody knows who says what there",
                (f"asked twice, it said {vantage.server_id} and {vantage.other_id}",),
                "Give the servers' own addresses, with commas between",
                (server_of(vantage),),
            )


def _dark(scene: Scene, *, forbidden: bool) -> Finding:
    answering = len(scene.view.answering)
    told = (scene.view.trouble_text,) if scene.view.trouble_text else ()
    reasons = tuple(v.trouble for v in scene.view.vantages if v.trouble)
    if forbidden:
        sentence, next_action = "this token may not read the cluster", "Give a token with the permission that is named"
    elif answering:
        sentence = f"{answering} servers answer and none holds a Raft configuration"
        next_action = "If these servers are new, let them join the others; else look at the addresses given"
    else:
        sentence, next_action = (
            "no server answers this host",
            "Give a server's own address, or look from another machine",
        )
    return Finding(
        "Forbidden" if forbidden else "Unreachable",
        Severity.CRITICAL,
        Certainty.CERTAIN,
        sentence,
        reasons or told or ("no address gave a reason",),
        next_action,
        tuple(server_of(v) for v in scene.view.vantages),
    )
