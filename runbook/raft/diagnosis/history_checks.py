"""Checks of several looks: what no single one shows."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.raft.diagnosis.context import DiagnosisContext
from runbook.raft.diagnosis.findings import Certainty, Finding, Severity, format_names, server_of


def history_findings(context: DiagnosisContext) -> Iterator[Finding]:
    """Servers whose ports opened and closed while somebody looked."""
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
