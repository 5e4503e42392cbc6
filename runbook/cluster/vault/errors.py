"""What the replies of Vault and OpenBao mean where they are no answer: by the status and the texts in ``errors``."""

from __future__ import annotations

import json

from runbook.cluster.http import Reply
from runbook.cluster.vault.products import VaultProduct
from runbook.errors import ClusterError, ErrorKind

# What a text contains, in lower case: docs/servers/vault.md#removing-a-peer
_MEANINGS = (
    ("leadership lost while committing log", ErrorKind.AMBIGUOUS),
    ("active cluster node not found", ErrorKind.NO_LEADER),
    ("no active", ErrorKind.NO_LEADER),
    ("node is not the leader", ErrorKind.UNAVAILABLE),
    ("leadership transfer in progress", ErrorKind.UNAVAILABLE),
    ("raft is already shutdown", ErrorKind.UNAVAILABLE),
    ("autopilot is not initialized", ErrorKind.UNAVAILABLE),
    ("raft storage is not initialized", ErrorKind.UNAVAILABLE),
    ("is sealed", ErrorKind.UNAVAILABLE),
    ("rate limit", ErrorKind.UNAVAILABLE),
    ("need at least one voter", ErrorKind.REJECTED),
    ("raft storage is not in use", ErrorKind.REJECTED),
    ("permission denied", ErrorKind.FORBIDDEN),
    ("missing client token", ErrorKind.FORBIDDEN),
)
_BY_STATUS = {401: ErrorKind.FORBIDDEN, 403: ErrorKind.FORBIDDEN, 429: ErrorKind.UNAVAILABLE}
CAPABILITIES = {"GET": "read", "POST": "update"}
SUDO = ("/v1/sys/step-down",)  # a path that needs this capability too


def message_of(reply: Reply) -> str:
    """The server's own words, or the body where it is no error of its."""
    try:
        told = json.loads(reply.body)
        words = "; ".join(each for each in told["errors"] if isinstance(each, str))
    except (ValueError, KeyError, TypeError, RecursionError):
        return reply.text
    return " ".join(words.split())[:300] or reply.text


def error_of(method: str, url: str, path: str, reply: Reply, product: VaultProduct) -> ClusterError:
    """The kind of a reply that is no answer. An unknown one to a change is ambiguous, and so is a redirect: a standby
    sends one where it could not pass the request on to the active server, whatever became of it half-way.
    """
    words, redirected = message_of(reply), 300 <= reply.status < 400
    if redirected:
        words = "a redirect: this standby does not reach the active server, or does not pass this on"
    kind = next((kind for text, kind in _MEANINGS if text in words.lower()), None) or _BY_STATUS.get(reply.status)
    if redirected and method == "GET":
        kind = ErrorKind.NO_LEADER
    elif kind is None:
        kind = ErrorKind.AMBIGUOUS if redirected or reply.status >= 500 else ErrorKind.REJECTED
    if kind is ErrorKind.AMBIGUOUS and method == "GET":
        kind = ErrorKind.UNAVAILABLE
    sentence = f"{method} {url}{path} answered {reply.status}: {words or '(nothing)'}"
    return ClusterError(kind, sentence, _next_action(kind, method, path, words, product))


def _next_action(kind: ErrorKind, method: str, path: str, words: str, product: VaultProduct) -> str:
    if kind is ErrorKind.FORBIDDEN:
        capabilities = CAPABILITIES[method] + (" and sudo" if path in SUDO else "")
        policy = f"a policy with {capabilities} on {path.removeprefix('/v1/')}"
        return f"The token in {product.token} needs {policy}, in the root namespace"
    if "raft storage is not in use" in words:
        return "Its storage is another one: only integrated storage is recovered here"
    if "to an https server" in words.lower():
        return f"Write https:// in {product.addresses}"
    return ""
