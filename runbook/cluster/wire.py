"""The JSON of Nomad and Consul to the Raft model: tolerant of what is new, strict about what is needed.

The two differ in little (FACTS 7): capital letters in ``agent/self``, a bare array and numbers in ``members``.
"""

from __future__ import annotations

import json
from typing import Any

from runbook.cluster.port import ClusterError, Trouble
from runbook.raft.model import Configuration, Member, MemberStatus, Peer

CONSUL_STATUS = ("none", "alive", "leaving", "left", "failed")


def decode(body: bytes, url: str) -> Any:
    """By content, never by Content-Type: a 429 with JSON comes as text/plain (FACTS 3.3)."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        shown = " ".join(body[:80].decode("utf-8", "replace").split())
        raise ClusterError(
            Trouble.BAD_REPLY, f"{url} did not answer JSON but: {shown}", "Is a proxy between?"
        ) from None


def configuration(reply: Any, url: str) -> tuple[Configuration, str | None]:
    """The peers, and the id of the one flagged as leader. ``Servers: null`` is an empty configuration (FACTS 1.2)."""
    try:
        servers = [(_peer(entry), entry.get("Leader") is True) for entry in reply["Servers"] or ()]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ClusterError(Trouble.BAD_REPLY, f"{url} sent no readable Raft configuration ({error!r})") from None
    leaders = [peer.id for peer, leads in servers if leads]
    return Configuration(tuple(peer for peer, _ in servers)), leaders[0] if len(leaders) == 1 else None


def _peer(entry: dict[str, Any]) -> Peer:
    if not (isinstance(entry["ID"], str) and isinstance(entry["Address"], str) and isinstance(entry["Voter"], bool)):
        raise ValueError("ID, Address or Voter has the wrong type")
    protocol = str(entry.get("RaftProtocol", entry.get("ProtocolVersion", "")))
    name = entry.get("Node")
    return Peer(
        id=entry["ID"],
        address=entry["Address"],
        voter=entry["Voter"],
        name=None if name in (None, "", "(unknown)") else str(name),
        protocol=int(protocol) if protocol.isdigit() else None,
    )


def members(reply: Any, role: str, region: str | None, url: str) -> tuple[Member, ...]:
    """Servers of this region only: the list holds federated regions and client agents too (FACTS 3.5, 7.2)."""
    entries = reply.get("Members") if isinstance(reply, dict) else reply
    try:
        return tuple(member(entry) for entry in entries or () if _belongs(entry, role, region))
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise ClusterError(Trouble.BAD_REPLY, f"{url} sent no readable members ({error!r})") from None


def _belongs(entry: dict[str, Any], role: str, region: str | None) -> bool:
    tags = entry["Tags"]
    return tags.get("role") == role and region in (None, tags.get("region", tags.get("dc")))


def member(entry: dict[str, Any]) -> Member:
    """One gossip entry. ``Addr`` and the tag ``port`` make the address as Raft writes it (FACTS 1.2)."""
    status, tags, host = entry["Status"], entry["Tags"], str(entry["Addr"])
    host = f"[{host}]" if ":" in host else host
    word = CONSUL_STATUS[status] if isinstance(status, int) else str(status)
    return Member(str(entry["Name"]), MemberStatus(word), tags.get("id"), f"{host}:{tags['port']}")


def number(text: Any) -> int | None:
    """Raft numbers come as strings (FACTS 3.6)."""
    return int(text) if isinstance(text, str | int) and str(text).isdigit() else None
