"""Whether the token may remove a peer, asked before anything is done.

No look at Consul shows it, whose own pages ask the same. Nomad wants a management token, also for the first read
(docs/servers/consul.md#permissions-in-consul, nomad.md#permissions).
"""

from __future__ import annotations

import json
from typing import Any

from runbook.cluster import http
from runbook.cluster.hashicorp.client import Client
from runbook.cluster.http import Reply
from runbook.decode import decode
from runbook.errors import ClusterError

AUTHORIZE = "/v1/internal/acl/authorize"
SELF = "/v1/acl/token/self"
SWITCHED_OFF = "acl support disabled"  # what a server without access control answers: 401 Consul, 400 Nomad
ASKED = [{"Resource": "operator", "Access": "write"}]


def reason_not_permitted(client: Client, url: str, until: float) -> str | None:
    """Why the server at ``url`` would refuse a removal: empty where it would not, None where it does not say."""
    consul = client.dialect.kind == "consul"
    try:
        asked = (url, "GET", SELF, client.left(until))
        reply = _authorize(client, url, until) if consul else client.checked(*asked, fine=(200, 400))
        if reply.status != 200:
            return "" if SWITCHED_OFF in reply.text.lower() else None
        told = decode(reply.body, url)
    except ClusterError:
        return None  # an older release, or a server that the next look will tell about
    return _by_authorization(told) if consul else _by_type(told)


def _authorize(client: Client, url: str, until: float) -> Reply:
    return client.network.ask(
        url,
        "POST",
        AUTHORIZE,
        timeout=client.left(until),
        limit=http.BODY_LIMIT,
        into=None,
        body=json.dumps(ASKED).encode(),
        headers={"Content-Type": "application/json"},
        changes=False,
    )


def _by_authorization(answers: Any) -> str | None:
    if not isinstance(answers, list) or not all(isinstance(each, dict) for each in answers):
        return None
    allowed = [each.get("Allow") for each in answers if each.get("Resource") == "operator"]
    if allowed == [True]:
        return ""
    return "this token has no operator:write, which a removal needs" if allowed == [False] else None


def _by_type(token: Any) -> str | None:
    kind = token.get("Type") if isinstance(token, dict) else None
    return {"management": "", "client": "this is no management token, which a removal needs"}.get(str(kind))
