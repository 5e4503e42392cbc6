"""What the agents of a lab say over HTTP, by the standard library: the lab tests the adapters, so it uses none."""

from __future__ import annotations

import http.client
import json
import re
from typing import Any
from urllib.parse import urlsplit

from runbook.lab.agent_layout import AgentLayout

MOST_BYTES = 1 << 20
CONSUL_STATUS = ("none", "alive", "leaving", "left", "failed")  # Consul gives a number, Nomad the word


def get_json(address: str, path: str, *, timeout: float = 2.0, post: bytes | None = None) -> Any | None:
    """The JSON of a 200 answer, or None for anything else; each read may take `timeout` seconds."""
    body = _ask(address, path, timeout, post)
    try:
        return json.loads(body) if body is not None else None
    except ValueError:
        return None


def _ask(address: str, path: str, timeout: float, post: bytes | None = None) -> bytes | None:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=timeout)
    try:
        connection.request("GET" if post is None else "POST", path, post)
        reply = connection.getresponse()
        body = reply.read(MOST_BYTES)
        return body if reply.status == http.client.OK else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def leader_seen_by(layout: AgentLayout, name: str) -> str | None:
    """The name of the leader that a server believes in.

    `stale` makes Nomad answer at once from its own view, as Consul always does.
    """
    if layout.kind == "etcd":
        return _etcd_leader_seen_by(layout, name)
    seen = get_json(layout.address(name), "/v1/status/leader?stale")
    return next((each for each in layout.names if seen == layout.rpc_address(each)), None)


def gossip_status(layout: AgentLayout, observer: str, name: str) -> str:
    """What the gossip of one server says of another, in Nomad's words, or `absent`; for etcd, its streams to it."""
    if layout.kind == "etcd":
        return _etcd_streams(layout, observer, name)
    answer = get_json(layout.address(observer), "/v1/agent/members")
    members: list[dict[str, Any]] = answer["Members"] if isinstance(answer, dict) else answer or []
    wanted = layout.gossip_name(name)
    status = next((member["Status"] for member in members if member["Name"] == wanted), "absent")
    return CONSUL_STATUS[status] if isinstance(status, int) else str(status)


def _etcd_members(layout: AgentLayout, name: str) -> dict[str, str]:
    """The ids that a member holds, by the peer address of each."""
    told = get_json(layout.address(name), "/v3/cluster/member/list", post=b"{}") or {}
    return {urlsplit(each["peerURLs"][0]).netloc: each["ID"] for each in told.get("members", [])}


def _etcd_leader_seen_by(layout: AgentLayout, name: str) -> str | None:
    seen = (get_json(layout.address(name), "/v3/maintenance/status", post=b"{}") or {}).get("leader")
    ids = _etcd_members(layout, name)
    return next((each for each in layout.names if seen and ids.get(layout.rpc_address(each)) == seen), None)


def _etcd_streams(layout: AgentLayout, observer: str, name: str) -> str:
    """`alive` while the observer's streams to it are up, `failed` when they broke."""
    wanted = _etcd_members(layout, observer).get(layout.rpc_address(name))
    page = (_ask(layout.address(observer), "/metrics", 2.0) or b"").decode("utf-8", "replace")
    found = re.search(rf'^etcd_network_active_peers{{.*Remote="{int(wanted or 0):x}"}} (\S+)', page, re.M)
    return "absent" if found is None else "alive" if found[1] == "1" else "failed"
