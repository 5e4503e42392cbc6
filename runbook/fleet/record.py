"""What a fleet was begun with and how far it came, in one file of the state folder: each run of it is found there, also
where its process was killed.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from runbook import __version__
from runbook.clock import Clock
from runbook.dataclass import dataclass
from runbook.decode import ODD
from runbook.errors import NoRunError, NotStartedError
from runbook.files import make_folder, read_limited, replace_file
from runbook.fleet.execute import FleetEnd, FleetPolicy
from runbook.fleet.requests import BEGUN, NOT_BEGUN, ClusterRunRequest, ClusterRunResult

FLEETS = "fleets"  # in the state folder
FORMAT = 1
MOST_BYTES = 64 * 1024**2
_PLAIN = str.maketrans("", "", "-:.")


@dataclass(frozen=True)
class FleetTold:
    """A fleet as its record tells it; ``ended`` is empty while it goes on, and for ever where it was killed."""

    fleet: str
    who: str
    playbook: str
    inventory: str
    dry_run: bool
    policy: FleetPolicy
    began: str
    ended: str
    stopped: str
    exit_code: int | None
    rows: tuple[ClusterRunResult, ...]


class FleetRecord:
    """Is written anew with everything that happens. Whatever it raises for the disk is an OSError."""

    def __init__(self, path: Path, told: FleetTold, clock: Clock) -> None:
        self.path, self.told = path, told
        self._rows = {row.cluster: row for row in told.rows}
        self._texts = {row.cluster: _text(row) for row in told.rows}  # so that a row is encoded once: fleets are large
        self._clock = clock
        self._lock = threading.Lock()

    @classmethod
    def begin(
        cls,
        folder: Path,
        requests: Sequence[ClusterRunRequest],
        policy: FleetPolicy,
        inventory: str,
        clock: Clock,
    ) -> FleetRecord:
        """Of these runs, none of which is begun. Raises NotStartedError where it cannot be written."""
        one = requests[0]
        rows = tuple(ClusterRunResult(request.cluster, NOT_BEGUN, "", 0) for request in requests)
        told = FleetTold(
            one.fleet, one.who, one.playbook, inventory, one.dry_run, policy, clock.now(), "", "", None, rows
        )
        record = cls(folder / f"{one.fleet}.json", told, clock)
        try:
            make_folder(folder)
            record.save()
        except OSError as error:
            what = f"{record.path}: {error.strerror}. Nothing was started; name a folder that can be written"
            raise NotStartedError(f"{what} in RUNBOOK_STATE_DIR") from None
        return record

    def begun(self, clusters: Sequence[str]) -> None:
        """Before anything is done to any of these."""
        self._save_with(*(ClusterRunResult(name, BEGUN, "", 0) for name in clusters))

    def has_record(self, cluster: str, run: str, folder: str) -> None:
        """Of the run on it, from whichever thread it is in."""
        self._save_with(ClusterRunResult(cluster, BEGUN, "", 0, run, folder))

    def ended(self, result: ClusterRunResult) -> None:
        """With the run on it."""
        self._save_with(result)

    def _save_with(self, *rows: ClusterRunResult) -> None:
        with self._lock:
            self._rows.update({row.cluster: row for row in rows})
            self._texts.update({row.cluster: _text(row) for row in rows})
            self.save()

    def finish(self, end: FleetEnd) -> None:
        """With a row for every cluster, also for those that were not begun."""
        self.told = replace(self.told, ended=self._clock.now(), stopped=end.stopped, exit_code=end.exit_code)
        self._save_with(*end.results)

    def save(self) -> None:
        """As it stands. Raises OSError."""
        self.told = replace(self.told, rows=tuple(self._rows.values()))
        head = json.dumps(
            {"format": FORMAT, "version": __version__, **asdict(replace(self.told, rows=()))}, ensure_ascii=False
        )
        whole = f'{head.removesuffix("[]}")}[{", ".join(self._texts.values())}]}}\n'  # the rows are last
        replace_file(self.path, whole.encode("utf-8", "backslashreplace"))


def _text(row: ClusterRunResult) -> str:
    return json.dumps(row.to_dict(), ensure_ascii=False)


def fleet_name(playbook: str, clock: Clock) -> str:
    """A new one, which sorts by when it was begun."""
    return f"{clock.now()[:23].translate(_PLAIN)}Z-{playbook}-{secrets.token_hex(2)}"


def find_fleet(state: Path, name: str) -> Path:
    """The record of the fleet with this name, or of the only one that begins with it; ``last`` is the newest.

    Raises NoRunError.
    """
    names = [path.stem for path in fleet_paths(state)]
    fit = names[-1:] if name == "last" else [each for each in names if each.startswith(name)]
    exact = [each for each in fit if each == name]
    if len(exact or fit) == 1:
        return state / FLEETS / f"{(exact or fit)[0]}.json"
    if fit:
        raise NoRunError(f"{len(fit)} fleets begin with {name}: {', '.join(fit)}")
    which = "no fleet" if name == "last" else f"no fleet {name}"
    raise NoRunError(f"there is {which} in {state / FLEETS}; `runbook fleet execute` begins one")


def fleet_paths(state: Path) -> list[Path]:
    """Of the records of all fleets, the newest last."""
    try:
        names = os.listdir(state / FLEETS)
    except OSError:
        return []
    return [state / FLEETS / name for name in sorted(names) if name.endswith(".json") and not name.startswith(".")]


def read_fleet(path: Path) -> FleetTold:
    """Raises NoRunError for whatever else lies there."""
    try:
        data = read_limited(path, MOST_BYTES)
        found = json.loads(data) if len(data) <= MOST_BYTES else {}
        return _told(found)
    except OSError as error:
        raise NoRunError(f"{path}: {error.strerror}") from None
    except (NotStartedError, RecursionError, *ODD):
        raise NoRunError(f"{path} is no record of a fleet that this version can read") from None


def _told(found: Mapping[str, Any]) -> FleetTold:
    if found["format"] != FORMAT:
        raise ValueError("another format")
    values = {key: value for key, value in found.items() if key not in ("format", "version")}
    rows = tuple(ClusterRunResult.from_dict(row) for row in values.pop("rows"))
    told = FleetTold(**{**values, "policy": FleetPolicy(**values["policy"]), "rows": rows})
    texts = [told.fleet, told.who, told.playbook, told.inventory, told.began, told.ended, told.stopped]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("not a text")
    for moment in (told.began, told.ended or told.began):
        datetime.fromisoformat(moment)
    return told
