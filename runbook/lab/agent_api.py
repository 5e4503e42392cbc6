"""What the agents of a lab say over HTTP, by the standard library: the lab tests the adapters, so it uses none."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from runbook.lab.agent_layout import AgentLayout

MOST_BYTES = 1 << 20
CONSUL_STATUS = ("none", "alive", "leaving", "left", "failed")  # Consul gives a number, Nomad the word


def get_json(address: str, path: str, *, timeout: float = 2.0) -> Any | None:
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


def leader_seen_by(layout: AgentLayout, name: str) -> str | None:
    """The name of the leader that a server believes in.

    `stale` makes Nomad answer at once from its own view, as Consul always does.
    """
    seen = get_json(layout.address(name), "/v1/status/leader?stale")
    return next((each for each in layout.names if seen == layout.rpc_address(each)), None)


def gossip_status(layout: AgentLayout, observer: str, name: str) -> str:
    """What the gossip of one server says of another, in Nomad's words, or `absent`."""
    answer = get_json(layout.address(observer), "/v1/agent/members")
    members: list[dict[str, Any]] = answer["Members"] if isinstance(answer, dict) else answer or []
    wanted = layout.gossip_name(name)
    status = next((member["Status"] for member in members if member["Name"] == wanted), "absent")
    return CONSUL_STATUS[status] if isinstance(status, int) else str(status)
