"""The servers that recoveries of this state folder left out and that may come back: a file of its own for each
recovery, from its journal's event, until a person has said of each that it is kept out, or it was replaced.

A list that cannot be read ends nothing, and is told with its path: nobody would see that one of its servers is back.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import combinations, islice
from pathlib import Path
from typing import Any

from runbook.clock import Clock
from runbook.cluster.port import Cluster
from runbook.cluster_events import LeftOutAcknowledged
from runbook.dataclass import dataclass
from runbook.decode import ODD
from runbook.errors import AtWorkError, JournalError, NotStartedError, SettingsError
from runbook.files import RUNS, delete_file, make_folder, read_limited, replace_file
from runbook.journal.store import Journal
from runbook.printable import printable_line
from runbook.raft.left_out import NOBODY, LeftOutList, LeftOutServer, replacement_of
from runbook.raft.model import ClusterView
from runbook.redaction import Redactor
from runbook.secrets import SecretStore
from runbook.session.run_folders import JOURNAL, state_folder

FOLDER = "left-out"
MOST_BYTES, MOST_FILES, LONGEST_WORD = 256 * 1024, 1000, 300


@dataclass(frozen=True)
class LeftOutFile:
    """The list of one recovery. ``peers`` is by what its cluster is known, as the lock knows it: by the ids of its
    peers, of the newest look that met its leader.
    """

    path: Path
    cluster: str
    peers: frozenset[str]
    servers: tuple[LeftOutServer, ...]

    @property
    def run(self) -> str:
        return self.path.stem

    def save(self) -> None:
        """Whole, or as it was; without servers it goes. Raises OSError."""
        if not self.servers:
            delete_file(self.path)
            return
        rows = [{key: word for key, word in asdict(server).items() if key != "run"} for server in self.servers]
        data = {"cluster": self.cluster, "peers": sorted(self.peers), "servers": rows}
        make_folder(self.path.parent)
        replace_file(self.path, f"{json.dumps(data, indent=1)}\n".encode())


def write_list(state: Path, run: str, cluster: str, listed: Mapping[str, Any]) -> None:
    """What the run's event says, as its journal holds it. Raises JournalError, as the run is not to end well then."""
    servers = tuple(LeftOutServer(row["id"], row["name"], row["address"], run) for row in listed["servers"])
    path = state / FOLDER / f"{run}.json"
    try:
        LeftOutFile(path, cluster, frozenset(listed["peers"]), servers).save()
    except OSError as error:
        what = f"the list of the servers left out cannot be written: {error.strerror}"
        raise JournalError(f"{path}: {what}. Make room, then resume this run") from None


def read_lists(state: Path) -> tuple[list[LeftOutFile], tuple[str, ...]]:
    """All of this state folder, and what is to be told of those that cannot be read."""
    folder, found, unread = state / FOLDER, list[LeftOutFile](), list[str]()
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in islice(entries, MOST_FILES + 1) if entry.name.endswith(".json"))
    except (FileNotFoundError, NotADirectoryError):
        return [], ()
    except OSError as error:
        return [], (f"{folder}: {error.strerror}",)
    if len(names) > MOST_FILES:
        unread.append(f"{folder}: more than {MOST_FILES} files")
    for name in names[:MOST_FILES]:
        try:
            found.append(_parse(folder / name, read_limited(folder / name, MOST_BYTES)))
        except OSError as error:
            unread.append(printable_line(f"{folder / name}: {error.strerror}"))
        except (*ODD, RecursionError):
            unread.append(printable_line(f"{folder / name}: it is not what a recovery writes"))
    return found, tuple(unread)


def _parse(path: Path, data: bytes) -> LeftOutFile:
    """Raises one of ODD, or RecursionError."""
    if len(data) > MOST_BYTES:
        raise ValueError("too large")
    found = json.loads(data)
    servers = tuple(
        LeftOutServer(_word(row["id"]), _word(row["name"]), _word(row["address"]), path.stem)
        for row in found["servers"]
    )
    peers = frozenset(map(_word, found["peers"]))
    if not servers or not peers or isinstance(found["peers"], str):
        raise ValueError("it names nobody")
    return LeftOutFile(path, _word(found["cluster"]), peers, servers)


