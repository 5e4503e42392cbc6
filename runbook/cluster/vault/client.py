"""One question to one server of Vault or OpenBao: sent, checked, read as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import inf
from typing import IO, Any

from runbook.cluster import http
from runbook.cluster.http import Reply
from runbook.cluster.network import Network, seconds_left
from runbook.cluster.vault.errors import error_of
from runbook.cluster.vault.products import VaultProduct
from runbook.decode import decode


class VaultClient:
    """The network, and which of the two products is asked."""

    def __init__(self, network: Network, product: VaultProduct) -> None:
        self.network, self.product = network, product

    def left(self, until: float, most: float = inf) -> float:
        """Seconds until then, and at most so many."""
        return seconds_left(self.network, until, most)

    def get(self, url: str, path: str, until: float) -> Any:
        """The JSON of the server at ``url``. Raises ClusterError."""
        return decode(self.ask(url, "GET", path, until).body, url + path)

    def ask(
        self,
        url: str,
        method: str,
        path: str,
        until: float,
        *,
        body: Mapping[str, Any] | IO[bytes] | None = None,
        changes: bool | None = None,
        into: IO[bytes] | None = None,
        limit: int = http.BODY_LIMIT,
    ) -> Reply:
        """The reply, where it is a 200 or a 204. Raises ClusterError for any other. ``changes``: see the network.

        ``body``: what is sent as JSON, or a file, which is sent as it is.
        """
        told = json.dumps(body).encode() if isinstance(body, Mapping) else body
        reply = self.network.ask(
            url,
            method,
            path,
            timeout=self.left(until),
            limit=limit,
            into=into,
            body=told,
            headers={"Content-Type": "application/json"} if isinstance(body, Mapping) else {},
            changes=changes,
        )
        if reply.status in (200, 204):
            return reply
        raise error_of(method, url, path, reply, self.product)
