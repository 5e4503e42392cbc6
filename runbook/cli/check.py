"""``runbook check`` and ``runbook diagnose``: one look, told to a monitor or to a person."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict

from runbook.cluster.environment import SettingsError, cluster_from
from runbook.cluster.http import within
from runbook.raft.health import Health, health_of

LEVELS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")


def check_once(timeout: float, form: str) -> tuple[str, int]:
    """The line to print and the plugin's exit code. Never raises, never longer than ``timeout`` seconds."""
    started = time.monotonic()
    try:
        cluster = cluster_from(os.environ, read_only=True)
        health = within(timeout, lambda: health_of(cluster.look()))
    except TimeoutError:
        return f"RAFT UNKNOWN - no whole look within {timeout:g} s", 3
    except Exception as error:
        return f"RAFT UNKNOWN - {' '.join(str(error).split())}", 3
    seconds = time.monotonic() - started
    return (_as_json(health, seconds) if form == "json" else _as_nagios(health, seconds)), health.level


def _as_nagios(health: Health, seconds: float) -> str:
    sentence = health.sentence.replace("|", "/")
    data = (
        f"voters={health.voters} live_voters={health.live_voters} failure_tolerance={health.failure_tolerance} "
        f"dead={health.dead} unknown={health.unknown} leader={int(health.has_leader)} seconds={seconds:.3f}s"
    )
    return f"RAFT {LEVELS[health.level]} - {sentence} | {data}"


def _as_json(health: Health, seconds: float) -> str:
    numbers = {key: value for key, value in asdict(health).items() if key != "verdicts"}
    return json.dumps({"status": LEVELS[health.level], **numbers, "seconds": round(seconds, 3)})


def diagnosis() -> str:
    """A line a server with its evidence, after one sentence on the cluster."""
    try:
        view = cluster_from(os.environ, read_only=True).look()
    except SettingsError as error:
        print(f"runbook: {error}", file=sys.stderr)
        sys.exit(2)
    health = health_of(view)
    if not health.verdicts:
        print(f"runbook: {health.sentence}", file=sys.stderr)
        sys.exit(4)
    rows = [
        f"  {verdict.liveness.value:<8}{verdict.peer.label:<20}{verdict.peer.address:<24}"
        f"{'leader, ' if verdict.peer.id == view.leader_id else ''}{'voter' if verdict.peer.voter else 'non-voter'}"
        f"; {'; '.join(verdict.evidence)}"
        for verdict in health.verdicts
    ]
    return "\n".join([f"{health.sentence}; failure tolerance {health.failure_tolerance}", *rows])
