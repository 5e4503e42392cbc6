"""Whether Consul's token may remove a peer, asked before anything is done: no look shows it.

Consul's own pages ask the same. Nomad shows its configuration only to a token that may also change it
(docs/servers/consul.md#permissions-in-consul, nomad.md#permissions).
"""

from __future__ import annotations

import json

from runbook.cluster import http
from runbook.cluster.hashicorp.client import Client
from runbook.decode import decode
from runbook.errors import ClusterError

AUTHORIZE = "/v1/internal/acl/authorize"
ASKED = [{"Resource": "operator", "Access": "write"}]


def reason_not_permitted(client: Client, url: str, until: float) -> str | None:
    """Why the server at ``url`` would refuse a removal: empty where it would not, None where it does not say."""
    if client.dialect.kind != "consul":
        return None
    try:
        reply = client.network.ask(
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
        answers = decode(reply.body, url + AUTHORIZE) if reply.status == 200 else None
    except ClusterError:
        return None  # an older release, or a server that the next look will tell about
    if not isinstance(answers, list) or not all(isinstance(each, dict) for each in answers):
        return None
    allowed = [each.get("Allow") for each in answers if each.get("Resource") == "operator"]
    if allowed == [True]:
        return ""
    return "this token has no operator:write, which a removal needs" if allowed == [False] else None
