"""``runbook diagnose``: one look, and what is wrong in it. Nothing is changed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from runbook.cli.output import Output
from runbook.clock import Clock
from runbook.cluster.choice import BY_ENVIRONMENT, ClusterChoice, chosen_cluster
from runbook.exit_codes import RECOVERED, UNREACHABLE
from runbook.inspection.check_look import removed_peers, upkeep_of
from runbook.raft.diagnosis.context import DiagnosisContext, Phase
from runbook.raft.diagnosis.diagnose import diagnose
from runbook.raft.diagnosis.findings import Finding
from runbook.raft.model import ClusterView
from runbook.raft.serialization import view_to_dict
from runbook.report.diagnosis import WIDTH, format_diagnosis, server_rows
from runbook.report.stream import can_rewrite, size_of
from runbook.session.left_out import look_for_left_out

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
    upkeep, _ = upkeep_of(view, None)
    findings = diagnose(view, removed=removed_peers(environment), left_out=left_out, upkeep=upkeep)
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
        upkeep, _ = upkeep_of(view, None)
        removed = removed_peers(environment)
        findings = diagnose(view, removed=removed, earlier=earlier, left_out=left_out, upkeep=upkeep)
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
