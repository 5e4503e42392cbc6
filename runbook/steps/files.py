"""``file.write``: a small file, whole or not at all; and where a step may write: never over the run's record."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbook.errors import unexpected
from runbook.files import RUNS, make_folder, read_limited, replace_file
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.printable import printable
from runbook.steps.base import Step, StepResult
from runbook.text import beginning, shown

if TYPE_CHECKING:
    from runbook.steps.context import StepContext

LIMIT = 1024 * 1024  # bytes

FILE_WRITE = StepDeclaration(
    "file.write",
    "Write a file on this host, whole or not at all. A file that is there is replaced and keeps its owner.",
    Effect.CHANGE,
    parameters=(
        Field("path", "path", "where; a relative path is inside the run's files", required=True),
        Field("content", "string", "what, at most 1 MiB", required=True),
        Field("mode", "string", "who may do what with it, in quotes as YAML reads 0600 as a number", default="0600"),
    ),
    results=(
        Field("path", "string", "where it is, from the root"),
        Field("bytes", "int", "its size"),
        Field("sha256", "string", "its digest"),
        Field("changed", "bool", "false where the file was so already, and was not touched"),
    ),
    observe="The file holds exactly this content with this mode; then it is not written again.",
    shadow="Nothing is written; path, mode and content are told.",
    parallel=True,
    example="""\
- id: peers
  uses: file.write
  with:
    path: peers.json        # in the folder of this run
    mode: "0640"
    content: |
      [{"id": "5c8cf0b1", "address": "10.0.0.11:4647", "non_voter": false}]
""",
    guarded=False,
)


def write_file(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """One file, or in a dry run the words for it. Raises StepError."""
    if context.dry_run:
        content = printable(beginning(shown(arguments["content"]), 2000))
        return StepResult(f"would write {shown(arguments['path'])}, mode {shown(arguments['mode'])}\n{content}", {})
    import hashlib

    data, mode = arguments["content"].encode("utf-8", "replace"), _parse_mode(arguments["mode"])
    if len(data) > LIMIT:
        raise unexpected(f"the content has {len(data)} bytes, more than {LIMIT // 1024**2} MiB")
    target = writable_path(context.folder, arguments["path"])
    try:
        changed = not _has_content(target, data, mode)
        if changed:
            replace_file(target, data, mode=mode, keep_owner=True)
    except OSError as error:
        raise unexpected(f"{target}: {error.strerror}", "Check the folder, its rights and its room") from None
    digest = hashlib.sha256(data).hexdigest()
    output = {"path": str(target), "bytes": len(data), "sha256": digest, "changed": changed}
    return StepResult(f"{target}, {len(data)} bytes" if changed else f"{target} was so already", output)


def _parse_mode(text: str) -> int:
    import re

    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise unexpected(f"mode {shown(text)[:60]} is not one", 'Write three or four octal digits in quotes, as "0600"')
    return int(text, 8)


def _has_content(target: Path, data: bytes, mode: int) -> bool:
    if not target.is_file() or target.stat().st_size != len(data):
        return False
    return stat.S_IMODE(target.stat().st_mode) == mode and read_limited(target, LIMIT) == data


RUN_FILES = "files"  # the folder of a run that belongs to its playbook; what lies beside it is the record


def writable_path(run: Path, path: str) -> Path:
    """The absolute path meant; its folder exists if it is the run's. Raises StepError."""
    try:
        base = (run / RUN_FILES).resolve()
        target = (base / path).resolve()
        inside = base in target.parents
        if not inside and (not Path(path).is_absolute() or records_of(run) in target.parents):
            hint = "Use a relative path without .., or an absolute one outside of the folder of runs"
            raise unexpected(f"{path} leads out of the run's files", hint)
        if inside:
            make_folder(target.parent)
        if target.is_dir() or not target.parent.is_dir():
            raise unexpected(f"{path} is a folder, or its folder is not there", "Name a file in a folder that exists")
        if target.exists() and not target.is_file():
            raise unexpected(f"{path} is not a regular file, and is not replaced", "Name another one")
    except OSError as error:
        raise unexpected(f"{path}: {error.strerror}") from None
    except (ValueError, RuntimeError):  # a NUL in it; links in a circle
        raise unexpected(f"{shown(path)} is no path of a file") from None
    return target


def records_of(run: Path) -> Path:
    """The state folder with the records of all runs, and their locks; of a run that is elsewhere its own folder."""
    resolved = run.resolve()
    return resolved.parent.parent if resolved.parent.name == RUNS else resolved


STEPS = (Step(FILE_WRITE, write_file),)
