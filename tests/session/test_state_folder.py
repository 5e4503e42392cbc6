"""Where the state folder is, by environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.session.run_folders import state_folder

FOLDERS: list[tuple[dict[str, str], str]] = [
    ({"RUNBOOK_STATE_DIR": "/a", "XDG_STATE_HOME": "/b", "HOME": "/c"}, "/a"),
    ({"RUNBOOK_STATE_DIR": "", "XDG_STATE_HOME": "/b", "HOME": "/c"}, "/b/runbook"),
    ({"XDG_STATE_HOME": "relative", "HOME": "/c"}, "/c/.local/state/runbook"),
    ({"XDG_STATE_HOME": "", "HOME": "/c"}, "/c/.local/state/runbook"),
    ({"HOME": "/c"}, "/c/.local/state/runbook"),
]


@pytest.mark.parametrize(("environ", "folder"), FOLDERS)
def test_the_state_folder_is_the_first_one_named(environ: dict[str, str], folder: str) -> None:
    """Our own variable, then the desktop's, then the default; an empty one counts as not set."""
    assert state_folder(environ) == Path(folder)


def test_a_relative_state_folder_is_one_wherever_a_later_command_runs() -> None:
    """The value goes into messages and journals, where the folder it was relative to is lost."""
    assert state_folder({"RUNBOOK_STATE_DIR": "here"}) == Path.cwd() / "here"


def test_without_a_home_variable_the_password_database_knows() -> None:
    """Cron and systemd may start a command with a bare environment."""
    assert state_folder({}) == Path.home() / ".local/state/runbook"
