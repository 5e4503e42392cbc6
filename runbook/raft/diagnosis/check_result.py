"""What one check came to, with the numbers that a monitor draws: the same for its line, its JSON and its series."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from runbook.dataclass import dataclass
from runbook.raft.diagnosis.findings import command_for
from runbook.raft.diagnosis.health import CRITICAL, OK, UNKNOWN, WARNING, ClusterHealth
from runbook.raft.diagnosis.thresholds import NO_THRESHOLDS, Thresholds

LEVELS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")


@dataclass(frozen=True)
class ClusterIdentity:
    """How monitors tell clusters apart. ``cluster`` is its name in the inventory, else the ``instance``, which is the
    first address at which it is asked.
    """

    cluster: str
    kind: str
    instance: str

    @property
    def name(self) -> str:
        """As a view and a lock call it, ``nomad:prod``."""
        return f"{self.kind}:{self.cluster}"


@dataclass(frozen=True)
class CheckResult:
    """``health`` is None where nobody could look, and then ``sentence`` says why.

    ``flapping``: the state has changed so often lately that a change is no news. ``remarks`` are what this token or
    this user may not read, and what went wrong beside the look: they are said, and fail nothing.
    """

    identity: ClusterIdentity
    level: int
    sentence: str
    seconds: float
    health: ClusterHealth | None = None
    thresholds: Thresholds = NO_THRESHOLDS
    flapping: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of the worst finding that is a problem; empty where the numbers say all, or nothing could be seen."""
        return self.health.worst if self.health and self.level not in (OK, UNKNOWN) else ""

    @property
    def numbers(self) -> Iterator[tuple[Metric, float]]:
        """Every number that is known: where nobody gave one, a 0 would be a lie, and a graph would believe it."""
        for metric in METRICS:
            value = metric.read(self.health) if self.health and self.health.voters else None
            if value is not None:
                yield metric, value
        yield SECONDS, self.seconds


@dataclass(frozen=True)
class Metric:
    """One number of a check; its name is a promise to whoever draws it."""

    name: str
    summary: str
    read: Callable[[ClusterHealth], float | None]
    unit: str = ""


METRICS = (
    Metric("voters", "Voters in the Raft configuration.", lambda health: health.voters),
    Metric("live_voters", "Voters that answer.", lambda health: health.live_voters),
    Metric("failure_tolerance", "How many more voters may fail.", lambda health: health.failure_tolerance),
    Metric("dead", "Peers that look dead.", lambda health: health.dead),
    Metric("unknown", "Peers that are proven neither alive nor dead.", lambda health: health.unknown),
    Metric("leader", "Whether there is a leader.", lambda health: int(health.has_leader)),
    Metric("certificate_days", "Days until the first certificate expires.", lambda health: health.certificate_days),
    Metric("clock_drift", "How far a clock is off at least.", lambda health: health.clock_drift, "s"),
    Metric("snapshot_age", "Age of the newest snapshot.", lambda health: health.snapshot_age, "s"),
)
SECONDS = Metric("seconds", "How long the check took.", lambda _: None, "s")
METRIC_NAMES = tuple(metric.name for metric in (*METRICS, SECONDS))


def with_thresholds(result: CheckResult, thresholds: Thresholds) -> CheckResult:
    """The same, held against what the operator wants to be told. It raises the level, and never lowers it."""
    known = {metric.name: value for metric, value in result.numbers}
    crossed = [
        (level, f"{name} is {known[name]:.6g}, {'in' if each.inside else 'not in'} {each.text.lstrip('@')} ({word})")
        for level, word, ranges in (
            (CRITICAL, "critical", thresholds.critical),
            (WARNING, "warning", thresholds.warning),
        )
        for name, each in ranges.items()
        if name in known and each.alerts(known[name])
    ]
    worst = max((level for level, _ in crossed), default=OK)
    raises = worst == CRITICAL if result.level == UNKNOWN else worst > result.level
    if not raises:
        return replace(result, thresholds=thresholds)
    words = "; ".join(text for level, text in crossed if level == worst)
    then = "" if "; next: " in result.sentence else f"; next: {command_for(result.identity.name, None)}"
    sentence = f"{words}; {result.sentence.removeprefix('healthy: ')}{then}"
    return replace(result, level=worst, sentence=sentence, thresholds=thresholds)
