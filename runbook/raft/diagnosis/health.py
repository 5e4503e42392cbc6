"""One cluster in one line: what a monitor asks for, computed from one look and from what is diagnosed in it."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from runbook.dataclass import dataclass
from runbook.raft.diagnosis.context import DiagnosisContext
from runbook.raft.diagnosis.diagnose import diagnose
from runbook.raft.diagnosis.findings import Certainty, Finding, Severity, command_for
from runbook.raft.diagnosis.upkeep import DAY, NO_UPKEEP, Upkeep
from runbook.raft.left_out import NOBODY, LeftOutList
from runbook.raft.liveness import Liveness, Verdict, judge_once
from runbook.raft.model import ClusterView
from runbook.raft.quorum import failure_tolerance

OK, WARNING, CRITICAL, UNKNOWN = range(4)  # a monitoring plugin's exit codes
LEVEL_OF_FINDING = {  # what a finding is worth by itself; any other is a hint beside what the numbers say
    (Severity.CRITICAL, Certainty.CERTAIN): CRITICAL,
    (Severity.CRITICAL, Certainty.LIKELY): WARNING,
    (Severity.WARNING, Certainty.CERTAIN): WARNING,
}


@dataclass(frozen=True)
class ClusterHealth:
    """One cluster as a monitor sees it.

    ``level`` is OK, WARNING, CRITICAL or UNKNOWN; ``findings`` are those of ``runbook diagnose``, worst first.
    """

    level: int
    sentence: str
    voters: int
    live_voters: int
    failure_tolerance: int
    dead: int
    unknown: int
    has_leader: bool
    findings: tuple[Finding, ...]
    certificate_days: float | None = None
    clock_drift: float | None = None
    snapshot_age: float | None = None

    @property
    def worst(self) -> str:
        """The name of the finding that weighs most; empty where none is a problem."""
        found = worst_problem(self.findings)
        return found.name if found else ""


def cluster_health(
    view: ClusterView,
    *,
    removed: Collection[str] = (),
    earlier: Collection[ClusterView] = (),
    left_out: LeftOutList = NOBODY,
    upkeep: Upkeep = NO_UPKEEP,
) -> ClusterHealth:
    """Count who is alive and say what it means. A peer that looks dead in one look counts as dead here, and only here.

    ``removed``: ids that earlier runs took out of this cluster; ``earlier``: the looks before this one;
    ``left_out``: whom a recovery left out of it; ``upkeep``: what the machine that looks shows of its upkeep.
    """
    seen = view.best_configuration
    verdicts: tuple[Verdict, ...] = tuple(judge_once(view, peer) for peer in seen.peers) if seen else ()
    voting = [verdict for verdict in verdicts if verdict.peer.voter]
    context = DiagnosisContext(view, frozenset(removed), left_out=left_out)
    live = context.live
    dead = sum(verdict.liveness is Liveness.DEAD for verdict in verdicts)
    by_numbers, sentence = _level_and_sentence(context, dead)
    findings = diagnose(view, removed=removed, earlier=earlier, left_out=left_out, upkeep=upkeep)
    certificates = [v.certificate_left for v in view.answering if v.certificate_left is not None]
    drifts = [abs(v.clock_drift) for v in view.answering if v.clock_drift is not None]
    level = level_of(by_numbers, findings) if voting else UNKNOWN
    decides = level != by_numbers or bool(context.returned)  # who is back is told by name, whatever the numbers are
    return ClusterHealth(
        level=level,
        sentence=_format_sentence(view.cluster, findings, sentence, decides=decides),
        voters=len(voting),
        live_voters=live,
        failure_tolerance=failure_tolerance(len(voting), live),
        dead=dead,
        unknown=sum(verdict.liveness is Liveness.UNKNOWN for verdict in verdicts),
        has_leader=view.leader_id is not None,
        findings=findings,
        certificate_days=min(certificates) / DAY if certificates else None,
        clock_drift=max(drifts, default=None),
        snapshot_age=upkeep.snapshot_age,
    )


def level_of(by_numbers: int, findings: Iterable[Finding]) -> int:
    """The worse of the two. What is certain and critical is never OK, nor hidden by numbers that could not be had."""
    worst = max((LEVEL_OF_FINDING.get((f.severity, f.certainty), OK) for f in findings), default=OK)
    if by_numbers == UNKNOWN:
        return CRITICAL if worst == CRITICAL else UNKNOWN
    return max(by_numbers, worst)


def worst_problem(findings: Iterable[Finding]) -> Finding | None:
    """The one that weighs most of those that are more than worth knowing."""
    problems = [f for f in findings if f.severity in (Severity.CRITICAL, Severity.WARNING)]
    if not problems:
        return None
    return max(problems, key=lambda f: LEVEL_OF_FINDING.get((f.severity, f.certainty), OK))


def _format_sentence(cluster: str, findings: Collection[Finding], numbers: str, *, decides: bool) -> str:
    """The worst finding by name, first where it decides the level, and the command that comes next."""
    worst = worst_problem(findings)
    if worst is None:
        return numbers
    name = f"{worst.name} ({worst.certainty.value})"
    command = command_for(cluster, worst.playbook)
    if decides:
        return f"{name}: {worst.sentence}; {numbers.removeprefix('healthy: ')}; next: {command}"
    return f"{numbers}; {name}; next: {command}"


def _level_and_sentence(context: DiagnosisContext, dead: int) -> tuple[int, str]:
    view, voters, live = context.view, len(context.voters), context.live
    if voters == 0:
        return UNKNOWN, view.error_text or "no server returned a Raft configuration"
    needed = context.voter_counts
    if view.leader_id is None and view.error_kind not in ("no_leader", "unavailable"):
        return UNKNOWN, view.error_text or "the leader could not be asked"
    if view.leader_id is None:
        return CRITICAL, f"no leader: {needed}"
    if failure_tolerance(voters, live) == 0 and voters > 1:
        return CRITICAL, f"no further voter may fail: {needed}"
    if live < voters or dead:
        return WARNING, f"degraded: {needed}"
    return OK, f"healthy: {needed}"
