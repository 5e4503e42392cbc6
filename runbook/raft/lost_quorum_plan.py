"""The plan of a recovery by peers.json: who goes on, who is left out and why, what may be lost, and the file itself.

Where each product looks for the file, and in which format: docs/servers/nomad.md#peersjson and consul.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from runbook.raft.diagnosis.findings import format_names
from runbook.raft.model import Peer, Vantage
from runbook.raft.quorum import quorum
from runbook.raft.removal import Refusal

_VERSION = re.compile(r"v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})")


@dataclass(frozen=True)
class RaftFiles:
    """The files of one product.

    Args:
        kind: The product.
        raft: The Raft folder, below the data folder.
        id_file: The file that holds the server's id, below the data folder.
        unit: What its systemd unit is usually called.
        look: The product's own command that shows the configuration.
        ids_since: The first version that reads ids in the file.
        like: A file of the Raft folder that every server has which would read the file; its owner is taken too.
        copied: What is copied aside before, below the data folder; empty where that is the whole of it.
        tells_id: Whether every server has the file with its id.
        unseal: The command after which a server reads the file, where that is not its start.
    """

    kind: str
    raft: str
    id_file: str
    unit: str
    look: str
    ids_since: tuple[int, int, int]
    like: str = "peers.info"
    copied: str = ""
    tells_id: bool = True
    unseal: str = ""

    def reason_not_read(self, peer: Peer, version: str | None) -> Refusal | None:
        """Why this server could not read the file that its protocol asks for."""
        number = version_number(version)
        if peer.protocol == 2 or number is None or number >= self.ids_since:
            return None
        sentence = f"{peer.label} runs {self.kind} {version}, which reads no ids in peers.json whatever protocol it has"
        needed = ".".join(map(str, self.ids_since))
        return Refusal("FormatNotRead", sentence, f"Update the survivors to {needed} or later first, data in place")


FILES = {
    "nomad": RaftFiles(
        "nomad",
        "server/raft",
        "server/node-id",
        "nomad",
        "nomad operator raft list-peers -stale",
        (0, 9, 2),
        copied="server/raft",
    ),
    "consul": RaftFiles(
        "consul", "raft", "node-id", "consul", "consul operator raft list-peers -stale", (1, 0, 0), copied="raft"
    ),
    "openbao": RaftFiles(
        "openbao",
        "raft",
        "node-id",  # where its configuration gives it none
        "openbao",
        "bao operator raft list-peers",
        (0, 0, 0),
        like="raft.db",
        tells_id=False,
        unseal="bao operator unseal",
    ),
}


def files_of(kind: str) -> RaftFiles | Refusal:
    """Of this product, or a refusal where no recovery by peers.json is known."""
    if kind in FILES:
        return FILES[kind]
    if kind == "etcd":
        sentence = "etcd is not recovered by peers.json, and its recovery is not built in here"
        next_action = (
            "See first that no majority runs elsewhere. Then start the member with the highest raftIndex once with "
            "--force-new-cluster on its own data, and add the others as new members with empty folders"
        )
        return Refusal("NoRecoveryForProduct", sentence, next_action)
    if kind == "vault":
        sentence = "Vault shows no configuration without an active server, so whom it lists cannot be read from outside"
        next_action = (
            "See first that no majority runs elsewhere. Then stop the survivors, write the same raft/peers.json with "
            "all of them in it on each, start them, and unseal them: it is read only then"
        )
        return Refusal("NoRecoveryForProduct", sentence, next_action)
    sentence = f"how {kind} is recovered from a lost quorum is not built in here"
    return Refusal("NoRecoveryForProduct", sentence, "Follow the product's own page on disaster recovery")


def version_number(version: str | None) -> tuple[int, int, int] | None:
    """``1.8.7+ent`` as numbers; None where it cannot be read."""
    found = _VERSION.match(version or "")
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def peers_json(members: Sequence[tuple[Peer, bool]]) -> str:
    """The file's text, the same for every survivor: each peer that goes on, and whether it has a vote.

    On protocol 2 it is a list of addresses, and none of them can be without a vote.
    """
    if all(peer.protocol == 2 for peer, _ in members):
        return json.dumps([peer.address for peer, _ in members], indent=2) + "\n"
    entries = [{"id": peer.id, "address": peer.address, "non_voter": not voter} for peer, voter in members]
    return json.dumps(entries, indent=2) + "\n"


Log = tuple[int, int]  # term and index of the last entry: the larger one is further


class Ground(Enum):
    """Why a server may be left out."""

    INACTIVE = "inactive"  # its port is refused, and on its host it was seen that it does not run
    FENCED = "fenced"  # it was stopped, disabled and its Raft folder moved aside; or its machine was switched off
    NAMED = "named"  # a person has said that it is lost


@dataclass(frozen=True)
class LeftOut:
    """A server that will not be in the configuration, on what ground, and what was seen of it."""

    peer: Peer
    ground: Ground | None
    seen: str

    @property
    def may_return(self) -> bool:
        """Whether nothing keeps it from coming back with its old data."""
        return self.ground is not Ground.FENCED


@dataclass(frozen=True)
class Survivor:
    """A server that goes on. ``voter`` is what it will be; ``data_dir`` None where it did not say; ``url`` is its API.

    ``log`` has the term 0 where the product tells none: then it is what the server holds for committed.
    """

    peer: Peer
    voter: bool
    log: Log
    commit_index: int | None
    version: str | None
    data_dir: str | None
    url: str = ""

    @property
    def log_end(self) -> str:
        """``7/1042``, or without a term the index alone."""
        term, index = self.log
        return f"{term}/{index}" if term else str(index)


@dataclass(frozen=True)
class RecoveryPlan:
    """Whose log is furthest stands first in ``survivors``; ``losses`` is what is to be told before anybody agrees."""

    cluster: str
    files: RaftFiles
    survivors: tuple[Survivor, ...]
    left_out: tuple[LeftOut, ...]
    losses: tuple[str, ...]
    text: str

    @property
    def name(self) -> str:
        """How a person agrees to it: the cluster's name."""
        return self.cluster

    def record(self) -> dict[str, Any]:
        """As plain data, for a record and for a machine."""
        return {
            "cluster": self.cluster,
            "kind": self.files.kind,
            "survivors": [
                {**asdict(s.peer), "name": s.peer.label, "voter": s.voter, "log": list(s.log), "data_dir": s.data_dir}
                for s in self.survivors
            ],
            "left_out": [
                {
                    **asdict(one.peer),
                    "name": one.peer.label,
                    "ground": one.ground.value if one.ground else None,
                    "seen": one.seen,
                    "may_return": one.may_return,
                }
                for one in self.left_out
            ],
            "losses": list(self.losses),
            "peers_json": self.text,
        }


