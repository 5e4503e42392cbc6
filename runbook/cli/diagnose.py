"""``runbook diagnose`` and ``runbook check``: one look, what is wrong in it, for a person or for a monitor.

Neither changes anything.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runbook.cli.exit_codes import RECOVERED, UNREACHABLE
from runbook.cli.output import Output
from runbook.clock import Clock
from runbook.cluster.choice import BY_ENVIRONMENT, ClusterChoice, chosen_cluster
from runbook.cluster.threads import within
from runbook.errors import PlaybookError, SettingsError
from runbook.files import replace_file
from runbook.printable import printable
from runbook.raft.diagnosis.context import DiagnosisContext, Phase
from runbook.raft.diagnosis.diagnose import diagnose
from runbook.raft.diagnosis.findings import Finding, format_count
from runbook.raft.diagnosis.health import ClusterHealth, cluster_health
from runbook.raft.model import ClusterView
from runbook.raft.serialization import view_to_dict
from runbook.redaction import Redactor
from runbook.report.diagnosis import WIDTH, format_diagnosis, server_rows
from runbook.report.stream import can_rewrite, size_of
from runbook.session.left_out import look_for_left_out
from runbook.session.run_folders import peers_removed_by_newest_runs, state_folder

LEVELS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
UNKNOWN = LEVELS.index("UNKNOWN")
NARROWEST = 60  # columns; a narrower terminal would break words
WATCH_EVERY = 5  # seconds between two looks
WATCH_FOR = 3600.0  # seconds at most
WATCHED = 200  # looks, and tries of ports between them, that are kept
CLEAR = "\x1b[H\x1b[2J"


def run_diagnose(form: str, environment: Mapping[str, str] = os.environ, choice: ClusterChoice = BY_ENVIRONMENT) -> int:
    """Print the diagnosis: as text, or as JSON with the whole view in it, so that it can be looked at again.

    Returns the exit code: 4 where nobody answered, or everybody refused the token. Raises as chosen_cluster does.
    """
    cluster, output = chosen_cluster(choice, environment, read_only=True), Output()
    output.redactor.learn_all(cluster.secrets)
    view, left_out = look_for_left_out(cluster, environment)
    findings = diagnose(view, removed=removed_peers(environment), left_out=left_out)
    return _print_diagnosis(output, view, findings, form, environment)


def watch_diagnosis(form: str, environment: Mapping[str, str], choice: ClusterChoice, clock: Clock) -> int:
    """Print a diagnosis every few seconds until Ctrl-C, and for an hour at most, while people restart servers.

    Between two of them the ports of who is missed are tried every second, so that who comes and goes is named.
    """
    cluster, output = chosen_cluster(choice, environment, read_only=True), Output()
    output.redactor.learn_all(cluster.secrets)
    until, earlier = clock.monotonic() + WATCH_FOR, list[ClusterView]()
    while True:
        view, left_out = look_for_left_out(cluster, environment)
        findings = diagnose(view, removed=removed_peers(environment), earlier=earlier, left_out=left_out)
        if can_rewrite(output.out, environment):
            output.out.write(CLEAR)
        code = _print_diagnosis(output, view, findings, form, environment)
        if clock.monotonic() >= until:
            return code
        missed = [o.peer.address for o in DiagnosisContext(view).observations if not o.alive]
        earlier = [*earlier, view]
        for _ in range(WATCH_EVERY):
            clock.sleep(1.0)
            tried = cluster.probe(missed) if missed else {}
            earlier.append(ClusterView(view.cluster, clock.monotonic(), None, None, (), tried))
        earlier = earlier[-WATCHED:]


def _print_diagnosis(
    output: Output, view: ClusterView, findings: Sequence[Finding], form: str, environment: Mapping[str, str]
) -> int:
    phase = DiagnosisContext(view).phase
    if form == "json":
        data = {
            "cluster": view.cluster,
            "phase": phase.value,
            "findings": [finding.record() for finding in findings],
            "servers": server_rows(view),
            "view": view_to_dict(view),
        }
        output.json(data, indent=2)
    else:
        output.lines(format_diagnosis(view, findings, _columns(output, environment)))
    return UNREACHABLE if phase is Phase.UNREADABLE else RECOVERED


def _columns(output: Output, environment: Mapping[str, str]) -> int:
    if not can_rewrite(output.out, environment):
        return WIDTH
    return min(WIDTH, max(size_of(output.out).columns - 1, NARROWEST))


def removed_peers(environment: Mapping[str, str]) -> frozenset[str]:
    try:
        return peers_removed_by_newest_runs(state_folder(environment))
    except SettingsError:  # there is no place for runs, so there are none
        return frozenset()


def run_check(timeout: float, form: str, textfile: Path | None = None, choice: ClusterChoice = BY_ENVIRONMENT) -> int:
    """Print one line, and give the exit code of a monitoring plugin: 3 also where nobody can read the line.

    Never raises, never longer than ``timeout`` s.
    """
    output = Output()
    line, code = _check(timeout, form, textfile, choice, output.redactor)
    was_read = output.json(line) if isinstance(line, dict) else output.lines([line])
    return code if was_read else UNKNOWN


def _check(
    timeout: float, form: str, textfile: Path | None, choice: ClusterChoice, redactor: Redactor
) -> tuple[str | dict[str, object], int]:
    started = time.monotonic()
    health, error = _cluster_health(choice, timeout, redactor)
    seconds = time.monotonic() - started
    if textfile is not None:
        try:
            write_textfile(textfile, health, seconds)
        except OSError as failure:
            return f"RAFT UNKNOWN - {textfile}: {failure.strerror}", UNKNOWN
    if form == "json":
        return health_record(health, error, seconds), health.level if health else UNKNOWN
    if health is None:
        return f"RAFT UNKNOWN - {printable(error.replace('|', '/'))}", UNKNOWN
    return _format_nagios(health, seconds), health.level


def _cluster_health(choice: ClusterChoice, timeout: float, redactor: Redactor) -> tuple[ClusterHealth | None, str]:
    """What one look shows, or why there was none."""
    try:
        return within(timeout, lambda: _look(choice, redactor)), ""
    except TimeoutError:
        return None, f"the look did not finish within {timeout:g} s"
    except Exception as error:
        return None, one_line(error)


def one_line(error: Exception) -> str:
    """What a monitor can show of an error: of the faults of a file the first, and how many there are."""
    if isinstance(error, PlaybookError):
        first, *others = error.diagnostics
        more = f"; and {format_count(len(others), 'more fault')}: see runbook clusters check" if others else ""
        return f"{first.mark}: {first.message}{more}"
    return " ".join(str(error).split())


def _look(choice: ClusterChoice, redactor: Redactor) -> ClusterHealth:
    """With a helper that prints a token, if one is asked, within the same time. No second sample is waited for."""
    cluster = chosen_cluster(choice, os.environ, read_only=True, patient=False)
    redactor.learn_all(cluster.secrets)
    view, left_out = look_for_left_out(cluster, os.environ)
    return cluster_health(view, removed=removed_peers(os.environ), left_out=left_out)


def _format_nagios(health: ClusterHealth, seconds: float) -> str:
    sentence = printable(" ".join(health.sentence.replace("|", "/").split()))
    data = f"seconds={seconds:.3f}s"
    if health.voters:  # else nobody gave a number: a 0 would be a lie, and a graph would believe it
        data = (
            f"voters={health.voters} live_voters={health.live_voters} failure_tolerance={health.failure_tolerance} "
            f"dead={health.dead} unknown={health.unknown} leader={int(health.has_leader)} {data}"
        )
    return f"RAFT {LEVELS[health.level]} - {sentence} | {data}"


def health_record(health: ClusterHealth | None, error: str, seconds: float) -> dict[str, Any]:
    """The check of one cluster as plain data; these keys are a promise to whoever reads them."""
    if health is None:
        return {"status": "UNKNOWN", "sentence": error}
    values = {**asdict(health), "findings": [finding.record() for finding in health.findings]}
    known = values if health.voters else ("level", "sentence", "findings")
    numbers = {key: values[key] for key in known}
    return {"status": LEVELS[health.level], **numbers, "seconds": round(seconds, 3)}


_GAUGES = (
    ("status", "0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN", lambda health: health.level),
    ("voters", "Voters in the Raft configuration.", lambda health: health.voters),
    ("live_voters", "Voters that answer.", lambda health: health.live_voters),
    ("failure_tolerance", "How many more voters may fail.", lambda health: health.failure_tolerance),
    ("dead", "Peers that look dead.", lambda health: health.dead),
    ("unknown", "Peers neither proven alive nor proven dead.", lambda health: health.unknown),
    ("leader", "Whether there is a leader.", lambda health: int(health.has_leader)),
)


def write_textfile(path: Path, health: ClusterHealth | None, seconds: float) -> None:
    """For node_exporter's textfile collector: whole or not at all, and readable by the collector's own user.

    Without a look it holds only the status (3) and the seconds: numbers of an hour ago would look like those of now.
    """
    gauges = (
        [(name, text, read(health)) for name, text, read in _GAUGES]
        if health and health.voters
        else [(*_GAUGES[0][:2], UNKNOWN)]
    )
    gauges.append(("check_seconds", "How long the check took.", round(seconds, 3)))
    lines = [
        f"# HELP runbook_raft_{name} {text}\n# TYPE runbook_raft_{name} gauge\nrunbook_raft_{name} {value}\n"
        for name, text, value in gauges
    ]
    replace_file(path, "".join(lines).encode(), mode=0o644)
