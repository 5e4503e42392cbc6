"""The JSON of Nomad and Consul to the Raft model: tolerant of what is new, strict about what is needed.

The two differ in little: capital letters in ``agent/self``, a bare array and numbers in ``members``; all of it is in
docs/servers/consul.md#differences-in-the-replies.
"""

from __future__ import annotations

import re
from typing import Any

from runbook.decode import ODD, go_seconds, number, text_of
from runbook.errors import ClusterError, ErrorKind
from runbook.raft.model import AutopilotSettings, Configuration, Member, MemberStatus, Peer, Reach, Vantage

CONSUL_STATUS = ("none", "alive", "leaving", "left", "failed")
SERVERS_LIMIT = 100  # far above any Raft cluster; each one named is asked, so a broken reply must not name thousands
_PORT = re.compile(r".:\d{1,5}$")


def configuration(reply: Any, url: str) -> tuple[Configuration, str | None]:
    """The peers, and the id of the one flagged as leader. ``Servers: null`` is an empty configuration."""
    try:
        servers = [(_peer(entry), entry.get("Leader") is True) for entry in _few(reply["Servers"])]
    except ODD as error:
        raise ClusterError(ErrorKind.BAD_REPLY, f"{url} sent no readable Raft configuration ({error!r:.200})") from None
    leaders = [peer.id for peer, leads in servers if leads]
    return Configuration(tuple(peer for peer, _ in servers)), leaders[0] if len(leaders) == 1 else None


def _peer(entry: dict[str, Any]) -> Peer:
    if not (isinstance(entry["ID"], str) and isinstance(entry["Address"], str) and isinstance(entry["Voter"], bool)):
        raise ValueError("ID, Address or Voter has the wrong type")
    if not (entry["ID"] and _PORT.search(entry["Address"])):
        raise ValueError("ID or Address is not whole")
    name = entry.get("Node")
    return Peer(
        id=entry["ID"],
        address=entry["Address"],
        voter=entry["Voter"],
        name=None if name in (None, "", "(unknown)") else str(name),
        protocol=number(entry.get("RaftProtocol", entry.get("ProtocolVersion"))),
    )


def members(reply: Any, role: str, region: str | None, url: str) -> tuple[Member, ...]:
    """Servers of this region only: the list holds federated regions and client agents too."""
    return tuple(each for own, each in regional_members(reply, role, url) if region in (None, own))


def regional_members(reply: Any, role: str, url: str) -> tuple[tuple[Any, Member], ...]:
    """Servers of all regions, each with its own."""
    try:
        entries = reply.get("Members") if isinstance(reply, dict) else reply
        servers = _few([entry for entry in entries or () if entry["Tags"].get("role") == role])
        return tuple((entry["Tags"].get("region", entry["Tags"].get("dc")), member(entry)) for entry in servers)
    except ODD as error:
        raise ClusterError(ErrorKind.BAD_REPLY, f"{url} sent no readable members ({error!r:.200})") from None


def _few(entries: list[Any] | None) -> list[Any]:
    if entries and len(entries) > SERVERS_LIMIT:
        raise ValueError(f"{len(entries)} servers, more than {SERVERS_LIMIT}")
    return entries or []


def member(entry: dict[str, Any]) -> Member:
    """One gossip entry. ``Addr`` and the tag ``port`` make the address as Raft writes it."""
    status, tags, host = entry["Status"], entry["Tags"], str(entry["Addr"])
    host = f"[{host}]" if ":" in host else host
    word = CONSUL_STATUS[status] if type(status) is int and status >= 0 else str(status)
    server_id = tags.get("id")
    if not isinstance(server_id, str | None) or number(tags["port"]) is None:
        raise ValueError("the tag id or port has the wrong type")
    return Member(str(entry["Name"]), MemberStatus(word), server_id, f"{host}:{tags['port']}")


def own_words(reply: Any, role: str, url: str) -> tuple[Vantage, str | None]:
    """Who answers at this address, with its own Raft numbers, and its region: from ``/v1/agent/self``.

    A client agent is no server: it has no ``server_id``, yet its gossip names the servers.
    """
    try:
        own = {key.lower(): value for key, value in reply.items()}
        tags, settings = own["member"].get("Tags") or {}, own.get("config") or {}
        region = tags.get("region", tags.get("dc")) or settings.get("Region") or settings.get("Datacenter")
        if tags.get("role") != role:
            return Vantage(url, Reach.ANSWERED, trouble=f"{url} is a client agent and not a server"), region
        stats = own.get("stats") or {}
        me, raft = member(own["member"]), stats.get("raft") or {}
        vantage = Vantage(
            url=url,
            reach=Reach.ANSWERED,
            server_id=me.id,
            name=me.name,
            raft_address=me.raft_address,
            state=text_of(raft.get("state")),
            term=number(raft.get("term")),
            last_log_term=number(raft.get("last_log_term")),
            last_log_index=number(raft.get("last_log_index")),
            leader_address=text_of((stats.get(role) or {}).get("leader_addr")),
            last_contact=go_seconds(raft.get("last_contact")),
            commit_index=number(raft.get("commit_index")),
            version=text_of(str(tags.get("build") or "").partition(":")[0]),
            data_dir=text_of(settings.get("DataDir") or (own.get("debugconfig") or {}).get("DataDir")),
        )
        return vantage, region
    except ODD as error:
        what = f"{url}/v1/agent/self is not readable ({error!r:.200})"
        raise ClusterError(ErrorKind.BAD_REPLY, what, "Is this a server of the cluster?") from None


def autopilot_settings(reply: Any, url: str) -> AutopilotSettings:
    """The cluster's own settings. Only releases before MinQuorum leave it out (Nomad 0.10): there it is 0."""
    try:
        cleans, told = reply["CleanupDeadServers"], reply.get("MinQuorum", 0)
        zeroed = "0s" in (reply.get("LastContactThreshold"), reply.get("ServerStabilizationTime"))
    except ODD:
        raise _unreadable(url, f"it sent {_shown(reply)}") from None
    least = number(told) if type(told) is int else None
    if least is None or type(cleans) is not bool:
        wrong = f"MinQuorum is {_shown(told)}" if least is None else f"CleanupDeadServers is {_shown(cleans)}"
        raise _unreadable(url, wrong)
    return AutopilotSettings(cleans, least, zeroed)


def _unreadable(url: str, why: str) -> ClusterError:
    return ClusterError(ErrorKind.BAD_REPLY, f"{url} sent no readable settings: {why}", "Is a proxy between?")


def _shown(told: Any) -> str:
    return f"{told!r:.40}" if isinstance(told, str | int | float) or told is None else f"a {type(told).__name__}"


def unhealthy(reply: Any) -> frozenset[str] | None:
    """The ids that autopilot calls unhealthy; nothing where the reply is no picture, as right after an election."""
    try:
        rows = [(str(entry["ID"]), entry["Healthy"] is True) for entry in _few(reply["Servers"])]
    except ODD:
        return None
    return frozenset(server_id for server_id, healthy in rows if not healthy) if rows else None
