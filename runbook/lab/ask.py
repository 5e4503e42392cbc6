"""One GET to an agent of a lab, over the standard library: the lab tests the adapters, so it does not use them."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

MOST_BYTES = 1 << 20


def ask(address: str, path: str, *, timeout: float = 2.0) -> Any | None:
    """The JSON of a 200 answer, or None for anything else; each read may take `timeout` seconds."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=timeout)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        body = reply.read(MOST_BYTES)
        return json.loads(body) if reply.status == http.client.OK else None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
