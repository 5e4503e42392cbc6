"""A cluster of etcd in virtual time, with the replies that real members of 3.4.23 and 3.6.14 were seen to give.

A world is one letter a member: ``l`` leader, ``f`` follower, ``d`` dead, ``z`` frozen, ``o`` off with its machine,
``n`` added and never started, ``e`` a learner that runs. ``sticky``: streams to a frozen member stay up, as in 3.6.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any
from urllib.parse import urlsplit

from runbook.cluster.etcd.adapter import EtcdCluster
from runbook.cluster.http import HttpSettings, Reply
from runbook.errors import ErrorKind, NoAnswerError
from runbook.raft.model import Reach
from runbook.raft.quorum import quorum
from tests.cluster.virtual_time import VirtualTime

RUNNING, VOTING = "lfe", "lfdzon"
REACH = {"d": Reach.REFUSED, "n": Reach.REFUSED, "z": Reach.ACCEPTED, "o": Reach.SILENT}
BYTES = 400.0  # a second, that a living follower's answers to heartbeats are


def url(number: int) -> str:
    return f"http://10.0.0.{number}:2379"


def member(number: int) -> int:
    """Its id: small, so that a person reads it in a failure."""
    return 16 + number


@dataclass
class EtcdWorld(VirtualTime):
    """Everybody's state by letters; ``apis`` are the members whose client port this host reaches, all unless said."""

    letters: str
    sticky: bool = False
    apis: frozenset[int] | None = None
    now: float = 100.0
    changes: list[str] = field(default_factory=list)

    def cluster(self, door: int = 1) -> EtcdCluster:
        return EtcdCluster((url(door),), HttpSettings(), network=self)

    @property
    def has_quorum(self) -> bool:
        voters = sum(letter in VOTING for letter in self.letters)
        return sum(letter in "lf" for letter in self.letters) >= quorum(voters)

    # -- the network

    def probe(self, address: str) -> Reach:
        name, _, port = address.rpartition(":")
        letter = self.letters[int(name.rpartition(".")[2]) - 1]
        if letter == "o":
            return Reach.SILENT
        return Reach.ACCEPTED if port in ("2379", "2380") and letter in "lfez" else Reach.REFUSED

    def ask(
        self,
        base: str,
        method: str,
        path: str,
        *,
        timeout: float,
        limit: int,
        into: IO[bytes] | None,
        body: bytes | IO[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        changes: bool | None = None,
    ) -> Reply:
        number = int((urlsplit(base).hostname or "").rpartition(".")[2])
        letter = self.letters[number - 1]
        reach = REACH.get(letter)
        if self.apis is not None and number not in self.apis:
            reach = Reach.SILENT if letter == "o" else Reach.REFUSED
        if reach is not None:
            kind = ErrorKind.TIMEOUT if reach is Reach.ACCEPTED else ErrorKind.UNREACHABLE
            raise NoAnswerError(reach, kind, f"{method} {base}{path}: {reach.value}", "Check it")
        if path == "/metrics":
            return Reply(200, {}, self._metrics(number).encode())
        if changes:
            self.changes.append(path)
        status, told = self._reply(number, path)
        return Reply(status, {}, json.dumps(told).encode())

    # -- what the members say

    def _reply(self, number: int, path: str) -> tuple[int, Any]:
        header = {"cluster_id": "9", "member_id": str(member(number)), "raft_term": "3"}
        if path == "/v3/maintenance/status":
            own: dict[str, Any] = {"errors": ["etcdserver: no leader"]}
            if self.has_quorum:
                own = {"leader": str(member(self.letters.index("l") + 1))}
            return 200, {"header": header, "version": "3.6.14", "raftIndex": "42", "raftTerm": "3", **own}
        if path == "/v3/cluster/member/list":
            return 200, {"header": header, "members": [self._entry(n) for n in range(1, len(self.letters) + 1)]}
        if path == "/v3/kv/range" and self.has_quorum:
            return 200, {"header": header}
        return 503, {"message": "etcdserver: request timed out", "code": 14}

    def _entry(self, number: int) -> dict[str, Any]:
        letter = self.letters[number - 1]
        told: dict[str, Any] = {"ID": str(member(number)), "peerURLs": [f"http://10.0.0.{number}:2380"]}
        if letter != "n":
            told |= {"name": f"s{number}", "clientURLs": [url(number)]}
        return told | ({"isLearner": True} if letter == "e" else {})

    def _metrics(self, own: int) -> str:
        lines = [f'etcd_server_id{{server_id="{member(own):x}"}} 1']
        for number, letter in enumerate(self.letters, 1):
            if number == own or letter == "n":
                continue
            up = letter in RUNNING or (letter == "z" and self.sticky)
            lines.append(f'etcd_network_active_peers{{Local="{member(own):x}",Remote="{member(number):x}"}} {int(up)}')
            talks = letter in RUNNING and "l" in (letter, self.letters[own - 1])
            came = 1000.0 + (BYTES * self.now if talks else 0.0)
            lines.append(f'etcd_network_peer_received_bytes_total{{From="{member(number):x}"}} {came:.0f}')
        return "\n".join([*lines, ""])
