"""What is known of a fleet, as the tiles of one page: from the record of one, or from what `check --all` printed."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runbook.decode import ODD, number
from runbook.errors import NoRunError, PlaybookError
from runbook.files import RUNS, read_limited
from runbook.fleet.brought_home import home_folder
from runbook.fleet.record import FLEETS, FleetTold
from runbook.fleet.requests import BEGUN, INTERRUPTION, NOT_BEGUN, NOT_STARTED, ClusterRunResult
from runbook.playbook.parser import parse_playbook
from runbook.playbook.reader import MAX_BYTES
from runbook.redaction import Redactor
from runbook.report.fleet_page import ClusterTile, FleetPicture, TileState
from runbook.report.times import format_moment, format_seconds, seconds_between
from runbook.secrets import SecretStore
from runbook.session.history import past_run
from runbook.session.report_file import REPORT, write_report
from runbook.session.run_folders import PLAYBOOK, UNREADABLE, began_at
from runbook.steps.registry import CATALOG
from runbook.text import beginning

MOST_BYTES = 256 * 1024**2
MOST_CHARACTERS = 2048  # of a sentence
RUN_STATES = (
    TileState("failed", "F", "bad"),
    TileState(INTERRUPTION, "I", "bad"),
    TileState(BEGUN, "B", "bad"),
    TileState("refused", "R", "warn"),
    TileState(NOT_STARTED, "N", "warn"),
    TileState(NOT_BEGUN, "–", "none"),
    TileState("completed", "C", "good"),
)
CHECK_STATES = (
    TileState("CRITICAL", "C", "bad"),
    TileState("UNKNOWN", "U", "bad"),
    TileState("WARNING", "W", "warn"),
    TileState("OK", "O", "good"),
)


def picture_of_fleet(told: FleetTold, state: Path, target: Path, environment: Mapping[str, str]) -> FleetPicture:
    """With a link from the page at ``target`` to the report of each run, which is written where there is none."""
    states = {each.name: each for each in RUN_STATES}
    tiles = tuple(
        ClusterTile(
            row.cluster, states[row.outcome], row.sentence, _link(row.run, told.fleet, state, target, environment)
        )
        for row in (_as_it_is(row, told.fleet, state) for row in told.rows)
    )
    done = sum(tile.state.mood == "good" for tile in tiles)
    took = f", {format_seconds(seconds_between(told.began, told.ended))}" if told.ended else "; it has no end on record"
    policy = told.policy
    facts = (
        ("fleet", told.fleet),
        ("by", told.who),
        ("inventory", told.inventory),
        ("began", f"{format_moment(told.began)} UTC{took}"),
        ("in which order", f"canaries {policy.canary}, serial {policy.serial}, max failures {policy.max_failures}"),
    )
    word = f"{done} of {len(tiles)} clusters ended well{', as a dry run' if told.dry_run else ''}"
    stopped = f"Stopped as {told.stopped}." if told.stopped else ""
    footer = "Drawn from the record of the fleet; where they differ, the journal of a run is right."
    return FleetPicture(told.playbook, word, stopped, facts, RUN_STATES, tiles, footer)


def _folder(run: str, fleet: str, state: Path) -> Path:
    """Of the run here, else of the record of one that a worker did."""
    here, brought = state / RUNS / run, home_folder(state / FLEETS, fleet, run)
    return brought if brought.is_dir() and not here.is_dir() else here


def _as_it_is(row: ClusterRunResult, fleet: str, state: Path) -> ClusterRunResult:
    """Of a run whose end is not on the fleet's record its own journal tells."""
    if row.outcome != BEGUN:
        return row
    if not began_at(row.run):
        return ClusterRunResult(row.cluster, BEGUN, "it has no record of a run here", 0)
    folder = _folder(row.run, fleet, state)
    if row.folder and not folder.is_dir():
        return ClusterRunResult(row.cluster, BEGUN, f"its run {row.run} is on the host of its worker", 0)
    run = past_run(folder)
    if run.outcome in ("completed", "refused", "failed", INTERRUPTION):
        return ClusterRunResult(row.cluster, run.outcome, run.result, 0, row.run)
    sentence = run.trouble or ("it is at work" if run.at_work else f"it has no end: runbook resume {row.run}")
    return ClusterRunResult(row.cluster, BEGUN, sentence, 0, row.run)


def _link(run: str, fleet: str, state: Path, target: Path, environment: Mapping[str, str]) -> str:
    """The address of its report, from the page; empty where there is none."""
    if not began_at(run):
        return ""
    folder = _folder(run, fleet, state)
    if not (folder / REPORT).exists():
        store = SecretStore(environment, Redactor.of(environment))
        with contextlib.suppress(OSError, PlaybookError):  # then its text is not shown, or names no secret
            store.foresee(parse_playbook(read_limited(folder / PLAYBOOK, MAX_BYTES), "", CATALOG).secrets)
        try:
            write_report(folder, store.hide)
        except UNREADABLE:
            return ""
    return quote(os.path.relpath(folder / REPORT, target.absolute().parent))


def picture_of_check(path: Path) -> FleetPicture:
    """Of the lines that `check --all --format json` printed. Raises NoRunError where it is none."""
    try:
        data = read_limited(path, MOST_BYTES)
    except OSError as error:
        raise NoRunError(f"{path}: {error.strerror}") from None
    try:
        whole, *rows = map(json.loads, data.decode("utf-8", "replace").removesuffix("\n").split("\n"))
        told = f"{whole['status']}: {whole['clusters']} clusters checked in {format_seconds(float(whole['seconds']))}"
        interrupted = "It was interrupted, so not all were checked." if whole["interrupted"] else ""
        tiles, count = tuple(_checked(row) for row in rows), number(whole["clusters"])
    except (RecursionError, OverflowError, *ODD):
        raise NoRunError(f"{path} is not what `runbook check --all --format json` prints") from None
    if count != len(tiles):
        raise NoRunError(f"{path} has {len(tiles)} of the {count} clusters that were checked: keep all that is printed")
    return FleetPicture("Fleet check", told, interrupted, (), CHECK_STATES, tiles, "Drawn from what the check printed.")


def _checked(row: Mapping[str, Any]) -> ClusterTile:
    state = {each.name: each for each in CHECK_STATES}[row["status"]]
    sentence = beginning(str(row["sentence"]), MOST_CHARACTERS)
    return ClusterTile(str(row["cluster"]), state, sentence, evidence=tuple(_evidence(row)))


def _evidence(row: Mapping[str, Any]) -> Iterator[str]:
    if row["status"] == "OK":
        return
    for finding in row.get("findings", ()):
        yield beginning(f"{finding['name']} ({finding['certainty']}): {finding['sentence']}", MOST_CHARACTERS)
        yield from (beginning(str(words), MOST_CHARACTERS) for words in finding["evidence"])
