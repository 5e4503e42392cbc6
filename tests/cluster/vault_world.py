"""A cluster of OpenBao in virtual time, with the replies that real servers of 2.6 were seen to give.

A world is one letter a server: ``a`` active, ``s`` standby, ``x`` sealed, ``e`` without data, ``r`` removed and
running, ``d`` dead, ``f`` frozen, ``o`` off with its machine. Who is neither active nor a standby has not echoed for
``silence`` seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import IO, Any
from urllib.parse import urlsplit

from runbook.cluster.http import HttpSettings, Reply
from runbook.cluster.vault.adapter import VaultCluster
from runbook.cluster.vault.products import OPENBAO
from runbook.errors import ErrorKind, NoAnswerError
from runbook.raft.model import Reach
from tests.cluster.virtual_time import VirtualTime

BEGAN = datetime(2026, 11, 26, 6, 5, tzinfo=timezone.utc)
ECHO_EVERY = 5.0
FORGOTTEN = 15.0  # seconds after which the list has lost a server that does not echo
RUNNING = "asxer"
REACH = {"d": Reach.REFUSED, "f": Reach.ACCEPTED, "o": Reach.SILENT}
NOBODY_ACTIVE = (500, {"errors": ["local node not active but active cluster node not found"]})


def host(number: int) -> str:
    return f"10.0.0.{number}"


def url(number: int) -> str:
    return f"http://{host(number)}:8200"


@dataclass
class VaultWorld(VirtualTime):
    """Everybody's state by letters; ``apis`` are the servers whose API this host reaches, all unless said."""

    letters: str
    silence: float = 75.0
    apis: frozenset[int] | None = None
    forbidden: bool = False
    min_quorum: int = 0
    api_address: Callable[[int], str] = url
    id_header: bool = False
    elected_ago: float = 1e6
    now: float = 100.0
    redirects: bool = False
    passes_all_on: bool = False
    changes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    foreign: frozenset[int] = frozenset()

    def cluster(self, *addresses: str, **more: Any) -> VaultCluster:
        given = addresses or tuple(url(n) for n, letter in enumerate(self.letters, 1) if letter in "as")[:1]
        return VaultCluster(OPENBAO, given, HttpSettings(), self, **more)

    # -- the network

    def probe(self, address: str) -> Reach:
        name, _, port = address.rpartition(":")
        letter = self.letters[int(name.rpartition(".")[2]) - 1]
        if letter == "o":
            return Reach.SILENT
        listens = {"8201": "asrf", "8200": "asrfxe"}.get(port, "")
        return Reach.ACCEPTED if letter in listens else Reach.REFUSED

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
        self.asked.append(f"{method} {base}{path}")
        parts = urlsplit(base)
        name = parts.hostname or ""
        number = int(name.rpartition(".")[2]) if name.startswith("10.") else 1
        letter = self.letters[number - 1]
        reach = REACH.get(letter)
        if (self.apis is not None and number not in self.apis) or (parts.port or 80) != 8200:
            reach = Reach.SILENT if letter == "o" else Reach.REFUSED
        if reach is not None:
            kind = ErrorKind.TIMEOUT if reach is Reach.ACCEPTED else ErrorKind.UNREACHABLE
            raise NoAnswerError(reach, kind, f"{method} {base}{path}: {reach.value}", "Check it")
        status, told = self._reply(
            number, letter, method, path.removeprefix("/v1/sys/"), body if isinstance(body, bytes) else None
        )
        own = {"x-vault-raft-node-id": f"s{number}"} if self.id_header else {}
        return Reply(status, own, json.dumps(told).encode() if told is not None else b"")

    # -- what the servers say

    @property
    def active(self) -> int | None:
        return self.letters.find("a") + 1 or None

    @property
    def listed(self) -> list[int]:
        return [n for n, letter in enumerate(self.letters, 1) if letter != "r"]

    def _reply(self, number: int, letter: str, method: str, path: str, body: bytes | None) -> tuple[int, Any]:
        if path == "seal-status":
            return 200, self._seal_status(letter, "another" if number in self.foreign else "one")
        if letter in "xe":
            return 503, {"errors": ["Vault is sealed"]}
        if path == "leader":
            return 200, self._leader(number)
        if self.forbidden:
            return 403, {"errors": ["permission denied"]}
        if path == "storage/raft/configuration" and not self.passes_all_on:
            return 200, {"data": {"config": {"servers": self._servers(letter), "index": 0}}}
        if self.redirects:
            return 307, None
        if self.active is None:
            return NOBODY_ACTIVE
        if method == "POST":
            self.changes.append((url(number) + "/v1/sys/" + path, json.loads(body or b"")))
            return 204, None
        return 200, {
            "storage/raft/configuration": lambda: {"data": {"config": {"servers": self._servers(letter), "index": 0}}},
            "storage/raft/autopilot/state": self._state,
            "storage/raft/autopilot/configuration": self._settings,
            "ha-status": self._echoing,
        }[path]()

    def _seal_status(self, letter: str, cluster: str) -> dict[str, Any]:
        own = {} if letter in "xe" else {"cluster_id": cluster}
        told = {"type": "shamir", "initialized": letter != "e", "sealed": letter in "xe", "t": 3, "n": 5, "progress": 1}
        return {**told, **own, "version": "2.6.2", "storage_type": "raft", "recovery_seal": False, "migration": False}

    def _leader(self, number: int) -> dict[str, Any]:
        told: dict[str, Any] = {"ha_enabled": True, "raft_committed_index": 42, "raft_applied_index": 42}
        if self.active is None:
            return told
        if number == self.active:
            told["is_self"] = True
        return {
            **told,
            "leader_address": url(self.active),
            "leader_cluster_address": f"https://{host(self.active)}:8201",
        }

    def _servers(self, letter: str) -> list[dict[str, Any]]:
        everybody = range(1, len(self.letters) + 1)
        return [
            {"node_id": f"s{n}", "address": f"{host(n)}:8201", "leader": n == self.active, "protocol_version": "3",
             "voter": True}
            for n in (everybody if letter == "r" else self.listed)
        ]  # fmt: skip

    def since_echo(self, number: int) -> float:
        """Real seconds since this server's last echo: standbys echo every five, each at its own moment."""
        if self.letters[number - 1] in "sr":
            return (self.now + number) % ECHO_EVERY
        return self.silence + self.now - 100.0

    def _state(self) -> dict[str, Any]:
        rows = {}
        for n in self.listed:
            contact = 0.0 if n == self.active else min(self.since_echo(n), self.elected_ago + self.now - 100.0)
            rows[f"s{n}"] = {"id": f"s{n}", "node_status": "alive", "last_contact": f"{contact:.6f}s", "last_term": 3,
                             "healthy": contact < 10, "status": "voter"}  # fmt: skip
        return {"data": {"failure_tolerance": 0, "healthy": True, "leader": f"s{self.active}", "servers": rows}}

    def _echoing(self) -> dict[str, Any]:
        listed = [n for n in range(1, len(self.letters) + 1) if n == self.active or self.since_echo(n) < FORGOTTEN]
        nodes = [
            {"api_address": self.api_address(n), "cluster_address": f"https://{host(n)}:8201",
             "active_node": n == self.active, "last_echo": None if n == self.active else self._echoed_at(n)}
            for n in listed
        ]  # fmt: skip
        return {"nodes": nodes, "data": {"nodes": nodes}}

    def _echoed_at(self, number: int) -> str:
        return (BEGAN + timedelta(seconds=round(self.now - self.since_echo(number), 3))).isoformat()

    def _settings(self) -> dict[str, Any]:
        return {"data": {"cleanup_dead_servers": False, "min_quorum": self.min_quorum, "last_contact_threshold": "10s"}}
