"""Nomad and Consul over HTTP: one look at everybody, one removal, one state snapshot."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from runbook.cluster import wire
from runbook.cluster.http import CONNECT_TIMEOUT, Door, NoAnswerError, Reply, Settings, all_at_once
from runbook.cluster.port import ClusterError, Trouble
from runbook.raft.model import AutopilotSettings, ClusterView, Configuration, Member, Peer, Reach, Vantage

STALE_TIMEOUT = 3.0  # seconds; answered from memory, so a slower server is one not to rely on
READ_TIMEOUT = 10.0  # above the 5 s (Nomad) and 7 s (Consul) a leaderless server holds a request (FACTS 9 row 30)
CHANGE_TIMEOUT = 20.0
STATE_TIMEOUT = 120.0
STATE_LIMIT = 4 * 1024**3


@dataclass(frozen=True)
class Dialect:
    """Where Nomad and Consul differ."""

    kind: str
    role: str
    region_parameter: str
    snapshot_path: str
    permission: str


NOMAD = Dialect("nomad", "nomad", "region", "/v1/operator/snapshot", "a management token in NOMAD_TOKEN")
CONSUL = Dialect("consul", "consul", "dc", "/v1/snapshot", "operator:write and agent:read in CONSUL_HTTP_TOKEN")

_MEANINGS = (  # what a 500's text contains, lower case (FACTS 2.2); unknown text of a change is ambiguous
    ("no cluster leader", Trouble.NO_LEADER),
    ("node is not the leader", Trouble.UNAVAILABLE),
    ("not ready to serve consistent reads", Trouble.UNAVAILABLE),
    ("leadership transfer in progress", Trouble.UNAVAILABLE),
    ("raft is already shutdown", Trouble.UNAVAILABLE),
    ("failed to get conn", Trouble.UNAVAILABLE),
    ("was not found in the raft configuration", Trouble.NOT_A_PEER),
    ("need at least one voter", Trouble.REJECTED),
    ("operation not supported with current protocol", Trouble.REJECTED),
    ("no path to region", Trouble.REJECTED),
)


class HashiCorpCluster:
    """A cluster reached by one or more HTTP addresses; the other servers' are found in gossip and verified."""

    def __init__(self, dialect: Dialect, addresses: tuple[str, ...], settings: Settings, region: str | None) -> None:
        self.name = f"{dialect.kind}:{addresses[0]}"
        self._dialect = dialect
        self._settings = settings
        self._region = region
        self._entries = addresses
        self._expected: dict[str, str | None] = dict.fromkeys(addresses)
        self._doors: dict[str, Door] = {}

    def look(self) -> ClusterView:
        """Everybody in parallel: at most one time-out for the servers that hang, one for a cluster without a leader."""
        known = self._ask_vantages(list(self._expected))
        found = self._candidates(known)
        self._expected.update(found)
        vantages = _one_each([*known, *self._ask_vantages(list(found))])
        configuration, leader_id, error = self._read_configuration(vantages)
        best = configuration or next((v.configuration for v in vantages if v.configuration), None)
        addresses = sorted({peer.address for peer in best.peers}) if best else []
        probes = all_at_once([_probing(address) for address in addresses], CONNECT_TIMEOUT + 1)
        return ClusterView(
            cluster=self.name,
            taken_at=time.monotonic(),
            configuration=configuration,
            leader_id=leader_id,
            vantages=vantages,
            probes={address: reach or Reach.SILENT for address, reach in zip(addresses, probes, strict=True)},
            autopilot=self._read_autopilot(vantages),
            trouble=error.trouble.value if error else None,
            trouble_text=str(error) if error else None,
        )

    def remove_peer(self, peer: Peer) -> None:
        """By id on protocol 3, by address on protocol 2 (FACTS 2.1); one peer a request, a second is dropped."""
        named = "address" if peer.protocol == 2 else "id"
        value = peer.address if named == "address" else peer.id
        self._try_doors(self._entries, "DELETE", f"/v1/operator/raft/peer?{named}={quote(value, safe='')}")

    def save_state(self, path: Path) -> str:
        """The state snapshot, its Digest verified where the server gives one (FACTS 3.4)."""
        reply = self._try_doors(self._entries, "GET", self._dialect.snapshot_path, STATE_TIMEOUT, STATE_LIMIT)
        digest = hashlib.sha256(reply.body).digest()
        told = {key.lower(): value for key, value in reply.headers.items()}.get("digest", "")
        if told and told.removeprefix("sha-256=") != base64.b64encode(digest).decode():
            raise ClusterError(Trouble.BAD_REPLY, "the state snapshot does not match its Digest", "Take it again")
        if reply.body[:2] != b"\x1f\x8b":
            raise ClusterError(Trouble.BAD_REPLY, f"no gzip archive came but: {reply.text}")
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(reply.body)
            file.flush()
            os.fsync(file.fileno())
        return digest.hex()

    # -- asking

    def _door(self, url: str) -> Door:
        return self._doors.setdefault(url, Door(url, self._settings))

    def _get(self, url: str, path: str, timeout: float = STALE_TIMEOUT) -> Any:
        return wire.decode(self._checked(url, "GET", path, timeout).body, url + path)

    def _checked(self, url: str, method: str, path: str, timeout: float, limit: int | None = None) -> Reply:
        if self._region:
            path += f"{'&' if '?' in path else '?'}{self._dialect.region_parameter}={quote(self._region, safe='')}"
        door = self._door(url)
        reply = door.ask(method, path, timeout=timeout, **({"limit": limit} if limit else {}))
        if reply.status in (200, 429) and not (reply.status == 429 and not reply.body.startswith(b"{")):
            return reply
        raise self._explain(f"{method} {url}{path.split('?')[0]}", method, reply)

    def _explain(self, place: str, method: str, reply: Reply) -> ClusterError:
        what = f"{place} answered {reply.status}: {reply.text}"
        if reply.status in (401, 403):
            return ClusterError(Trouble.FORBIDDEN, what, f"This needs {self._dialect.permission}")
        if reply.status == 429:
            return ClusterError(Trouble.UNAVAILABLE, what, "The server limits connections from this host")
        text = reply.text.lower()
        trouble = next((meaning for words, meaning in _MEANINGS if words in text), None)
        if trouble is None:
            change = method != "GET" and reply.status >= 500
            trouble = Trouble.AMBIGUOUS if change else Trouble.REJECTED
        return ClusterError(trouble, what)

    def _try_doors(
        self, urls: tuple[str, ...], method: str, path: str, timeout: float = CHANGE_TIMEOUT, limit: int | None = None
    ) -> Reply:
        """The first server that can be asked; a second one only where the request surely did not arrive."""
        for url in urls[:-1]:
            try:
                return self._checked(url, method, path, timeout, limit)
            except NoAnswerError as error:
                if error.trouble is Trouble.AMBIGUOUS:
                    raise
        return self._checked(urls[-1], method, path, timeout, limit)

    # -- looking

    def _ask_vantages(self, urls: list[str]) -> list[Vantage]:
        works: list[Callable[[], Vantage]] = [lambda url=url: self._ask_vantage(url) for url in urls]  # type: ignore[misc]
        answers = all_at_once(works, 3 * STALE_TIMEOUT + 1)
        return [
            answer or Vantage(url, Reach.ACCEPTED, expected_id=self._expected.get(url), trouble="no answer in time")
            for url, answer in zip(urls, answers, strict=True)
        ]

    def _ask_vantage(self, url: str) -> Vantage:
        expected = self._expected.get(url)
        try:
            own = self._get(url, "/v1/agent/self")
            return self._vantage(url, expected, {key.lower(): value for key, value in own.items()})
        except NoAnswerError as error:
            return Vantage(url, error.reach, expected_id=expected, trouble=str(error))
        except (ClusterError, AttributeError, KeyError, TypeError, ValueError) as error:
            return Vantage(url, Reach.ANSWERED, expected_id=expected, trouble=str(error))

    def _vantage(self, url: str, expected: str | None, own: dict[str, Any]) -> Vantage:
        me = wire.member(own["member"])
        region = self._region or own["member"]["Tags"].get("region", own["member"]["Tags"].get("dc"))
        raft = (own.get("stats") or {}).get("raft") or {}
        held, _ = wire.configuration(self._get(url, "/v1/operator/raft/configuration?stale"), url)
        return Vantage(
            url=url,
            reach=Reach.ANSWERED,
            server_id=me.id,
            name=me.name,
            raft_address=me.raft_address,
            state=raft.get("state"),
            term=wire.number(raft.get("term")),
            last_log_term=wire.number(raft.get("last_log_term")),
            last_log_index=wire.number(raft.get("last_log_index")),
            configuration=held,
            members=wire.members(self._get(url, "/v1/agent/members"), self._dialect.role, region, url),
            expected_id=expected,
        )

    def _candidates(self, known: list[Vantage]) -> dict[str, str | None]:
        """HTTP addresses are not published (FACTS 3.8): gossip's IP and the port we used, believed if its id fits."""
        asked = {v.server_id for v in known if v.server_id}
        found: dict[str, str | None] = {}
        for vantage in known:
            parts = urlsplit(vantage.url)
            for member in vantage.members or ():
                url = f"{parts.scheme}://{_host(member)}:{parts.port}"
                if member.id not in asked and url not in self._expected:
                    found.setdefault(url, member.id)
        return found

    def _read_configuration(
        self, vantages: tuple[Vantage, ...]
    ) -> tuple[Configuration | None, str | None, ClusterError | None]:
        """The leader's own words, believed when the server it names does not itself deny it (FACTS 9 row 17)."""
        answering = tuple(v.url for v in vantages if v.server_id)
        try:
            reply = self._try_doors(answering or self._entries, "GET", "/v1/operator/raft/configuration", READ_TIMEOUT)
            configuration, leader = wire.configuration(wire.decode(reply.body, self.name), self.name)
        except ClusterError as error:
            return None, None, error
        denying = next((v for v in vantages if v.server_id == leader and v.state not in (None, "Leader")), None)
        if leader is None or denying is not None:
            return None, None, ClusterError(Trouble.NO_LEADER, "no server both is named and calls itself leader")
        return configuration, leader, None

    def _read_autopilot(self, vantages: tuple[Vantage, ...]) -> AutopilotSettings | None:
        url = next((v.url for v in vantages if v.server_id), None)
        try:
            read = self._get(url, "/v1/operator/autopilot/configuration?stale") if url else {}
            return AutopilotSettings(bool(read["CleanupDeadServers"]), int(read.get("MinQuorum", 0)))
        except (ClusterError, KeyError, TypeError, ValueError):
            return None


def _host(member: Member) -> str:
    return member.raft_address.rpartition(":")[0]


def _one_each(vantages: list[Vantage]) -> tuple[Vantage, ...]:
    """Two addresses of one server are one vantage: its opinion counts once."""
    seen: set[str] = set()
    kept: list[Vantage] = []
    for vantage in vantages:
        if vantage.server_id is None or vantage.server_id not in seen:
            kept.append(vantage)
        if vantage.server_id:
            seen.add(vantage.server_id)
    return tuple(kept)


def _probing(address: str) -> Callable[[], Reach]:
    return lambda: probe(address)


def probe(address: str) -> Reach:
    """Can this host open the port? Accepting proves neither life nor death (FACTS 3.8)."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT).close()
    except ConnectionRefusedError:
        return Reach.REFUSED
    except TimeoutError:
        return Reach.SILENT
    except (OSError, ValueError):
        return Reach.UNREACHABLE
    return Reach.ACCEPTED
