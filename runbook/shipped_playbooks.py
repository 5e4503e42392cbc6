"""The playbooks that come with this package are called by their names; a file that is there wins."""

from __future__ import annotations

import os

from runbook.errors import NoPlaybookError

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "shipped")  # noqa: PTH100, PTH118, PTH120 -- start-up
SUFFIX = ".yaml"
PATHS = (SUFFIX, ".yml")


def shipped_names() -> tuple[str, ...]:
    """In alphabetical order."""
    try:
        return tuple(sorted(name.removesuffix(SUFFIX) for name in os.listdir(FOLDER) if name.endswith(SUFFIX)))
    except OSError:
        return ()


def shipped_path(name: str) -> str:
    """Of the shipped playbook with this name. Raises :class:`NoPlaybookError`."""
    known = shipped_names()
    if name in known:
        return os.path.join(FOLDER, f"{name}{SUFFIX}")  # noqa: PTH118
    from runbook.playbook.diagnostics import did_you_mean, quoted

    if not known:
        raise NoPlaybookError(f"no playbook {quoted(name)}: this installation came without any, so install it anew")
    told = f"no playbook {quoted(name)} is shipped, only {', '.join(known)}"
    raise NoPlaybookError(f"{told}. {did_you_mean(name, known) or 'Name a file by its path'}")


def find_playbook(word: str, folder: str = "") -> str:
    """A path as it stands (in ``folder``, where it is relative), or the path of the shipped playbook with this name.

    What is there wins, and what has a slash or a YAML suffix is a path whether it is there or not.
    Raises :class:`NoPlaybookError`.
    """
    path = os.path.join(folder, word)  # noqa: PTH118
    if "/" in word or word.endswith(PATHS) or os.path.exists(path):  # noqa: PTH110
        return path
    try:
        return shipped_path(word)
    except NoPlaybookError as error:
        raise NoPlaybookError(f"there is no such file, and {error}") from None
