"""Checks of what nobody looks at while all is well: certificates, clocks, settings, snapshots, files left behind."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.dataclass import dataclass
from runbook.raft.diagnosis.context import DiagnosisContext, Phase
from runbook.raft.diagnosis.findings import Certainty, Finding, Severity, format_count, server_of

DAY = 86400.0
EXPIRES_SOON = 14 * DAY
LAST_PART = 6  # of the life of a certificate; one of three days is renewed long before a fortnight
DRIFT = 5.0  # seconds: far more than the second that a Date shows


@dataclass(frozen=True)
class Upkeep:
    """What the machine that looks shows of a cluster.

    ``peers_json`` are the paths of such files that lie there. ``snapshots`` is the folder that was looked at, and
    ``snapshot_age`` None where it has no snapshot. ``cleans_up``: the product does, unless it is told not to.
    """

    peers_json: tuple[str, ...] = ()
    snapshots: str = ""
    snapshot_age: float | None = None
    snapshot_limit: float = 0.0
    cleans_up: bool = False


NO_UPKEEP = Upkeep()


def upkeep_findings(context: DiagnosisContext, upkeep: Upkeep) -> Iterator[Finding]:
    """Everything that will be missed on the worst night."""
    yield from _certificates(context)
    yield from _clocks(context)
    yield from _zeroed_settings(context)
    if upkeep.peers_json:
        yield _left_file(upkeep)
    yield from _old_snapshot(upkeep)
    settings = context.view.autopilot
    if upkeep.cleans_up and context.phase is Phase.HAS_LEADER and settings and not settings.cleanup_dead_servers:
        yield _clean_up_off()


def _certificates(context: DiagnosisContext) -> Iterator[Finding]:
    seen = [
        (v, v.certificate_left, v.certificate_life)
        for v in context.view.answering
        if v.certificate_left is not None and v.certificate_life is not None
    ]
    soon = [(v, left) for v, left, life in seen if left < min(EXPIRES_SOON, life / LAST_PART)]
    if soon:
        first = min(left for _, left in soon)
        yield Finding(
            "CertificateExpires",
            Severity.WARNING,
            Certainty.CERTAIN,
            f"{'the certificate' if len(soon) == 1 else f'certificates of {len(soon)} servers'} "
            f"{'expires' if len(soon) == 1 else 'expire'} in {in_words(first)}",
            tuple(f"{v.label}: {in_words(left)} left at {v.url}" for v, left in soon),
            "Renew it, and let the server read it again: once it has expired nobody can ask the server any more",
            tuple(server_of(v) for v, _ in soon),
        )


def _clocks(context: DiagnosisContext) -> Iterator[Finding]:
    told = [(v, v.clock_drift) for v in context.view.answering if v.clock_drift is not None]
    off = [(v, drift) for v, drift in told if abs(drift) >= DRIFT]
    if not off:
        return
    ours = len(off) == len(told) > 1 and len({drift > 0 for _, drift in off}) == 1
    yield Finding(
        "ClockDrift",
        Severity.WARNING,
        Certainty.CERTAIN,
        "the clock of this host differs from those of all servers"
        if ours
        else f"this host's clock differs from that of {format_count(len(off), 'server')}",
        tuple(f"{v.label} is at least {abs(d):.0f} s {'ahead of' if d > 0 else 'behind'} this host" for v, d in off),
        f"Set {'this clock' if ours else 'the clocks'} by NTP: certificates, tokens and logs are read by them",
        tuple(server_of(v) for v, _ in off),
    )


def _zeroed_settings(context: DiagnosisContext) -> Iterator[Finding]:
    settings = context.view.autopilot
    if context.phase is Phase.HAS_LEADER and settings is not None and settings.zeroed:
        yield Finding(
            "AutopilotZeroed",
            Severity.WARNING,
            Certainty.CERTAIN,
            "autopilot's thresholds are 0 s, so every server counts as ill and no new one becomes a voter",
            ("LastContactThreshold or ServerStabilizationTime is 0s",),
            "Write autopilot's whole configuration again: a partial write sets the rest to zero",
        )


def _left_file(upkeep: Upkeep) -> Finding:
    return Finding(
        "PeersJsonLeft",
        Severity.WARNING,
        Certainty.CERTAIN,
        "a peers.json lies on this host: at its next start the server would take its configuration from there",
        upkeep.peers_json,
        "If no recovery is under way, move it away before anybody restarts the server",
    )


def _old_snapshot(upkeep: Upkeep) -> Iterator[Finding]:
    if not upkeep.snapshots or (upkeep.snapshot_age is not None and upkeep.snapshot_age <= upkeep.snapshot_limit):
        return
    age = upkeep.snapshot_age
    what = "there is no snapshot" if age is None else f"the newest snapshot is {in_words(age)} old"
    yield Finding(
        "SnapshotOld",
        Severity.WARNING,
        Certainty.CERTAIN,
        f"{what}, and {in_words(upkeep.snapshot_limit)} is the limit",
        (f"{upkeep.snapshots} was looked at for *.snap",),
        "Take one, and see why the last was not taken",
        playbook="take-snapshot",
    )


def _clean_up_off() -> Finding:
    return Finding(
        "CleanUpOff",
        Severity.NOTICE,
        Certainty.CERTAIN,
        "autopilot's clean-up is off, so a dead server counts for quorum until somebody removes it",
        ("CleanupDeadServers is false",),
        "Leave it so where this is meant; else switch it on, or run remove-dead-peers by a timer",
    )


def in_words(seconds: float) -> str:
    """``3 days``, ``5 hours`` or ``40 minutes``, rounded down; less than nothing is as good as nothing."""
    for size, word in ((DAY, "day"), (3600.0, "hour")):
        if seconds >= 2 * size:
            return format_count(int(seconds // size), word)
    return format_count(max(0, int(seconds // 60)), "minute")
