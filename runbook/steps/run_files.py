"""Where a step may write: never over the run's own record."""

from __future__ import annotations

from pathlib import Path

from runbook.steps.trouble import unexpected

FILES = "files"  # the folder of a run that belongs to its playbook; what lies beside it is the record


def place_for(run: Path, path: str) -> Path:
    """The absolute path meant; its folder exists if it is the run's. Raises StepError."""
    base = (run / FILES).resolve()
    target = (base / path).resolve()
    inside = base in target.parents
    if not inside and (not Path(path).is_absolute() or run.resolve() in target.parents):
        raise unexpected(f"{path} leads out of the run's files", "Use a relative path without .., or an absolute one")
    try:
        if inside:
            _make_folders(run.resolve(), target.parent)
        if target.is_dir() or not target.parent.is_dir():
            raise unexpected(f"{path} is a folder, or its folder is not there", "Name a file in a folder that exists")
    except OSError as error:
        raise unexpected(f"{path}: {error.strerror}") from None
    return target


def _make_folders(run: Path, folder: Path) -> None:
    """Each of them for its owner alone, as ``parents=True`` would make those between readable to all."""
    for part in reversed([one for one in (folder, *folder.parents) if run in one.parents]):
        part.mkdir(mode=0o700, exist_ok=True)
