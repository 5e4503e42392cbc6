"""Where Nomad and Consul differ, and what their error texts mean."""

from __future__ import annotations

from runbook.cluster.http import Reply
from runbook.dataclass import dataclass
from runbook.errors import ClusterError, ErrorKind


@dataclass(frozen=True)
class Dialect:
    """What one product calls things. ``port`` is that of the HTTP API where an address names none.

    ``permission`` is what a run needs of a token, ``reading`` what a look does.
    ``gossip_port`` is gossip's usual one. ``transfer`` is the request that moves the leadership: method and path.
    ``consistent_read`` is a small read before which the leader makes sure that a majority of voters follows it; empty
    where the product has none.
    """

    kind: str
    role: str
    region_parameter: str
    snapshot_path: str
    permission: str
    reading: str
    port: int
    gossip_port: int
    variable: str
    transfer: tuple[str, str]
    consistent_read: str = ""


NOMAD = Dialect(
    kind="nomad",
    role="nomad",
    region_parameter="region",
    snapshot_path="/v1/operator/snapshot",
    permission="a management token in NOMAD_TOKEN",
    reading="a management token in NOMAD_TOKEN",
    port=4646,
    gossip_port=4648,
    variable="NOMAD_ADDR",
    transfer=("PUT", "/v1/operator/raft/transfer-leadership"),
)
CONSUL = Dialect(
    kind="consul",
    role="consul",
    region_parameter="dc",
    snapshot_path="/v1/snapshot",
    permission="operator:write, agent:read and node:read in CONSUL_HTTP_TOKEN (management for a state snapshot)",
    reading="operator:read, agent:read and node:read in CONSUL_HTTP_TOKEN",
    port=8500,
    gossip_port=8301,
    variable="CONSUL_HTTP_ADDR",
    transfer=("POST", "/v1/operator/raft/transfer-leader"),
    consistent_read="/v1/catalog/node/no-such-server?consistent",
)

NEEDS_TLS = "to an https server"  # what Go answers to a request over plain HTTP
_MEANINGS = (  # what an error's text contains, in lower case: docs/servers/nomad.md#errors-of-a-removal
    ("leadership lost while committing log", ErrorKind.AMBIGUOUS),
    ("no cluster leader", ErrorKind.NO_LEADER),
    ("node is not the leader", ErrorKind.UNAVAILABLE),
    ("not ready to serve consistent reads", ErrorKind.UNAVAILABLE),
    ("leadership transfer in progress", ErrorKind.UNAVAILABLE),
    ("raft is already shutdown", ErrorKind.UNAVAILABLE),
    ("failed to get conn", ErrorKind.UNAVAILABLE),
    ("was not found in the raft configuration", ErrorKind.NOT_A_PEER),
    ("need at least one voter", ErrorKind.REJECTED),
    ("operation not supported with current protocol", ErrorKind.REJECTED),
    ("no path to region", ErrorKind.REJECTED),
    ("no servers found", ErrorKind.REJECTED),
    ("permission denied", ErrorKind.FORBIDDEN),
    ("acl not found", ErrorKind.FORBIDDEN),
    ("acl token not found", ErrorKind.FORBIDDEN),
    ("acl token lookup failed", ErrorKind.FORBIDDEN),
)


def error_of(place: str, method: str, reply: Reply, dialect: Dialect) -> ClusterError:
    """The class of a reply that is not 200. An unknown 5xx of a changing request is ambiguous."""
    kind = _kind_of(method, reply)
    what = f"{place} answered {reply.status}: {reply.text.rstrip('.') or '(nothing)'}"
    if kind is ErrorKind.AMBIGUOUS and method == "GET":
        kind = ErrorKind.UNAVAILABLE
    needed = dialect.reading if method == "GET" and dialect.snapshot_path not in place else dialect.permission
    return ClusterError(kind, what, _next_action(kind, reply, dialect, needed))


def _kind_of(method: str, reply: Reply) -> ErrorKind:
    if reply.status in (401, 403):
        return ErrorKind.FORBIDDEN
    if reply.status == 429:
        return ErrorKind.UNAVAILABLE
    if 300 <= reply.status < 400:
        return ErrorKind.BAD_REPLY if method == "GET" else ErrorKind.REJECTED
    text = reply.text.lower()
    meaning = next((kind for words, kind in _MEANINGS if words in text), None)
    if meaning is not None:
        return meaning
    if reply.status < 500:
        return ErrorKind.UNREACHABLE if method == "GET" and NEEDS_TLS in text else ErrorKind.REJECTED
    return ErrorKind.BAD_REPLY if method == "GET" and reply.status > 500 else ErrorKind.AMBIGUOUS


def _next_action(kind: ErrorKind, reply: Reply, dialect: Dialect, needed: str) -> str:
    if kind is ErrorKind.FORBIDDEN:
        return f"This needs {needed}"
    if reply.status == 429:
        return "The server limits connections from this host: wait, or ask fewer things at once"
    if NEEDS_TLS in reply.text.lower():
        return f"Write https:// in {dialect.variable}"
    if kind is ErrorKind.BAD_REPLY or 300 <= reply.status < 400:
        return f"Is a proxy between? Name a server itself in {dialect.variable}"
    return ""
