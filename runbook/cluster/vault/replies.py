"""The JSON of Vault and OpenBao to the Raft model: docs/servers/vault.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from runbook.cluster.access import split_address
from runbook.dataclass import dataclass
from runbook.decode import ODD, go_seconds, number, text_of
from runbook.errors import ClusterError, ErrorKind
from runbook.raft.model import AutopilotSettings, Configuration, Peer

SERVERS_LIMIT = 100  # far above any Raft cluster; each one named is asked, so a broken reply must not name thousands
RAFT_STORAGE = "raft"


@dataclass(frozen=True)
class SealStatus:
    """Whether a server has its key. ``given`` of ``needed`` key shares were entered; both are 0 where it needs none.

    ``storage`` is the kind of its storage, ``removed``: it knows that it was removed from the cluster. Who is sealed
    tells no ``cluster_id``.
    """

    initialized: bool
    sealed: bool
    seal: str
    given: int
    needed: int
    version: str | None
    storage: str | None
    removed: bool
    cluster_id: str | None


@dataclass(frozen=True)
class ActiveServer:
    """Who is active, by one server's own word. ``place`` is its Raft address; both are None where it knows of none."""

    is_self: bool
    place: str | None
    committed: int | None
    applied: int | None


@dataclass(frozen=True)
class AutopilotRow:
    """What the active server has of one peer: seconds since its last echo, and whether that is too long."""

    contact: float | None
    healthy: bool


@dataclass(frozen=True)
class AutopilotPicture:
    """All of them by their ids, and who made it: the active server's id and its term."""

    leader: str
    term: int
    rows: Mapping[str, AutopilotRow]


@dataclass(frozen=True)
class EchoingServer:
    """A server whose echo reached the active one within seconds, or the active one itself, which has no echo."""

    place: str
    api_address: str | None
    last_echo: str | None


def seal_status(reply: Any, url: str) -> SealStatus:
    """Answered by every server, without a token, sealed or not."""
    try:
        initialized, sealed = reply["initialized"], reply["sealed"]
        if type(initialized) is not bool or type(sealed) is not bool:
            raise ValueError("initialized or sealed is no truth value")
        return SealStatus(
            initialized,
            sealed,
            str(reply.get("type") or "shamir"),
            number(reply.get("progress")) or 0,
            number(reply.get("t")) or 0,
            text_of(reply.get("version")),
            text_of(reply.get("storage_type")),
            reply.get("removed_from_cluster") is True,
            text_of(reply.get("cluster_id")),
        )
    except ODD as error:
        raise _unreadable(url, "seal status", error) from None


def active_server(reply: Any, url: str) -> ActiveServer:
    """Without an active server ``leader_cluster_address`` is missing or empty."""
    try:
        place = _place(reply.get("leader_cluster_address"))
        committed, applied = (number(reply.get(f"raft_{each}_index")) for each in ("committed", "applied"))
        return ActiveServer(reply.get("is_self") is True, place, committed, applied)
    except ODD as error:
        raise _unreadable(url, "word on its leader", error) from None


def configuration(reply: Any, url: str) -> tuple[Configuration, str | None]:
    """The peers, and the id of the one flagged as leader."""
    try:
        entries = _few(reply["data"]["config"]["servers"] or [])
        servers = [(_peer(entry), entry.get("leader") is True) for entry in entries]
    except ODD as error:
        raise _unreadable(url, "Raft configuration", error) from None
    leaders = [peer.id for peer, leads in servers if leads]
    return Configuration(tuple(peer for peer, _ in servers)), leaders[0] if len(leaders) == 1 else None


def _peer(entry: dict[str, Any]) -> Peer:
    peer_id, address, voter = entry["node_id"], entry["address"], entry["voter"]
    if not (isinstance(peer_id, str) and peer_id and isinstance(address, str) and isinstance(voter, bool)):
        raise ValueError("node_id, address or voter has the wrong type")
    if _place(f"https://{address}") is None:
        raise ValueError(f"no address: {address!r:.80}")
    return Peer(peer_id, address, voter, name=peer_id, protocol=number(entry.get("protocol_version")))


def autopilot_picture(reply: Any, url: str) -> AutopilotPicture:
    """What the active server's autopilot has of every peer, at most two seconds old."""
    try:
        data = reply["data"]
        leader, servers = data["leader"], data["servers"]
        if len(servers) > SERVERS_LIMIT or not isinstance(leader, str):
            raise ValueError("too many servers, or a leader that is no text")
        rows = {
            str(peer_id): AutopilotRow(go_seconds(entry.get("last_contact")), entry.get("healthy") is True)
            for peer_id, entry in servers.items()
        }
        return AutopilotPicture(leader, number(servers[leader].get("last_term")) or 0, rows)
    except ODD as error:
        raise _unreadable(url, "state of autopilot", error) from None


def echoing_servers(reply: Any, url: str) -> tuple[EchoingServer, ...]:
    """By ``sys/ha-status``: a server that stopped echoing vanishes from it within a quarter of a minute."""
    try:
        entries = reply["data"]["nodes"] if isinstance(reply.get("data"), dict) else reply["nodes"]
        found = [(_place(e.get("cluster_address")), _api(e.get("api_address")), e) for e in _few(entries)]
        return tuple(EchoingServer(place, api, text_of(entry.get("last_echo"))) for place, api, entry in found if place)
    except ODD as error:
        raise _unreadable(url, "list of servers", error) from None


def autopilot_settings(reply: Any, url: str) -> AutopilotSettings:
    """The cluster's own settings; what cannot be read is not zero."""
    try:
        cleans, least = reply["data"]["cleanup_dead_servers"], number(reply["data"]["min_quorum"])
        if type(cleans) is not bool or least is None:
            raise ValueError("cleanup_dead_servers or min_quorum has the wrong type")
        return AutopilotSettings(cleans, least)
    except ODD as error:
        raise _unreadable(url, "settings of autopilot", error) from None


def _few(entries: list[Any]) -> list[Any]:
    if len(entries) > SERVERS_LIMIT:
        raise ValueError(f"{len(entries)} servers, more than {SERVERS_LIMIT}")
    return entries


def _place(told: Any) -> str | None:
    """``HOST:PORT`` of an address of the cluster's own port, as Raft writes it."""
    parts = urlsplit(told) if isinstance(told, str) else None
    if parts is None or not parts.hostname or parts.port is None:
        return None
    return parts.netloc


def _api(told: Any) -> str | None:
    return told.rstrip("/") if isinstance(told, str) and split_address(told) else None


def _unreadable(url: str, what: str, error: Exception) -> ClusterError:
    return ClusterError(ErrorKind.BAD_REPLY, f"{url} sent no readable {what} ({error!r:.200})", "Is a proxy between?")
