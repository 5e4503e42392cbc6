"""The playbooks and scenarios that come with this package are called by their names; a file that is there wins."""

from __future__ import annotations

import os

from runbook.errors import NoPlaybookError
from runbook.package_data import PACKAGE, names_in

FOLDER = os.path.join(PACKAGE, "shipped")  # noqa: PTH118 -- start-up
SCENARIOS = os.path.join(FOLDER, "scenarios")  # noqa: PTH118
SUFFIX = ".yaml"
PATHS = (SUFFIX, ".yml")


def shipped_names(folder: str = FOLDER) -> tuple[str, ...]:
    """In alphabetical order."""
    return tuple(sorted(name.removesuffix(SUFFIX) for name in names_in(folder) if name.endswith(SUFFIX)))


def shipped_path(name: str, folder: str = FOLDER) -> str:
    """Of the shipped playbook with this name, or of the scenario. Raises :class:`NoPlaybookError`."""
    known = shipped_names(folder)
    if name in known:
        return os.path.join(folder, f"{name}{SUFFIX}")  # noqa: PTH118
    from runbook.playbook.diagnostics import did_you_mean, quoted

    what = "scenario" if folder == SCENARIOS else "playbook"
    if not known:
        raise NoPlaybookError(f"no {what} {quoted(name)}: this installation came without any, so install it anew")
    told = f"no {what} {quoted(name)} is shipped, only {', '.join(known)}"
    raise NoPlaybookError(f"{told}. {did_you_mean(name, known) or 'Name a file by its path'}")


def find_playbook(word: str, folder: str = "") -> str:
    """A path as it stands (in ``folder``, where it is relative), or the path of the shipped playbook with this name.

    What is there wins, and what has a slash or a YAML suffix is a path whether it is there or not.
    Raises :class:`NoPlaybookError`.
    """
    return _find(os.path.join(folder, word), word, FOLDER)  # noqa: PTH118


def find_scenario(word: str) -> str:
    """The same for a scenario."""
    return _find(word, word, SCENARIOS)


def _find(path: str, word: str, shipped: str) -> str:
    if "/" in word or word.endswith(PATHS) or os.path.exists(path):  # noqa: PTH110
        return path
    try:
        return shipped_path(word, shipped)
    except NoPlaybookError as error:
        raise NoPlaybookError(f"there is no such file, and {error}") from None
