"""One text out of Vault's or OpenBao's key-value store, of either version of it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from runbook.clock import seconds as now
from runbook.cluster.environment import VaultAccess
from runbook.cluster.http import HttpClient, Reply
from runbook.cluster.vault.errors import message_of
from runbook.errors import ClusterError, ErrorKind, NoAnswerError

LARGEST = 1024 * 1024  # bytes of a reply; Vault's own limit of an entry is half of it
_VERSIONED = "invalid path for a versioned"


def read_text(access: VaultAccess, path: str, field: str, within: float) -> str:
    """The ``field`` of what is at ``path``, from the first server that is no sealed one. Raises ClusterError, which
    repeats nothing of what was read.
    """
    until = now() + within
    headers = {"X-Vault-Namespace": access.namespace} if access.namespace else {}
    asked = f"/v1/{quote(path.strip('/'), safe='/')}"
    for address in access.addresses:
        try:
            reply = HttpClient(address, access.settings).ask(
                "GET", asked, timeout=max(0.01, until - now()), limit=LARGEST, headers=headers
            )
        except NoAnswerError:
            if address == access.addresses[-1]:
                raise
            continue
        if reply.status != 503:
            break
    place = f"GET {address}{asked}"
    if reply.status != 200:
        raise _error_of(place, reply, path)
    found = _fields_in(reply.body).get(field)
    if not isinstance(found, str):
        raise ClusterError(ErrorKind.REJECTED, f"{place} answered without a text named {field}", "Check its name")
    return found


def _fields_in(body: bytes) -> dict[str, Any]:
    """Version 2 puts them within another ``data``, beside the ``metadata``; in version 1 a field may have that name."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    data = told.get("data") if isinstance(told, dict) else None
    if not isinstance(data, dict):
        return {}
    within = data.get("data")
    return within if isinstance(within, dict) and isinstance(data.get("metadata"), dict) else data


def _error_of(place: str, reply: Reply, path: str) -> ClusterError:
    words = message_of(reply)
    if reply.status == 404 and _VERSIONED in words.lower():
        mount, _, rest = path.strip("/").partition("/")
        what = f"{place} answered 404: that store is of version 2"
        return ClusterError(ErrorKind.REJECTED, what, f"Write data/ behind its mount, as in vault:{mount}/data/{rest}")
    if reply.status == 404 and _says_nothing(reply):
        return ClusterError(
            ErrorKind.REJECTED, f"{place} answered 404: there is nothing, or it was deleted", "Check the path"
        )
    if reply.status in (401, 403):
        what = f"{place} answered {reply.status}: {words}"
        return ClusterError(ErrorKind.FORBIDDEN, what, "Check the token, its policy and the namespace")
    if reply.status == 503:
        return ClusterError(
            ErrorKind.UNAVAILABLE, f"{place} answered 503: {words}", "Unseal it, or name another server"
        )
    return ClusterError(
        ErrorKind.REJECTED, f"{place} answered {reply.status}: {words}", "Check the path and the namespace"
    )


def _says_nothing(reply: Reply) -> bool:
    """Without a word of why: no error, or what is left of a version that was deleted."""
    try:
        told = json.loads(reply.body)
        return not told.get("errors") and not told.get("warnings")
    except (ValueError, RecursionError, AttributeError):
        return False
