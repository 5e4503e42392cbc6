"""One cluster in one line: what a monitor asks for, computed from one look."""

from __future__ import annotations

from dataclasses import dataclass

from runbook.raft.liveness import Liveness, Verdict, judge_once
from runbook.raft.model import ClusterView
from runbook.raft.quorum import failure_tolerance, quorum


@dataclass(frozen=True)
class Health:
    """``level`` is a monitoring plugin's exit code: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN."""

    level: int
    sentence: str
    voters: int
    live_voters: int
    failure_tolerance: int
    dead: int
    unknown: int
    has_leader: bool
    verdicts: tuple[Verdict, ...]


def health_of(view: ClusterView) -> Health:
    """The numbers and what they mean. A peer that looks dead in one look is counted as dead here, and only here."""
    seen = view.best_configuration
    verdicts = tuple(judge_once(view, peer) for peer in seen.peers) if seen else ()
    voting = [verdict for verdict in verdicts if verdict.peer.voter]
    live = sum(verdict.liveness is Liveness.ALIVE for verdict in voting)
    dead = sum(verdict.liveness is Liveness.DEAD for verdict in verdicts)
    level, sentence = _meaning(view, len(voting), live, dead)
    return Health(
        level=level,
        sentence=sentence,
        voters=len(voting),
        live_voters=live,
        failure_tolerance=failure_tolerance(len(voting), live),
        dead=dead,
        unknown=sum(verdict.liveness is Liveness.UNKNOWN for verdict in verdicts),
        has_leader=view.leader_id is not None,
        verdicts=verdicts,
    )


def _meaning(view: ClusterView, voters: int, live: int, dead: int) -> tuple[int, str]:
    if voters == 0:
        return 3, view.trouble_text or "no server told its Raft configuration"
    needed = f"{live} of {voters} voters answer, {quorum(voters)} needed"
    if view.leader_id is None and view.trouble not in ("no_leader", "unavailable"):
        return 3, view.trouble_text or "the leader could not be asked"
    if view.leader_id is None:
        return 2, f"no leader: {needed}"
    if failure_tolerance(voters, live) == 0 and voters > 1:
        return 2, f"no further voter may fail: {needed}"
    if live < voters or dead:
        return 1, f"degraded: {needed}"
    return 0, f"healthy: {needed}"
