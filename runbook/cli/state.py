"""Where runs and the lab are kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def state_folder(environ: Mapping[str, str]) -> Path:
    """``$RUNBOOK_STATE_DIR``, else ``$XDG_STATE_HOME/runbook``, else ``~/.local/state/runbook``; it need not exist.

    A relative ``XDG_STATE_HOME`` is ignored, as the XDG base directory specification asks. Raises RuntimeError where
    there is no home folder either.
    """
    if own := environ.get("RUNBOOK_STATE_DIR"):
        return Path(own).absolute()
    shared = environ.get("XDG_STATE_HOME", "")
    base = Path(shared) if shared.startswith("/") else _home(environ) / ".local" / "state"
    return base / "runbook"


def _home(environ: Mapping[str, str]) -> Path:
    """Cron sets HOME, but a bare environment may not: then the password database knows."""
    return Path(environ["HOME"]) if environ.get("HOME") else Path.home()
