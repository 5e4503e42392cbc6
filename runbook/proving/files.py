"""The files of a proof: real ones, in a folder of its own, where each schedule finds those of its own beginning."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from runbook.engine.plan import Plan
from runbook.files import delete_file, make_folder, read_limited, replace_file, sha256_of
from runbook.playbook.expressions.evaluate import resolve

RESTORES = "raft.restore_snapshot"
RUN, GIVEN = "run", "paths"  # what the run keeps; and the paths that its params name
LONGEST = 1024 * 1024  # bytes of a file
OLD = 1_000_000_000  # seconds since 1970, of the files that are there before a run


def place(plan: Plan, folder: Path, snapshot: bytes) -> Plan:
    """The same playbook, with each path that a param names moved below the folder, and what it needs there made: old
    files where some are pruned, and this state snapshot where one is restored.
    """
    make_folder(folder / RUN)
    paths = {param.name for param in plan.playbook.params if param.type == "path"}
    moved: dict[str, Any] = {}
    for name, value in plan.params.items():
        moved[name] = value
        if name in paths and isinstance(value, str) and value.startswith("/"):
            path = folder / GIVEN / value.lstrip("/")
            make_folder(path.parent if path.suffix else path)
            moved[name] = str(path)
    placed = replace(plan, params=moved)
    _make_old_files(placed)
    for step in plan.playbook.every_step():
        if step.uses == RESTORES:
            path = Path(str(resolve(step.arguments["path"], placed.scope)))
            if path.is_dir():
                path.rmdir()
            replace_file(path, snapshot)
    return placed


def _make_old_files(plan: Plan) -> None:
    """More of what is pruned than is kept, so that something is deleted."""
    for step in plan.playbook.every_step():
        if step.uses != "file.prune":
            continue
        folder, glob, keep = (resolve(step.arguments[name], plan.scope) for name in ("folder", "glob", "keep"))
        for number in range(int(str(keep)) + 1):
            old = Path(str(folder)) / str(glob).replace("*", f"old-{number}")
            replace_file(old, b"old")
            os.utime(old, (OLD + number, OLD + number))


def lost_snapshots(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """State snapshots that a run says it has kept, and that are not there as it says."""
    for record in records:
        told = record["output"] if record["kind"] == "step.completed" else {}
        if not told.get("state_kept"):
            continue
        try:
            held = sha256_of(told["state_path"])
        except OSError as error:
            yield f"the state snapshot that {record['step']} has kept is not there: {error.strerror}"
            continue
        if held != told["state_sha256"]:
            yield f"the state snapshot that {record['step']} has kept is another one now"


def keep(folder: Path) -> Callable[[], None]:
    """Reads what is there now. Returns what makes it so again."""
    kept = {path: (read_limited(path, LONGEST), path.stat().st_mtime_ns) for path in _files_in(folder)}

    def restore() -> None:
        for path in set(_files_in(folder)) - kept.keys():
            delete_file(path)
        for path, (data, modified) in kept.items():
            if not path.exists() or path.stat().st_mtime_ns != modified:
                replace_file(path, data)
                os.utime(path, ns=(modified, modified))

    return restore


def _files_in(folder: Path) -> list[Path]:
    return [Path(place, name) for place, _, names in os.walk(folder) for name in names]
