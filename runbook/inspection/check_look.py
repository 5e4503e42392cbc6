"""The one look of a check, with what lies on this machine: the snapshots, and a peers.json that was left behind."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runbook.clock import seconds as now
from runbook.clock import wall_seconds
from runbook.cluster.choice import ClusterChoice, chosen_addresses, chosen_cluster, kind_meant
from runbook.cluster.environment import ADDRESSES
from runbook.cluster.network import own_addresses
from runbook.cluster.port import Cluster, PulsedCluster
from runbook.dataclass import dataclass
from runbook.errors import PlaybookError, SettingsError
from runbook.raft.diagnosis.check_result import ClusterIdentity
from runbook.raft.diagnosis.findings import format_count
from runbook.raft.diagnosis.health import ClusterHealth, cluster_health
from runbook.raft.diagnosis.upkeep import Upkeep
from runbook.raft.model import ClusterView
from runbook.redaction import Redactor
from runbook.session.left_out import look_for_left_out
from runbook.session.run_folders import peers_removed_by_newest_runs, state_folder

CLEAN_UP_THEMSELVES = ("nomad", "consul")  # the others have no clean-up, or have it off unless it is asked for
MOST_ENTRIES = 10_000  # of a folder of snapshots


@dataclass(frozen=True)
class SnapshotRule:
    """The newest ``*.snap`` of this folder is to be no older than so many seconds."""

    oldest: float
    folder: Path = Path("/var/backups/raft")

    @property
    def texts(self) -> list[str]:
        return [f"{self.oldest:g}", str(self.folder)]


@dataclass(frozen=True)
class LookedAt:
    """``pulse`` is what the next look compares its own with; ``remarks`` are what could not be read."""

    health: ClusterHealth
    remarks: tuple[str, ...] = ()
    pulse: Any = None


def identity_of(choice: ClusterChoice, environment: Mapping[str, str]) -> ClusterIdentity:
    """How monitors tell it apart, before anybody was asked. Raises SettingsError or PlaybookError."""
    kind, addresses = kind_meant(choice, environment), chosen_addresses(choice, environment)
    instance = addresses[0] if addresses else f"http://127.0.0.1:{ADDRESSES[kind].port}"
    return ClusterIdentity(choice.name or instance, kind, instance)


def look_at_cluster(
    choice: ClusterChoice,
    snapshots: SnapshotRule | None,
    environment: Mapping[str, str],
    redactor: Redactor,
    pulse: Any = None,
) -> LookedAt:
    """With a helper that prints a token, if one is asked. ``pulse`` is of an earlier look: no second sample is waited
    for. Raises RunbookError.
    """
    cluster = chosen_cluster(choice, environment, read_only=True, patient=False)
    redactor.learn_all(cluster.secrets)
    return look_and_judge(cluster, snapshots, environment, pulse)


def look_and_judge(
    cluster: Cluster, snapshots: SnapshotRule | None, environment: Mapping[str, str], pulse: Any = None
) -> LookedAt:
    """The look, and what it means for a monitor."""
    memory = cluster.pulse if isinstance(cluster, PulsedCluster) else None
    if memory is not None:
        memory.resume(pulse, now())
    view, left_out = look_for_left_out(cluster, environment)
    upkeep, remarks = upkeep_of(view, snapshots)
    upkeep = replace(upkeep, cleans_up=view.cluster.partition(":")[0] in CLEAN_UP_THEMSELVES)
    health = cluster_health(view, removed=removed_peers(environment), left_out=left_out, upkeep=upkeep)
    return LookedAt(health, (*unread_in(view), *remarks), memory.record() if memory else None)


def removed_peers(environment: Mapping[str, str]) -> frozenset[str]:
    """Whom earlier runs took out; none where there is no place for runs."""
    try:
        return peers_removed_by_newest_runs(state_folder(environment))
    except SettingsError:
        return frozenset()


def unread_in(view: ClusterView) -> Iterator[str]:
    """What this token may not read of a cluster that has a leader: it is said, and fails nothing."""
    if view.configuration is not None and view.autopilot is None and view.autopilot_error:
        yield f"autopilot's settings were not read: {view.autopilot_error}"


def upkeep_of(view: ClusterView, snapshots: SnapshotRule | None) -> tuple[Upkeep, tuple[str, ...]]:
    """What this machine shows of the cluster's upkeep, and what could not be read of it."""
    left, remarks = [], list[str]()
    for vantage in view.answering:
        if vantage.data_dir and _is_here(vantage.url):
            for folder in ("server/raft", "raft"):
                path = Path(vantage.data_dir, folder, "peers.json")
                try:
                    path.lstat()
                except PermissionError:
                    remarks.append(f"{path.parent}: this user may not look for a peers.json there")
                except OSError:
                    continue
                else:
                    left.append(str(path))
    upkeep = Upkeep(peers_json=tuple(left))
    if snapshots is None:
        return upkeep, tuple(dict.fromkeys(remarks))
    try:
        age = _newest_age(snapshots.folder)
    except OSError as error:
        remarks.append(f"{snapshots.folder}: {error.strerror}, so the age of the newest snapshot is not known")
        return upkeep, tuple(dict.fromkeys(remarks))
    kept = replace(upkeep, snapshots=str(snapshots.folder), snapshot_age=age, snapshot_limit=snapshots.oldest)
    return kept, tuple(dict.fromkeys(remarks))


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname
    return url.startswith("unix://") or host == "localhost" or bool(host and own_addresses([host]))


def _newest_age(folder: Path) -> float | None:
    """Seconds since the newest snapshot in it was finished; None where there is none. Raises OSError."""
    newest = None
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number >= MOST_ENTRIES:
                break
            seen = entry.stat(follow_symlinks=False) if entry.name.endswith(".snap") else None
            if seen is not None and stat.S_ISREG(seen.st_mode) and seen.st_size > 0:
                newest = max(newest or 0.0, seen.st_mtime)
    return None if newest is None else max(0.0, wall_seconds() - newest)


def one_line(error: BaseException) -> str:
    """What a monitor can show of an error: of the faults of a file the first, and how many there are."""
    if isinstance(error, PlaybookError):
        first, *others = error.diagnostics
        more = f"; and {format_count(len(others), 'more fault')}: see runbook clusters check" if others else ""
        return f"{first.mark}: {first.message}{more}"
    return " ".join(str(error).split())
