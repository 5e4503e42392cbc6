"""Where runs and the lab are kept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from runbook.errors import SettingsError
from runbook.files import is_shared

TEAM = Path("/var/lib/runbook")


def state_folder(environ: Mapping[str, str], team: Path = TEAM) -> Path:
    """``$RUNBOOK_STATE_DIR``, else ``/var/lib/runbook`` where it exists and this user's group may write it, else
    ``$XDG_STATE_HOME/runbook``, else ``~/.local/state/runbook``; it need not exist.

    Two people who share it have one lock, and can resume each other's runs. A relative ``XDG_STATE_HOME`` is ignored,
    as the XDG base directory specification asks. Raises SettingsError where there is no home folder either.
    """
    if own := environ.get("RUNBOOK_STATE_DIR"):
        return Path(own).absolute()
    if is_shared(team) and os.access(team, os.W_OK | os.X_OK):
        return team
    shared = environ.get("XDG_STATE_HOME", "")
    base = Path(shared) if shared.startswith("/") else _home(environ) / ".local" / "state"
    return base / "runbook"


def _home(environ: Mapping[str, str]) -> Path:
    """Cron sets HOME, but a bare environment may not: then the password database knows."""
    try:
        return Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    except RuntimeError:
        raise SettingsError("this user has no home folder", "Set RUNBOOK_STATE_DIR to a folder for runs") from None
