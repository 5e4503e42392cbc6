"""``runbook fleet report``: many clusters on one page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from runbook.cli.output import Output
from runbook.files import replace_file
from runbook.fleet.record import find_fleet, read_fleet
from runbook.fleet.report import picture_of_check, picture_of_fleet
from runbook.report.fleet_page import format_fleet_page
from runbook.session.run_folders import state_folder


def write_fleet_page(name: str, checked: str | None, target: str | None, environment: Mapping[str, str]) -> None:
    """And say where it is. Raises NoRunError and OSError."""
    if checked and target:
        path, picture = Path(target), picture_of_check(Path(checked))
    else:
        state = state_folder(environment)
        record = find_fleet(state, name)
        path = Path(target) if target else record.with_suffix(".html")
        picture = picture_of_fleet(read_fleet(record), state, path, environment)
    replace_file(path, format_fleet_page(picture).encode("utf-8", "backslashreplace"))
    Output().lines([str(path)])
