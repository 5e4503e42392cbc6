"""The plan of a recovery of a lost quorum: who goes on, who is left out and why, and what may be lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from enum import Enum
from typing import Any

from runbook.dataclass import dataclass
from runbook.raft.diagnosis.findings import format_names
from runbook.raft.model import Peer, Vantage
from runbook.raft.quorum import quorum
from runbook.raft.recovery_files import RaftFiles, peers_json

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
    """Whose log is furthest stands first in ``survivors``; ``losses`` is what is to be told before anybody agrees.

    ``text`` is that of peers.json, empty where none is written.
    """

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

    @property
    def starts(self) -> tuple[Survivor, ...]:
        """Who is started with its own data."""
        return self.survivors[:1] if self.files.forced else self.survivors

    @property
    def anew(self) -> tuple[Survivor, ...]:
        """Who joins them afterwards as an empty member."""
        return self.survivors[1:] if self.files.forced else ()

    @property
    def fingerprint(self) -> str:
        """What must be the same wherever the plan is made again."""
        if not self.files.forced:
            return self.text
        return f"{self.files.method}: {', '.join(one.peer.id for one in (*self.starts, *self.anew))}"

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
            "method": self.files.method,
            "starts": [one.peer.id for one in self.starts],
            "anew": [one.peer.id for one in self.anew],
            "peers_json": self.text,
            "fingerprint": self.fingerprint,
        }


def make_plan(
    cluster: str, files: RaftFiles, vantages: Mapping[Peer, Vantage], left_out: tuple[LeftOut, ...]
) -> RecoveryPlan:
    """Of survivors that fit together."""
    logs = {peer: (vantage.last_log_term or 0, vantage.last_log_index or 0) for peer, vantage in vantages.items()}
    order = sorted(vantages, key=lambda peer: ((-logs[peer][0], -logs[peer][1]), peer.label, peer.id))
    if files.forced:  # a learner begins no cluster
        order.sort(key=lambda peer: not peer.voter)
    votes = {peer: peer.voter for peer in order} if files.forced else _votes(order, logs)
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
    members = [(one.peer, one.voter) for one in sorted(survivors, key=lambda one: one.peer.id)]
    losses = tuple(_losses(files, survivors, left_out))
    return RecoveryPlan(cluster, files, survivors, left_out, losses, "" if files.forced else peers_json(members))


def _votes(order: Sequence[Peer], logs: Mapping[Peer, Log]) -> dict[Peer, bool]:
    """Who voted goes on voting; a non-voter gets a vote where its log is further than that of every voter that is left,
    as it could not lead otherwise and what it holds would be cut off.
    """
    furthest = max((logs[peer] for peer in order if peer.voter), default=None)
    return {peer: peer.voter or furthest is None or logs[peer] > furthest for peer in order}


def _losses(files: RaftFiles, survivors: Sequence[Survivor], left_out: Sequence[LeftOut]) -> Iterator[str]:
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
    yield _dropped(name) if files.forced else _uncommitted(furthest, name)
    behind = [one for one in survivors[1:] if one.log != furthest.log]
    if files.forced and len(survivors) > 1:
        others = format_names([one.peer for one in survivors[1:]])
        yield f"The data of {others} are only copied aside: emptied, each copies everything from {name}, one at a time"
    elif behind:
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


def _dropped(name: str) -> str:
    return (
        f"MAY BE LOST: what {name} holds and does not know to be committed is dropped, also where a client was told "
        "that it is done"
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
