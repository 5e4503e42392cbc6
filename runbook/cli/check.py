"""``runbook check``: one look, told to a monitor, with what ``runbook diagnose`` finds in it."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path

from runbook.cli.diagnose import removed_by_this_user
from runbook.cluster.environment import cluster_from
from runbook.cluster.threads import within
from runbook.files import replace_file
from runbook.raft.diagnosis.health import ClusterHealth, cluster_health

LEVELS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")


def check_once(timeout: float, form: str, textfile: Path | None = None) -> tuple[str, int]:
    """The line to print and the plugin's exit code. Never raises, never longer than ``timeout`` seconds."""
    started = time.monotonic()
    health, trouble = _health(timeout)
    seconds = time.monotonic() - started
    if textfile is not None:
        try:
            write_textfile(textfile, health, seconds)
        except OSError as error:
            return f"RAFT UNKNOWN - {textfile}: {error.strerror}", 3
    if health is None:
        return (json.dumps({"status": "UNKNOWN", "sentence": trouble}) if form == "json" else _unknown(trouble)), 3
    return (_as_json(health, seconds) if form == "json" else _as_nagios(health, seconds)), health.level


def _unknown(trouble: str) -> str:
    return f"RAFT UNKNOWN - {trouble.replace('|', '/')}"


def _health(timeout: float) -> tuple[ClusterHealth | None, str]:
    """What one look tells, or why there was none."""
    try:
        cluster = cluster_from(os.environ, read_only=True)
        return within(timeout, lambda: cluster_health(cluster.look(), removed=removed_by_this_user(os.environ))), ""
    except TimeoutError:
        return None, f"no whole look within {timeout:g} s"
    except Exception as error:
        return None, " ".join(str(error).split())


def _as_nagios(health: ClusterHealth, seconds: float) -> str:
    sentence = " ".join(health.sentence.replace("|", "/").split())
    if not health.voters:  # nobody told anything: a 0 would be a lie, and a graph would believe it
        return f"RAFT {LEVELS[health.level]} - {sentence} | seconds={seconds:.3f}s"
    data = (
        f"voters={health.voters} live_voters={health.live_voters} failure_tolerance={health.failure_tolerance} "
        f"dead={health.dead} unknown={health.unknown} leader={int(health.has_leader)} seconds={seconds:.3f}s"
    )
    return f"RAFT {LEVELS[health.level]} - {sentence} | {data}"


def _as_json(health: ClusterHealth, seconds: float) -> str:
    told = {**asdict(health), "findings": [finding.record() for finding in health.findings]}
    known = told if health.voters else ("level", "sentence", "findings")
    numbers = {key: told[key] for key in known}
    return json.dumps({"status": LEVELS[health.level], **numbers, "seconds": round(seconds, 3)}, ensure_ascii=False)


_GAUGES = (
    ("status", "0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN", lambda health: health.level),
    ("voters", "Voters in the Raft configuration.", lambda health: health.voters),
    ("live_voters", "Voters that answer.", lambda health: health.live_voters),
    ("failure_tolerance", "How many more voters may fail.", lambda health: health.failure_tolerance),
    ("dead", "Peers that look dead.", lambda health: health.dead),
    ("unknown", "Peers of which nothing is proven.", lambda health: health.unknown),
    ("leader", "Whether there is a leader.", lambda health: int(health.has_leader)),
)


def write_textfile(path: Path, health: ClusterHealth | None, seconds: float) -> None:
    """For node_exporter's textfile collector: whole or not at all, and readable by the collector's own user.

    Without a look only the status (3) and the seconds are told: numbers of an hour ago would look like numbers of now.
    """
    told = (
        [(name, text, read(health)) for name, text, read in _GAUGES]
        if health and health.voters
        else [(*_GAUGES[0][:2], 3)]
    )
    told.append(("check_seconds", "How long the check took.", round(seconds, 3)))
    lines = [
        f"# HELP runbook_raft_{name} {text}\n# TYPE runbook_raft_{name} gauge\nrunbook_raft_{name} {value}\n"
        for name, text, value in told
    ]
    replace_file(path, "".join(lines).encode(), mode=0o644)
