"""What the engine may ask of a cluster, and every way in which the answer can fail."""

from __future__ import annotations

from enum import Enum
from math import inf
from pathlib import Path
from typing import Protocol

from runbook.raft.model import ClusterView, Peer


class Trouble(Enum):
    """The class of an error: what a retry, an exit code and a person's next action depend on."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    FORBIDDEN = "forbidden"
    NO_LEADER = "no_leader"
    QUORUM_LOST = "quorum_lost"  # no leader can be elected by waiting: too few voters live
    UNAVAILABLE = "unavailable"  # said no for now, nothing was written: a later attempt may succeed
    NOT_A_PEER = "not_a_peer"
    AMBIGUOUS = "ambiguous"  # a change may or may not have been made: only a look can tell
    REJECTED = "rejected"
    BAD_REPLY = "bad_reply"


class ClusterError(Exception):
    """An answer that is no answer: its class, what happened and where, and what to do next."""

    def __init__(self, trouble: Trouble, what: str, next_action: str = "") -> None:
        super().__init__(f"{what}. {next_action}" if next_action else what)
        self.trouble = trouble
        self.what = what
        self.next_action = next_action


class Cluster(Protocol):
    """A Raft cluster. ``name`` is what a lock is held on; every call is bounded in time by the adapter, and by
    ``within`` seconds where that is less.
    """

    name: str

    def look(self, *, within: float = inf) -> ClusterView:
        """Ask everybody at once. Never raises for a cluster that is ill, or for time that is over: the view says so."""

    def remove_peer(self, peer: Peer, *, within: float = inf) -> None:
        """Ask the leader to take one peer out. Raises :class:`ClusterError`; 200 is not yet proof: look again."""

    def save_state(self, path: Path, *, within: float = inf) -> str:
        """Write the cluster's own state snapshot to ``path`` and return its verified SHA-256 (hex)."""
