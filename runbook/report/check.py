"""A check for its readers: a monitoring plugin's line, some lines for a person, JSON, and series for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from runbook.printable import printable_line
from runbook.raft.diagnosis.check_result import LEVELS, METRICS, SECONDS, CheckResult
from runbook.raft.diagnosis.health import ClusterHealth

PREFIX = "runbook_raft"


def format_nagios(result: CheckResult) -> str:
    """``RAFT OK - sentence | voters=5 …``: one line, in which nothing of others begins another or the numbers."""
    told = f"{'flapping; ' if result.flapping else ''}{result.sentence}"
    sentence = "; ".join([told, *result.remarks]).replace("|", "/")
    line = f"RAFT {LEVELS[result.level]} - {printable_line(' '.join(sentence.split()))}"
    return f"{line} | {_performance(result)}" if result.health else line


def _performance(result: CheckResult) -> str:
    """``name=value[unit];[warning];[critical]``, without the semicolons where no threshold is given."""
    warning, critical = result.thresholds.warning, result.thresholds.critical
    data = []
    for metric, value in result.numbers:
        ranges = ";".join(each[metric.name].text if metric.name in each else "" for each in (warning, critical))
        number = f"{value:.3f}" if isinstance(value, float) else str(value)
        data.append(f"{metric.name}={number}{metric.unit}{f';{ranges}' if ranges != ';' else ''}".rstrip(";"))
    return " ".join(data)


def format_for_person(result: CheckResult) -> list[str]:
    """How it stands, the numbers, and each finding with what to do about it."""
    identity = result.identity
    lines = [f"{LEVELS[result.level]}  {identity.name}{'  (flapping)' if result.flapping else ''}", result.sentence, ""]
    lines += [f"  {metric.name:<18} {value:.6g}{metric.unit}" for metric, value in result.numbers]
    for finding in result.health.findings if result.health else ():
        lines += [
            "",
            f"{finding.severity.value.upper()}  {finding.name} ({finding.certainty.value}): {finding.sentence}",
        ]
        lines += [f"  {words}" for words in finding.evidence]
        lines.append(f"  {finding.next_action}")
    return [*lines, *([""] if result.remarks else []), *(f"note: {words}" for words in result.remarks)]


def health_record(health: ClusterHealth | None, error: str, seconds: float) -> dict[str, Any]:
    """The check of one cluster as plain data; these keys are a promise to whoever reads them."""
    if health is None:
        return {"status": "UNKNOWN", "sentence": error}
    values = {**asdict(health), "findings": [finding.record() for finding in health.findings]}
    known = [key for key in values if values[key] is not None] if health.voters else ["level", "sentence", "findings"]
    return {"status": LEVELS[health.level], **{key: values[key] for key in known}, "seconds": round(seconds, 3)}


def check_record(result: CheckResult) -> dict[str, Any]:
    """The same with what is around the look."""
    record = health_record(result.health, result.sentence, result.seconds)
    around = {"status": LEVELS[result.level], "sentence": result.sentence}
    if result.health:
        around["level"] = result.level  # type: ignore[assignment]  # a number beside texts
    who = asdict(result.identity)
    extra = {"flapping": result.flapping, "remarks": list(result.remarks)}
    return {**who, **record, **around, **{key: value for key, value in extra.items() if value}}


def format_prometheus(results: Sequence[CheckResult]) -> str:
    """Every series of these checks, each with the labels of its cluster, so that no two share one."""
    lines = _series("status", "0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN", [(r, r.level) for r in results])
    lines += _series("flapping", "Whether it changes too often.", [(r, int(r.flapping)) for r in results])
    for metric in METRICS:
        shown = [(r, value) for r in results for each, value in r.numbers if each is metric]
        lines += _series(metric.name, metric.summary, shown) if shown else []
    lines += _series("check_seconds", SECONDS.summary, [(r, round(r.seconds, 3)) for r in results])
    return "".join(f"{line}\n" for line in lines)


def _series(name: str, summary: str, values: Iterable[tuple[CheckResult, float]]) -> list[str]:
    head = [f"# HELP {PREFIX}_{name} {summary}", f"# TYPE {PREFIX}_{name} gauge"]
    return head + [f"{PREFIX}_{name}{{{_labels(asdict(r.identity))}}} {value}" for r, value in values]


def _labels(identity: Mapping[str, str]) -> str:
    return ",".join(f'{key}="{_escaped(value)}"' for key, value in identity.items())


def _escaped(value: str) -> str:
    return printable_line(value).replace("\\", "\\\\").replace('"', '\\"')
