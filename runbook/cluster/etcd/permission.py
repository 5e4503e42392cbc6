"""Whether the user may remove a member, asked before anything is done: no look shows it.

docs/servers/etcd.md#permissions-in-etcd
"""

from __future__ import annotations

from runbook.cluster.etcd.client import EtcdClient
from runbook.errors import ClusterError

OWN_ROLES = "/v3/auth/user/get"  # any user may read its own
ROOT = "root"


def reason_not_permitted(client: EtcdClient, url: str, until: float) -> str | None:
    """Why the member at ``url`` would refuse a removal: empty where it would not, None where it does not say."""
    try:
        may_read = client.may_read(url, until)
        if client.user is None:
            return None if may_read else "no user is given, and a removal needs one with the role root"
        if not client.is_signed_in:
            return ""  # there are no rights while authentication is off
        told = client.read(url, OWN_ROLES, {"name": client.user}, until)
    except ClusterError:
        return None
    roles = told.get("roles", []) if isinstance(told, dict) else None
    if not isinstance(roles, list):
        return None
    return "" if ROOT in roles else f"the user {client.user} has not the role root, which a removal needs"