def _word(told: object) -> str:
    """Raises ValueError for what is no plain text, or a long one."""
    if not isinstance(told, str) or not told.isprintable() or not 0 < len(told) <= LONGEST_WORD:
        raise ValueError("no word")
    return told


def left_out_of(state: Path, peers: frozenset[str]) -> LeftOutList:
    """Those of the cluster that has any of these peers; one that two recoveries left out is there once."""
    lists, unread = read_lists(state)
    servers = {server.id: server for each in lists if each.peers & peers for server in each.servers}
    return LeftOutList(tuple(servers.values()), unread)


def probe_left_out(cluster: Cluster, view: ClusterView, left_out: LeftOutList) -> ClusterView:
    """The same view with this host's own try at their Raft ports, as far as no peer has them."""
    addresses = {server.address for server in left_out.servers} - view.probes.keys()
    tried = cluster.probe(addresses) if addresses else {}
    return replace(view, probes={**view.probes, **tried}) if tried else view


def look_for_left_out(cluster: Cluster, environment: Mapping[str, str]) -> tuple[ClusterView, LeftOutList]:
    """One look, with who was left out of this cluster. Who was replaced since leaves the list: this time it is told."""
    view = cluster.look()
    try:
        state = state_folder(environment)
    except SettingsError:  # there is no place for runs, so there are none
        return view, NOBODY
    left_out = left_out_of(state, view.identities)
    view = probe_left_out(cluster, view, left_out)
    for each in read_lists(state)[0] if left_out.servers and view.configuration else ():
        if each.peers & view.identities:
            servers = tuple(server for server in each.servers if not replacement_of(view, server))
            kept = replace(each, peers=view.identities, servers=servers)  # all peers of the recovery may go in time
            if kept != each:
                with contextlib.suppress(OSError):  # then it is told once more
                    kept.save()
    return view, left_out


def acknowledge_left_out(
    name: str, cluster: str, comment: str, who: str, environment: Mapping[str, str], clock: Clock
) -> tuple[str, ...]:
    """``who`` has made sure that this server is kept out: it leaves the list, and the journal of its run says so.

    Returns what was done. Raises NotStartedError where nobody or not only one server is meant, AtWorkError where the
    run is not over, and JournalError.
    """
    state = state_folder(environment)
    lists, unread = read_lists(state)
    there = [each for each in lists if not cluster or cluster in (each.cluster, each.cluster.partition(":")[2])]
    meant = [(each, server) for each in there for server in each.servers if _is_called(server, name)]
    if not meant:
        listed = ", ".join(dict.fromkeys(f"{s.label} of {each.cluster}" for each in lists for s in each.servers))
        where = f"{state / FOLDER} has {listed or 'nobody'}{f'; not read: {unread[0]}' if unread else ''}"
        raise NotStartedError(f"no server {name} is on the list of those that a recovery left out: {where}")
    if any(not one.peers & other.peers for (one, _), (other, _) in combinations(meant, 2)):
        those = ", ".join(dict.fromkeys(f"{each.cluster} ({server.id})" for each, server in meant))
        raise NotStartedError(f"{name} was left out of several clusters: {those}. Say which with --cluster, or its id")
    secret_store = SecretStore(environment, Redactor.of(environment))
    told = []
    for each, server in meant:
        event = {"at": clock.now(), **LeftOutAcknowledged(server.id, server.name, who, comment).record()}
        recorded = _append(state / RUNS / each.run / JOURNAL, secret_store.hide(event))
        rest = tuple(one for one in each.servers if one != server)
        try:
            replace(each, servers=rest).save()
        except OSError as error:
            raise NotStartedError(f"{each.path} cannot be written: {error.strerror}") from None
        record = f"on record in {each.run}" if recorded else f"not on record, as that of {each.run} cannot be written"
        told.append(f"{server.label} is not watched for any more, by {who}'s word; {record}")
    return tuple(told)


def _is_called(server: LeftOutServer, name: str) -> bool:
    return name in (server.id, server.address, server.label, server.label.partition(".")[0])


def _append(path: Path, event: Mapping[str, Any]) -> bool:
    """False where there is no such journal any more, or a damaged one. Raises AtWorkError."""
    try:
        journal, _ = Journal.reopen(path)
        with contextlib.closing(journal):
            journal.append(event)
    except AtWorkError:
        raise
    except JournalError:
        return False
    return True
