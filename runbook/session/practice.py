"""When a playbook was last rehearsed or proven on this host, in which text, and whether all was well: one small file in
the state folder. It is a note for people: what is odd or cannot be read in it is as good as absent, and bars nothing.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from runbook.dataclass import dataclass
from runbook.errors import RunbookError
from runbook.files import make_folder, read_limited, replace_file
from runbook.report.times import format_seconds, seconds_between

PRACTICE = "practice.json"
LARGEST = 256 * 1024  # bytes of the file that are read
MOST = 500  # playbooks that are kept, those practised last
WAYS = ("rehearsed", "proven")


@dataclass(frozen=True)
class Practice:
    """One time. ``digest`` is that of the playbook's text then; ``well``: as expected, or without a violation."""

    at: str
    digest: str
    well: bool


def note_practice(state: Path, playbook: str, way: str, practice: Practice) -> None:
    """Keep it in the place of the one before. Where the file cannot be written, nothing is kept."""
    kept = read_practices(state)
    kept[playbook] = {**kept.get(playbook, {}), way: practice}
    newest = sorted(kept.items(), key=lambda item: max(each.at for each in item[1].values()))[-MOST:]
    data = {name: {key: asdict(each) for key, each in ways.items()} for name, ways in newest}
    with contextlib.suppress(OSError, RunbookError):
        make_folder(state)
        replace_file(state / PRACTICE, json.dumps(data, indent=1).encode())


def read_practices(state: Path) -> dict[str, dict[str, Practice]]:
    """By the playbook's name and the way."""
    try:
        data = json.loads(read_limited(state / PRACTICE, LARGEST))
    except (OSError, ValueError, RecursionError):
        return {}
    found: dict[str, dict[str, Practice]] = {}
    for name, ways in data.items() if isinstance(data, dict) else ():
        read = {way: _read(ways.get(way)) for way in WAYS} if isinstance(ways, dict) else {}
        if known := {way: practice for way, practice in read.items() if practice is not None}:
            found[name] = known
    return found


def _read(data: object) -> Practice | None:
    if not isinstance(data, dict):
        return None
    at, digest, well = (data.get(name) for name in ("at", "digest", "well"))
    if not (isinstance(at, str) and isinstance(digest, str) and isinstance(well, bool)):
        return None
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    return Practice(at, digest, well) if moment.tzinfo is not None else None


def format_practices(practices: Mapping[str, Practice], digest: str, now: str) -> str:
    """As ``last rehearsed 3 d ago, in another text; never proven``."""
    return "; ".join(_format(way, practices.get(way), digest, now) for way in WAYS)


def _format(way: str, practice: Practice | None, digest: str, now: str) -> str:
    if practice is None:
        return f"never {way}"
    text = "in this text" if practice.digest == digest else "in another text"
    trouble = "" if practice.well else ", and not all was well"
    if way == "proven" and not practice.well:
        return f"last put to the proof {_ago(practice, now)}, {text}{trouble}"
    return f"last {way} {_ago(practice, now)}, {text}{trouble}"


def _ago(practice: Practice, now: str) -> str:
    return f"{format_seconds(seconds_between(practice.at, now))} ago"
