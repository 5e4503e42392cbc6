"""``runbook report``: what a run was, for people and for machines that were not there."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from runbook.cli.output import Output
from runbook.errors import NoRunError, PlaybookError
from runbook.files import read_limited, replace_file
from runbook.playbook.parser import parse_playbook
from runbook.playbook.reader import MAX_BYTES
from runbook.secrets import SecretStore
from runbook.session.report_file import REPORT, draw_report, tell_run
from runbook.session.run_folders import PLAYBOOK, UNREADABLE, why_unreadable
from runbook.steps.registry import CATALOG


def print_report(folder: Path, target: str | None, form: str) -> None:
    """Write the page into the run's folder, or elsewhere, and say where; print the other forms where no file is named.

    Raises NoRunError and OSError.
    """
    output = Output()
    store = SecretStore(os.environ, output.redactor)
    with contextlib.suppress(OSError, PlaybookError):  # then its text is not shown, or names no secret
        store.foresee(parse_playbook(read_limited(folder / PLAYBOOK, MAX_BYTES), "", CATALOG).secrets)
    try:
        page = draw_report(folder, store.hide) if form == "html" else tell_run(folder, form)
    except UNREADABLE as error:
        raise NoRunError(f"{why_unreadable(error)}. Do not rely on what it says") from None
    if form != "html" and not target:
        output.text(page)
        return
    path = Path(target) if target else folder / REPORT
    replace_file(path, page.encode("utf-8", "backslashreplace"))
    output.lines([str(path)])