def make_plan(
    cluster: str, files: RaftFiles, vantages: Mapping[Peer, Vantage], left_out: tuple[LeftOut, ...]
) -> RecoveryPlan:
    """Of survivors that fit together."""
    logs = {peer: (vantage.last_log_term or 0, vantage.last_log_index or 0) for peer, vantage in vantages.items()}
    order = sorted(vantages, key=lambda peer: ((-logs[peer][0], -logs[peer][1]), peer.label, peer.id))
    votes = _votes(order, logs)
    survivors = tuple(
        Survivor(
            peer,
            votes[peer],
            logs[peer],
            said.commit_index if said.last_log_term is not None else None,  # else the log may well be longer
            said.version,
            said.data_dir,
            said.url,
        )
        for peer in order
        for said in (vantages[peer],)
    )
    text = peers_json([(one.peer, one.voter) for one in sorted(survivors, key=lambda one: one.peer.id)])
    return RecoveryPlan(cluster, files, survivors, left_out, tuple(_losses(survivors, left_out)), text)


def _votes(order: Sequence[Peer], logs: Mapping[Peer, Log]) -> dict[Peer, bool]:
    """Who voted goes on voting; a non-voter gets a vote where its log is further than that of every voter that is left,
    as it could not lead otherwise and what it holds would be cut off.
    """
    furthest = max((logs[peer] for peer in order if peer.voter), default=None)
    return {peer: peer.voter or furthest is None or logs[peer] > furthest for peer in order}


def _losses(survivors: Sequence[Survivor], left_out: Sequence[LeftOut]) -> Iterator[str]:
    """What may be lost or wrongly committed, in plain words."""
    furthest = survivors[0]
    name = furthest.peer.label
    end = f"{furthest.log_end} (term/index)" if furthest.log[0] else f"index {furthest.log_end}"
    voted = sum(one.peer.voter for one in survivors)
    lost = sum(one.peer.voter for one in left_out)
    needed = quorum(voted + lost)
    if lost >= needed:
        yield (
            f"MAY BE LOST: {lost} of {voted + lost} voters are left out, and {needed} are enough to accept a change. "
            f"Whatever only they held is lost, also where a client was told that it is done. The furthest log that is "
            f"left is that of {name}; it ends at {end}"
        )
    else:
        yield (
            f"Nothing that was acknowledged should be lost: a change needed {needed} of {voted + lost} voters, and "
            f"{lost} are left out. It is all in the log of {name}, which ends at {end}"
        )
    yield _uncommitted(furthest, name)
    behind = [one for one in survivors[1:] if one.log != furthest.log]
    if behind:
        told = ", ".join(f"{one.peer.label} ends at {one.log_end}" for one in behind)
        yield f"Not every survivor holds as much ({told}): start {name} first, the others right after"
    promoted = [one.peer for one in survivors if one.voter and not one.peer.voter]
    if promoted:
        get = "gets" if len(promoted) == 1 else "get"
        yield f"{format_names(promoted)} had no vote and {get} one, as no voter that is left holds as much"
    for one in left_out:
        if one.ground is Ground.NAMED:
            yield (
                f"{one.peer.label} is left out on a person's word: IF IT STILL RUNS, WHAT IT ACCEPTED SINCE THE CUT "
                "WILL BE LOST WITHOUT A WORD"
            )


def _uncommitted(furthest: Survivor, name: str) -> str:
    begin = "MAY BE COMMITTED THOUGH NOBODY AGREED TO IT: recovery takes all of a log for committed"
    if furthest.commit_index is None:
        return f"{begin}, also its last entries of which a client may have been told that they failed"
    number = max(0, furthest.log[1] - furthest.commit_index)
    if number == 0:
        return f"The log of {name} holds nothing beyond what it knew to be committed"
    many = "1 entry" if number == 1 else f"{number} entries"
    return f"{begin}, and that of {name} holds {many} more than it knew to be committed"
