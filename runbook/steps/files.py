"""``file.write``: a small file, whole or not at all. ``file.prune``: old files, a few at a time. And where a step may
write and delete: never in the run's record.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbook.errors import unexpected
from runbook.files import RUNS, delete_file, make_folder, read_limited, replace_file
from runbook.label import Label
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.printable import printable
from runbook.steps.base import Step, StepResult
from runbook.text import beginning, is_known, shown

if TYPE_CHECKING:
    from runbook.by_hand import HandView, Instruction
    from runbook.steps.context import ForeseenFiles, StepContext

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
    shadow="Nothing is written; path, mode and content are told, and the result is what it would be.",
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
    content = printable(beginning(shown(arguments["content"]), 2000))
    would = f"would write {shown(arguments['path'])}, mode {shown(arguments['mode'])}\n{content}"
    if not is_known(arguments):
        return StepResult(would, {}, Label.UNKNOWN)
    import hashlib

    data, mode = arguments["content"].encode("utf-8", "replace"), _parse_mode(arguments["mode"])
    if len(data) > LIMIT:
        raise unexpected(f"the content has {len(data)} bytes, more than {LIMIT // 1024**2} MiB")
    target = writable_path(context.folder, arguments["path"])
    try:
        changed = not _has_content(target, data, mode)
        if changed and not context.dry_run:
            replace_file(target, data, mode=mode, keep_owner=True)
    except OSError as error:
        raise unexpected(f"{target}: {error.strerror}", "Check the folder, its rights and its room") from None
    digest = hashlib.sha256(data).hexdigest()
    output = {"path": str(target), "bytes": len(data), "sha256": digest, "changed": changed}
    if context.dry_run:
        context.files.write(target)
        return StepResult(would if changed else f"{target} is so already", output, Label.SIMULATED)
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


def is_inside(run: Path, path: str) -> bool:
    """Whether the path is in the run's files, where a dry run may write too."""
    return (run / RUN_FILES).resolve() in writable_path(run, path).parents


def records_of(run: Path) -> Path:
    """The state folder with the records of all runs, and their locks; of a run that is elsewhere its own folder."""
    resolved = run.resolve()
    return resolved.parent.parent if resolved.parent.name == RUNS else resolved


MOST = 10_000  # files: a folder of more was named by mistake

FILE_PRUNE = StepDeclaration(
    "file.prune",
    "Delete the oldest files of one folder that a glob names, and keep the newest. Only regular files are counted.",
    Effect.CHANGE,
    parameters=(
        Field("folder", "path", "the folder, from the root", required=True),
        Field("glob", "string", "which of its files, such as consul-*.snap; more than wildcards", required=True),
        Field("keep", "int", "how many of the newest are kept", required=True, min=1),
    ),
    results=(
        Field("removed", "list", "the names of the files that were deleted, the oldest first"),
        Field("kept", "int", "how many are left"),
    ),
    observe="No more than keep are there; then nothing is deleted.",
    shadow="It is told which files would be deleted, those counted in that would have been written.",
    example="""\
- uses: file.prune
  with:
    folder: /var/backups/consul
    glob: "consul-*.snap"
    keep: 7                 # by the time of their last change
""",
    guarded=False,
    parallel=True,
)


def prune_files(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Raises StepError for a folder that is none, or that holds the records of runs."""
    if not is_known(arguments):
        told = f"would keep {shown(arguments['keep'])} of {shown(arguments['glob'])}"
        return StepResult(told, {}, Label.UNKNOWN)
    folder = _folder(context.folder, arguments["folder"])
    glob = arguments["glob"]
    if "/" in glob or glob in (".", "..") or not glob.strip("*?[]!.-"):
        raise unexpected(f"glob {shown(glob)} names no kind of file", "Write part of the name, as consul-*.snap")
    try:
        files = _by_age(folder, glob, context.files)
        old = files[: max(0, len(files) - arguments["keep"])]
        for file in old:
            (context.files.delete if context.dry_run else delete_file)(file)
    except OSError as error:
        raise unexpected(f"{folder}: {error.strerror}", "Check the folder and its rights") from None
    names = [file.name for file in old]
    output = {"removed": names, "kept": len(files) - len(old)}
    if context.dry_run:
        told = f"would delete {', '.join(map(shown, names)) or 'nothing'} in {folder}"
        return StepResult(told, output, Label.SIMULATED)
    return StepResult(f"{folder}: {output['kept']} kept, {len(old)} deleted", output)


def _folder(run: Path, written: str) -> Path:
    try:
        folder = Path(written).resolve()
        records = records_of(run)
    except (OSError, ValueError, RuntimeError):
        raise unexpected(f"{shown(written)} is no path of a folder") from None
    if not Path(written).is_absolute() or not folder.is_dir():
        raise unexpected(f"{written} is no folder named from the root", "Name one that exists, as /var/backups/consul")
    if folder == records or records in folder.parents or folder in records.parents:
        raise unexpected(f"{written} holds the records of runs", "Name another folder; runbook prune is for these")
    return folder


def _by_age(folder: Path, glob: str, foreseen: ForeseenFiles) -> list[Path]:
    """The oldest first; of the same age by their names. Those that a dry run would have written are the newest."""
    from fnmatch import fnmatchcase
    from itertools import islice

    entries = list(islice(folder.iterdir(), MOST + 1))
    if len(entries) > MOST:
        raise unexpected(f"{folder} holds more than {MOST:,} files", "Name a folder for these alone")
    named = [entry for entry in entries if fnmatchcase(entry.name, glob)]
    found = [(entry.lstat(), entry) for entry in named if entry not in {*foreseen.written, *foreseen.deleted}]
    regular = [(status.st_mtime_ns, entry.name, entry) for status, entry in found if stat.S_ISREG(status.st_mode)]
    new = [file for file in foreseen.written if file.parent == folder and fnmatchcase(file.name, glob)]
    return [entry for _, _, entry in sorted(regular)] + new


def write_by_hand(view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """Its content by printf."""
    from runbook.by_hand import Instruction, in_words, shell_word

    path, mode = shell_word(arguments["path"]), shell_word(arguments["mode"])
    where = (
        ""
        if str(arguments["path"]).startswith(("/", "<"))
        else f", in {in_words(view.folder or '<folder of the run>')}/{RUN_FILES}"
    )
    lines = (f"printf %s {shell_word(arguments['content'])} > {path}", f"chmod {mode} {path}")
    yield Instruction(f"Write a file{where}.", lines)


def prune_by_hand(_view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """What to delete."""
    from runbook.by_hand import Instruction, in_words, shell_word

    folder, glob, keep = arguments["folder"], arguments["glob"], arguments["keep"]
    yield Instruction(
        f"Of the files {in_words(glob)} in {in_words(folder)} keep the newest {in_words(keep)}. The newest first:",
        (f"ls -t {shell_word(folder)}",),
    )


STEPS = (Step(FILE_WRITE, write_file, write_by_hand), Step(FILE_PRUNE, prune_files, prune_by_hand))
