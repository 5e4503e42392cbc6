"""``runbook doctor``: what a recovery from this host would meet tonight."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING

from runbook.cli.output import Output
from runbook.exit_codes import FAILED, RECOVERED

if TYPE_CHECKING:
    from runbook.cluster.choice import ClusterChoice

COLUMN = 11


def print_doctor(choice: ClusterChoice, form: str) -> int:
    """Returns the exit code: 1 where something is to be mended, 0 where nothing is."""
    from runbook.inspection.doctor import run_doctor
    from runbook.inspection.findings import Grade

    output = Output()
    lines = run_doctor(choice, os.environ, output.redactor)
    if form == "json":
        output.json([{**asdict(line), "grade": line.grade.value} for line in lines], indent=2)
    else:
        for line in lines:
            advice = f". {line.next_action}" if line.next_action else ""
            output.lines([f"{line.grade.value:<5} {line.about:<{COLUMN}} {line.sentence}{advice}"], indent=COLUMN + 7)
    return FAILED if any(line.grade in (Grade.WARN, Grade.BAD) for line in lines) else RECOVERED
