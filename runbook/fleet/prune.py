"""Records of old fleets are removed together with their runs: never the newest, nor one of which a run stays."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from runbook.errors import NoRunError
from runbook.fleet.record import FLEETS, fleet_paths, read_fleet
from runbook.report.times import utc


def old_fleets(state: Path, runs: Collection[str], now: datetime, older_than: timedelta, keep: int) -> list[Path]:
    """The records to remove: of fleets that began before that, but for the newest ``keep``, and one at least, and for
    those of whose ``runs`` there is one yet. One that cannot be read stays.
    """
    paths = fleet_paths(state)
    return [path for path in paths[: max(0, len(paths) - max(keep, 1))] if _may_go(path, runs, now - older_than)]


def _may_go(path: Path, runs: Collection[str], before: datetime) -> bool:
    try:
        told = read_fleet(path)
    except NoRunError:
        return False
    return utc(told.began) < before and not any(row.run in runs for row in told.rows)


def remove_fleets(paths: Sequence[Path]) -> list[str]:
    """Remove them, each with its page and what workers sent home. What kept one from it, in words."""
    troubles = []
    for path in paths:
        try:
            home = path.with_suffix("")
            if home.is_dir() and not home.is_symlink():
                shutil.rmtree(home)
            path.with_suffix(".html").unlink(missing_ok=True)
            path.unlink()
        except OSError as error:
            troubles.append(f"{FLEETS}/{path.name} cannot be removed whole: {error.strerror}")
    return troubles
