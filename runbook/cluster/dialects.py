"""Where Nomad and Consul differ, and what their error texts mean."""

from __future__ import annotations

from dataclasses import dataclass

from runbook.cluster.http import Reply
from runbook.cluster.port import ClusterError, Trouble


@dataclass(frozen=True)
class Dialect:
    """What one product calls things. ``port`` is that of the HTTP API where an address names none.

    ``gossip_port`` is gossip's usual one.
    """

    kind: str
    role: str
    region_parameter: str
    snapshot_path: str
    permission: str
    port: int
    gossip_port: int
    variable: str


NOMAD = Dialect(
    kind="nomad",
    role="nomad",
    region_parameter="region",
    snapshot_path="/v1/operator/snapshot",
    permission="a management token in NOMAD_TOKEN",
    port=4646,
    gossip_port=4648,
    variable="NOMAD_ADDR",
)
CONSUL = Dialect(
    kind="consul",
    role="consul",
    region_parameter="dc",
    snapshot_path="/v1/snapshot",
    permission="operator:write, agent:read and node:read in CONSUL_HTTP_TOKEN (management for a state snapshot)",
    port=8500,
    gossip_port=8301,
    variable="CONSUL_HTTP_ADDR",
)

_MEANINGS = (  # what an error's text contains, in lower case: docs/servers/nomad.md#errors-of-a-removal
    ("leadership lost while committing log", Trouble.AMBIGUOUS),
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
    ("no servers found", Trouble.REJECTED),
    ("permission denied", Trouble.FORBIDDEN),
    ("acl not found", Trouble.FORBIDDEN),
    ("acl token not found", Trouble.FORBIDDEN),
    ("acl token lookup failed", Trouble.FORBIDDEN),
)


def error_of(place: str, method: str, reply: Reply, dialect: Dialect) -> ClusterError:
    """The class of a reply that is not 200. An unknown 5xx of a changing request is ambiguous."""
    trouble = _trouble(method, reply)
    what = f"{place} answered {reply.status}: {reply.text or '(nothing)'}"
    if trouble is Trouble.AMBIGUOUS and method == "GET":
        trouble = Trouble.UNAVAILABLE
    return ClusterError(trouble, what, _next_action(trouble, reply, dialect))


def _trouble(method: str, reply: Reply) -> Trouble:
    if reply.status in (401, 403):
        return Trouble.FORBIDDEN
    if reply.status == 429:
        return Trouble.UNAVAILABLE
    if 300 <= reply.status < 400:
        return Trouble.BAD_REPLY if method == "GET" else Trouble.REJECTED
    text = reply.text.lower()
    meaning = next((trouble for words, trouble in _MEANINGS if words in text), None)
    if meaning is not None:
        return meaning
    if reply.status < 500:
        return Trouble.REJECTED
    return Trouble.BAD_REPLY if method == "GET" and reply.status > 500 else Trouble.AMBIGUOUS


def _next_action(trouble: Trouble, reply: Reply, dialect: Dialect) -> str:
    if trouble is Trouble.FORBIDDEN:
        return f"This needs {dialect.permission}"
    if reply.status == 429:
        return "The server limits connections from this host: wait, or ask fewer things at once"
    if "to an https server" in reply.text.lower():
        return f"Write https:// in {dialect.variable}"
    if trouble is Trouble.BAD_REPLY or 300 <= reply.status < 400:
        return f"Is a proxy between? Name a server itself in {dialect.variable}"
    return ""
