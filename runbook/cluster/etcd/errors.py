"""What etcd's replies mean where they are not 200: by the code and the ``message``, as 3.6 sends no ``error``."""

from __future__ import annotations

import json

from runbook.cluster.http import Reply
from runbook.errors import ClusterError, ErrorKind

# What the gateway says, once authentication is on, to every client whose certificate has a common name
NAMED_CERTIFICATE = "commonname of client sending a request against gateway"
# What a message contains: docs/servers/etcd.md#removing-a-member. The server's own guards come before lost quorum.
_MEANINGS = (
    ("member not found", ErrorKind.NOT_A_PEER),
    ("member has been permanently removed", ErrorKind.NOT_A_PEER),
    ("unhealthy cluster", ErrorKind.UNAVAILABLE),
    ("not enough started members", ErrorKind.UNAVAILABLE),
    ("in sync with leader", ErrorKind.UNAVAILABLE),  # a learner that has not copied enough yet
    ("can only promote a learner member", ErrorKind.REJECTED),
    ("no leader", ErrorKind.NO_LEADER),
    ("not leader", ErrorKind.UNAVAILABLE),  # of a transfer, which only the leader takes: it was not begun
    ("leader changed", ErrorKind.AMBIGUOUS),
    ("request timed out", ErrorKind.AMBIGUOUS),
    ("server stopped", ErrorKind.AMBIGUOUS),
    ("too many requests", ErrorKind.UNAVAILABLE),
    ("permission denied", ErrorKind.FORBIDDEN),
    ("invalid auth token", ErrorKind.FORBIDDEN),
    ("user name is empty", ErrorKind.FORBIDDEN),
    ("user name not found", ErrorKind.FORBIDDEN),  # of the gateway's own certificate, where no user was given
    (NAMED_CERTIFICATE, ErrorKind.FORBIDDEN),
    ("authentication failed", ErrorKind.FORBIDDEN),
    ("auth: ", ErrorKind.FORBIDDEN),
)
# Said of a linearizable read after a quorum agreed to it: docs/servers/etcd.md#a-linearizable-read-proves-quorum
_AFTER_QUORUM = ("etcdserver: permission denied", "etcdserver: user name is empty")
_BY_STATUS = {401: ErrorKind.FORBIDDEN, 403: ErrorKind.FORBIDDEN, 404: ErrorKind.BAD_REPLY, 429: ErrorKind.UNAVAILABLE}
NEEDS = "the role root: ETCDCTL_USER=USER:PASSWORD"


def message_of(reply: Reply) -> str:
    """etcd's own words, or the body where it is no error of etcd's."""
    try:
        told = json.loads(reply.body)
    except (ValueError, RecursionError):
        return reply.text
    error = told.get("error") if isinstance(told, dict) else None
    within = error if isinstance(error, dict) else told  # a stream's error, as a snapshot's, is told in one
    words = (within.get("message") or error) if isinstance(within, dict) else None
    return words if isinstance(words, str) and words else reply.text


def was_refused_after_quorum(reply: Reply) -> bool:
    """Whether etcd itself, and no proxy before it, says that this user may not read: a quorum has agreed by then."""
    return reply.status in (400, 403) and message_of(reply) in _AFTER_QUORUM


def needs_no_user(reply: Reply) -> bool:
    """Whether nobody can sign in, as authentication is off."""
    return reply.status in (400, 412) and message_of(reply) == "etcdserver: authentication is not enabled"


def error_of(place: str, reply: Reply, *, changes: bool) -> ClusterError:
    """The kind of a reply that is not 200. An unknown 5xx of a changing request is ambiguous."""
    words = message_of(reply)
    kind = next((kind for text, kind in _MEANINGS if text in words.lower()), None) or _BY_STATUS.get(reply.status)
    if kind is None:
        kind = ErrorKind.AMBIGUOUS if reply.status >= 500 else ErrorKind.REJECTED
    if kind is ErrorKind.AMBIGUOUS and not changes:
        kind = ErrorKind.UNAVAILABLE
    return ClusterError(kind, f"{place} answered {reply.status}: {words or '(nothing)'}", _next_action(kind, words))


def _next_action(kind: ErrorKind, words: str) -> str:
    if NAMED_CERTIFICATE in words.lower():
        return "Give a client certificate without a common name, and the user in ETCDCTL_USER"
    if kind is ErrorKind.FORBIDDEN:
        return f"This needs {NEEDS}"
    if kind is ErrorKind.REJECTED and ("unhealthy cluster" in words or "not enough started members" in words):
        return (
            "etcd's own strict reconfiguration check refuses it: wait until every living member answers, and look again"
        )
    if kind is ErrorKind.BAD_REPLY:
        return (
            "Is this the client port of an etcd member? A release before 3.5 that reads a file needs "
            "enable-grpc-gateway: true there"
        )
    return ""
