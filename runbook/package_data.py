"""The data files of this package, by their paths. Those of the one-file program lead into that file."""

from __future__ import annotations

import errno
import os

PACKAGE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 -- start-up


def names_in(folder: str) -> list[str]:
    """What lies in this folder of the package; nothing where there is none."""
    try:
        return os.listdir(folder)
    except NotADirectoryError:
        from importlib.resources import files
        from pathlib import Path

        inside = files("runbook").joinpath(*Path(folder).relative_to(PACKAGE).parts)
        return [each.name for each in inside.iterdir()] if inside.is_dir() else []
    except OSError:
        return []


def read_packed(path: str) -> bytes | None:
    """A file that lies inside the one-file program; None where this path does not lead into it. Raises OSError."""
    from pkgutil import get_data

    package, wanted = os.path.realpath(PACKAGE), os.path.realpath(path)
    if not wanted.startswith(package + os.sep):
        return None
    try:
        return get_data("runbook", os.path.relpath(wanted, package))
    except OSError:  # it has no words of its own
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None
