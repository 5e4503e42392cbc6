"""``file.prune``: of the files that a glob names in a folder, keep the newest, and delete the rest."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbook.errors import unexpected
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import Step, StepResult
from runbook.steps.files import records_of
from runbook.text import is_known, shown

if TYPE_CHECKING:
    from runbook.steps.context import StepContext

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
    shadow="It is told which files would be deleted.",
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
        return StepResult(f"would keep {shown(arguments['keep'])} of {shown(arguments['glob'])}", {})
    folder = _folder(context.folder, arguments["folder"])
    _check_glob(arguments["glob"])
    try:
        files = _by_age(folder, arguments["glob"])
        old = files[: max(0, len(files) - arguments["keep"])]
        for file in () if context.dry_run else old:
            file.unlink(missing_ok=True)
    except OSError as error:
        raise unexpected(f"{folder}: {error.strerror}", "Check the folder and its rights") from None
    names = [file.name for file in old]
    output = {"removed": names, "kept": len(files) - len(old)}
    if context.dry_run:
        return StepResult(f"would delete {', '.join(map(shown, names)) or 'nothing'} in {folder}", output)
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


def _check_glob(glob: str) -> None:
    if "/" in glob or glob in (".", "..") or not glob.strip("*?[]!.-"):
        raise unexpected(f"glob {shown(glob)} names no kind of file", "Write part of the name, as consul-*.snap")


def _by_age(folder: Path, glob: str) -> list[Path]:
    """The oldest first; of the same age by their names."""
    from fnmatch import fnmatchcase
    from itertools import islice

    entries = list(islice(folder.iterdir(), MOST + 1))
    if len(entries) > MOST:
        raise unexpected(f"{folder} holds more than {MOST:,} files", "Name a folder for these alone")
    found = [(entry.lstat(), entry) for entry in entries if fnmatchcase(entry.name, glob)]
    regular = [(status.st_mtime_ns, entry.name, entry) for status, entry in found if stat.S_ISREG(status.st_mode)]
    return [entry for _, _, entry in sorted(regular)]


STEPS = (Step(FILE_PRUNE, prune_files),)
