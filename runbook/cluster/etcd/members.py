"""Members that are added to an etcd cluster, which lets nobody join by itself: docs/servers/etcd.md#adding-a-member."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runbook.cluster.etcd import replies
from runbook.cluster.etcd.client import EtcdClient
from runbook.cluster.etcd.interview import MEMBERS
from runbook.errors import ClusterError, ErrorKind

ADD, PROMOTE = "/v3/cluster/member/add", "/v3/cluster/member/promote"


def add_learner(
    client: EtcdClient, url: str, peer_urls: tuple[str, ...], until: float
) -> tuple[str, Mapping[str, str]]:
    """See :class:`runbook.cluster.port.AddingCluster`. The member at ``url`` is asked."""
    told = client.read(url, MEMBERS, {"linearizable": True}, until)
    found = _id_at(told, peer_urls, url)
    if found is None:
        told = client.change(url, ADD, {"peerURLs": list(peer_urls), "isLearner": True}, until)
        found = _id_at(told, peer_urls, url)
    if found is None:
        raise ClusterError(ErrorKind.BAD_REPLY, f"{url} has added {peer_urls[0]}, and does not list it")
    return found, _urls(told, url)


def promote(client: EtcdClient, url: str, member_id: str, until: float) -> None:
    """See :class:`runbook.cluster.port.AddingCluster`. Nothing is sent for one that has its vote."""
    told = replies.member_list(client.read(url, MEMBERS, {"linearizable": True}, until), url)
    peer = told.configuration.peer(member_id)
    if peer is None:
        raise ClusterError(ErrorKind.NOT_A_PEER, f"{url} lists no member {member_id}")
    if not peer.voter:
        client.change(url, PROMOTE, {"ID": replies.decimal_id(member_id)}, until)


def _id_at(told: Any, peer_urls: tuple[str, ...], url: str) -> str | None:
    try:
        found = [entry["ID"] for entry in told["members"] if set(entry["peerURLs"]) & set(peer_urls)]
        return replies.member_id(found[0]) if found else None
    except replies.ODD as error:
        raise ClusterError(ErrorKind.BAD_REPLY, f"{url} sent no readable member list ({error!r:.200})") from None


def _urls(told: Any, url: str) -> dict[str, str]:
    try:
        return {replies.member_id(entry["ID"]): _named_urls(entry) for entry in told["members"]}
    except replies.ODD as error:
        raise ClusterError(ErrorKind.BAD_REPLY, f"{url} sent no readable member list ({error!r:.200})") from None


def _named_urls(entry: Mapping[str, Any]) -> str:
    """As etcd's own ``initial-cluster`` wants it."""
    return ",".join(f"{entry.get('name') or ''}={place}" for place in entry["peerURLs"])
