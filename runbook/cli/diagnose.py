"""``runbook diagnose``: one look, every finding by name, and what to do next. Changes nothing."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from runbook.cli import exit_codes
from runbook.cli.telling import painted
from runbook.cluster.environment import cluster_from
from runbook.errors import JournalError, SettingsError, TransitionError
from runbook.journal.store import read
from runbook.raft.diagnosis.context import DiagnosisContext, Phase
from runbook.raft.diagnosis.diagnose import diagnose
from runbook.raft.diagnosis.findings import Finding
from runbook.raft.model import ClusterView
from runbook.raft.serialization import view_to_dict
from runbook.report.colour import can_rewrite
from runbook.report.diagnosis import WIDTH, lines_of, rows_of
from runbook.run_state import fold
from runbook.session.state_folder import state_folder

NARROWEST = 60  # columns
RUNS = 20  # of the newest: who was removed before that and comes back is a server that joins


def diagnose_once(form: str, environment: Mapping[str, str] = os.environ) -> int:
    """Print it and give the exit code: 0 diagnosed, 2 settings, 4 nobody answered or a token was refused by all."""
    try:
        cluster = cluster_from(environment, read_only=True)
    except SettingsError as error:
        print(f"runbook: {error}", file=sys.stderr)
        return exit_codes.NOT_STARTED
    view = cluster.look()
    findings = diagnose(view, removed=removed_by_this_user(environment))
    text = told(view, findings, form, _width())
    print(painted(text, sys.stdout) if form == "text" else text)
    return exit_codes.UNREACHABLE if DiagnosisContext(view).phase is Phase.UNREADABLE else exit_codes.RECOVERED


def _width() -> int:
    """A narrower terminal would break words."""
    if not can_rewrite(sys.stdout, os.environ):
        return WIDTH
    from runbook.report.live import columns_of

    return min(WIDTH, max(columns_of(sys.stdout) - 1, NARROWEST))


def told(view: ClusterView, findings: tuple[Finding, ...], form: str, width: int = WIDTH) -> str:
    """For a person, or as JSON with the whole view in it, so that the incident can be looked at again."""
    if form == "text":
        return "\n".join(lines_of(view, findings, width)).rstrip()
    data = {
        "cluster": view.cluster,
        "phase": DiagnosisContext(view).phase.value,
        "findings": [finding.record() for finding in findings],
        "servers": rows_of(view),
        "view": view_to_dict(view),
    }
    return json.dumps(data, ensure_ascii=False, indent=2)


def removed_by_this_user(environment: Mapping[str, str]) -> frozenset[str]:
    """The ids that the newest runs took out; where there is no place for runs, there are none."""
    try:
        return removed_by_runs(state_folder(environment))
    except RuntimeError:  # no home folder
        return frozenset()


def removed_by_runs(state: Path) -> frozenset[str]:
    """The ids that this user's newest runs took out; a record that cannot be read says nothing.

    Whichever address the run was given: an id names one server of one cluster.
    """
    found: set[str] = set()
    try:
        folders = sorted((state / "runs").iterdir())[-RUNS:]
    except OSError:
        return frozenset()
    for folder in folders:
        try:
            progress = fold(read(folder / "journal.jsonl").events)
        except (JournalError, TransitionError, OSError):
            continue
        found |= {removal.peer for removal in progress.removals if removal.state == "gone" and removal.asked_at}
    return frozenset(found)
