"""Whether the token may remove a peer, as Vault and OpenBao say of every token.

docs/servers/vault.md#the-smallest-policies
"""

from __future__ import annotations

from runbook.cluster.vault.client import VaultClient
from runbook.decode import decode
from runbook.errors import ClusterError

CAPABILITIES = "/v1/sys/capabilities-self"
ENOUGH = frozenset({"update", "root"})


def reason_not_permitted(client: VaultClient, url: str, path: str, until: float) -> str | None:
    """Why a request to ``path`` would be refused: empty where it would not, None where ``url`` does not say."""
    named = path.removeprefix("/v1/")
    try:
        reply = client.ask(url, "POST", CAPABILITIES, until, body={"paths": [named]}, changes=False)
        told = decode(reply.body, url + CAPABILITIES)
    except ClusterError:
        return None
    found = told.get("capabilities") if isinstance(told, dict) else None
    if not isinstance(found, list) or not found:
        return None
    return "" if ENOUGH & {str(each) for each in found} else f"this token may not update {named}, which a removal needs"
