"""The JSON and the metrics of etcd to the Raft model: docs/servers/etcd.md.

In JSON a member's id is a decimal string, in the metrics and in ``etcdctl`` it is hexadecimal; here it always is what
``etcdctl`` prints, so that a person can copy it.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from runbook.dataclass import dataclass
from runbook.errors import ClusterError, ErrorKind
from runbook.raft.model import Configuration, Peer

MEMBERS_LIMIT = 100  # far above any etcd cluster; each one named is asked, so a broken reply must not name thousands
ID_LIMIT = 1 << 64
ODD = (KeyError, IndexError, TypeError, AttributeError, ValueError)
_DECIMAL = re.compile(r"[0-9]{1,20}")
_HEX = re.compile(r"[0-9a-f]{1,16}")
_METRIC = re.compile(
    r"(etcd_network_active_peers|etcd_network_peer_received_bytes_total|etcd_server_id)\{([^}]*)\} (\S+)"
)
_NUMBER = re.compile(r"\d{1,20}(\.\d{1,9})?(e\+\d{1,2})?", re.ASCII)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class MemberList:
    """What one member holds of the cluster: the configuration, and where each member's own API is said to be."""

    configuration: Configuration
    client_urls: dict[str, tuple[str, ...]]
    member_id: str
    cluster_id: str


@dataclass(frozen=True)
class Status:
    """One member's own numbers. ``leader`` is ``None`` where it knows of none."""

    member_id: str
    version: str
    leader: str | None
    term: int | None
    index: int | None
    is_learner: bool


def member_list(reply: Any, url: str) -> MemberList:
    """The members. One without a name was added and has not started yet: nobody ever heard from it."""
    try:
        header, entries = reply["header"], reply.get("members") or []
        if len(entries) > MEMBERS_LIMIT:
            raise ValueError(f"{len(entries)} members, more than {MEMBERS_LIMIT}")
        peers = tuple(_peer(entry) for entry in entries)
        urls = {member_id(entry["ID"]): _client_urls(entry) for entry in entries}
        return MemberList(Configuration(peers), urls, member_id(header["member_id"]), member_id(header["cluster_id"]))
    except ODD as error:
        raise ClusterError(ErrorKind.BAD_REPLY, f"{url} sent no readable member list ({error!r:.200})") from None


def _peer(entry: dict[str, Any]) -> Peer:
    name = entry.get("name")
    if not isinstance(name, str | None):
        raise ValueError("name is no text")
    return Peer(
        id=member_id(entry["ID"]),
        address=_place(entry["peerURLs"][0]),
        voter=entry.get("isLearner") is not True,
        name=name or None,
        never_started=not name,
    )


def _client_urls(entry: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(url).rstrip("/") for url in entry.get("clientURLs") or () if _place(url))


def _place(url: str) -> str:
    """``HOST:PORT`` of an address; etcd has no default port, so one without is not whole."""
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in ("http", "https", "unix", "unixs") or not host or parts.port is None:
        raise ValueError(f"no address: {url!r:.80}")
    return f"[{host}]:{parts.port}" if ":" in host else f"{host}:{parts.port}"


def status(reply: Any, url: str) -> Status:
    """The numbers of the member that answers at ``url``."""
    try:
        leader = reply.get("leader")
        return Status(
            member_id=member_id(reply["header"]["member_id"]),
            version=str(reply["version"]),
            leader=member_id(leader) if leader not in (None, "0") else None,
            term=_number(reply.get("raftTerm")),
            index=_number(reply.get("raftIndex")),
            is_learner=reply.get("isLearner") is True,
        )
    except ODD as error:
        raise ClusterError(ErrorKind.BAD_REPLY, f"{url} sent no readable status ({error!r:.200})") from None


@dataclass(frozen=True)
class PeerStreams:
    """One member's streams to another: whether they are up, and how many bytes came, where it is said."""

    up: bool
    received: float | None = None


def streams(metrics: str, asked: str) -> dict[str, PeerStreams]:
    """The streams of the member ``asked`` to each other member, by that member's id.

    Empty where the page is not that member's: behind a balancer somebody else may answer.
    """
    up: dict[str, bool] = {}
    received: dict[str, float] = {}
    for name, labels, value in _METRIC.findall(metrics):
        said = dict(_LABEL.findall(labels))
        if name == "etcd_server_id" and said.get("server_id") != asked:
            return {}
        if name == "etcd_network_peer_received_bytes_total" and _NUMBER.fullmatch(value):
            received[said.get("From", "")] = float(value)
        if (
            name == "etcd_network_active_peers"
            and said.get("Local") == asked
            and _HEX.fullmatch(said.get("Remote", ""))
        ):
            up[said["Remote"]] = up.get(said["Remote"], False) or value == "1"
    return {member: PeerStreams(is_up, received.get(member)) for member, is_up in up.items()}


def member_id(told: Any) -> str:
    """The hexadecimal form of a decimal id. Raises ``ValueError``; a JSON number has lost digits and is none."""
    if not (isinstance(told, str) and _DECIMAL.fullmatch(told) and 0 < int(told) < ID_LIMIT):
        raise ValueError(f"no member id: {told!r:.40}")
    return f"{int(told):x}"


def decimal_id(member: str) -> str:
    """The form that a request needs. Raises ``ValueError``."""
    if not _HEX.fullmatch(member):
        raise ValueError(f"no member id: {member!r:.40}")
    return str(int(member, 16))


def _number(told: Any) -> int | None:
    return int(told) if isinstance(told, str) and _DECIMAL.fullmatch(told) else None
