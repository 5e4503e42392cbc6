"""The check of one cluster as it comes home from a worker: plain data, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from runbook.dataclass import dataclass
from runbook.decode import ODD
from runbook.errors import NotStartedError
from runbook.raft.diagnosis.check_result import LEVELS
from runbook.raft.diagnosis.findings import Certainty, Finding, Server, Severity
from runbook.raft.diagnosis.health import UNKNOWN, ClusterHealth
from runbook.text import beginning

MOST_FINDINGS = 100
LONGEST_TEXT = 8 * 1024  # characters
_TEXTS = ("name", "sentence", "next_action")
_NUMBERS = ("voters", "live_voters", "failure_tolerance", "dead", "unknown")


@dataclass(frozen=True)
class FarCheck:
    """What a worker saw: ``health`` is None where it could not look, and then ``sentence`` says why."""

    sentence: str
    seconds: float
    health: ClusterHealth | None = None
    remarks: tuple[str, ...] = ()


def check_reply(check: FarCheck) -> dict[str, Any]:
    """As it is sent."""
    health = None
    if check.health is not None:
        plain = {each.name: getattr(check.health, each.name) for each in fields(ClusterHealth)}
        health = {**plain, "findings": [finding.record() for finding in check.health.findings[:MOST_FINDINGS]]}
    return {"sentence": check.sentence, "seconds": check.seconds, "health": health, "remarks": list(check.remarks)}


def read_check_reply(data: Any) -> FarCheck:
    """Raises NotStartedError for whatever else came."""
    try:
        told = data["health"]
        health = None if told is None else _health(told)
        seconds = float(data["seconds"])
        remarks = tuple(_text(words) for words in data["remarks"])[:MOST_FINDINGS]
        return FarCheck(_text(data["sentence"]), seconds, health, remarks)
    except (RecursionError, *ODD):
        raise NotStartedError(
            "what a worker sent is no check of this version", "Use one version of runbook everywhere"
        ) from None


def _health(told: Mapping[str, Any]) -> ClusterHealth:
    level = told["level"]
    if type(level) is not int or level not in range(len(LEVELS)):
        raise ValueError("no level")
    return ClusterHealth(
        level=level,
        sentence=_text(told["sentence"]),
        has_leader=told["has_leader"] is True,
        findings=tuple(map(_finding, told["findings"]))[:MOST_FINDINGS],
        **{name: _whole(told[name]) for name in _NUMBERS},
        certificate_days=_maybe(told["certificate_days"]),
        clock_drift=_maybe(told["clock_drift"]),
        snapshot_age=_maybe(told["snapshot_age"]),
    )


def _finding(told: Mapping[str, Any]) -> Finding:
    playbook = told["playbook"]
    return Finding(
        severity=Severity(told["severity"]),
        certainty=Certainty(told["certainty"]),
        evidence=tuple(_text(words) for words in told["evidence"]),
        servers=tuple(Server(*(_text(one[key]) for key in ("id", "address", "name"))) for one in told["servers"]),
        playbook=None if playbook is None else _text(playbook),
        **{name: _text(told[name]) for name in _TEXTS},
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return beginning(value, LONGEST_TEXT)


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("no number")
    return value


def _maybe(value: Any) -> float | None:
    return None if value is None else float(value)


def unseen(sentence: str, seconds: float = 0.0) -> FarCheck:
    return FarCheck(sentence, seconds)


def level_of_check(check: FarCheck) -> int:
    return check.health.level if check.health else UNKNOWN
