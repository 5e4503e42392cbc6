"""What one etcd member says of itself and of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from runbook.cluster.etcd import replies
from runbook.cluster.etcd.client import EtcdClient
from runbook.cluster.etcd.replies import PeerStreams
from runbook.dataclass import dataclass
from runbook.errors import ClusterError, ErrorKind, NoAnswerError
from runbook.raft.model import Reach, Vantage

MEMBERS = "/v3/cluster/member/list"
STATUS = "/v3/maintenance/status"


@dataclass(frozen=True)
class Interview:
    """One member's words: what it holds, where it says that the others are, and its streams to them.

    ``streams`` is None where its metrics could not be read.
    """

    vantage: Vantage
    client_urls: dict[str, tuple[str, ...]]
    streams: Mapping[str, PeerStreams] | None = None
    cluster_id: str | None = None
    error: ClusterError | None = None


def interview(client: EtcdClient, url: str, until: float) -> Interview:
    """What it says before something goes wrong counts: who says its id lives, whatever it cannot tell."""
    vantage = Vantage(url, Reach.ACCEPTED)
    told: replies.MemberList | None = None
    try:
        status = replies.status(client.read(url, STATUS, {}, until), url)
        vantage = replace(vantage, reach=Reach.ANSWERED, server_id=status.member_id, term=status.term)
        told = replies.member_list(client.read(url, MEMBERS, {}, until), url)
        vantage = _in_its_list(vantage, status, told)
        return Interview(vantage, told.client_urls, _streams(client, vantage, until), told.cluster_id)
    except NoAnswerError as error:
        reach = Reach.ANSWERED if vantage.server_id else error.reach
        broken = replace(vantage, reach=reach, trouble=str(error), settled_by=error.settled_by)
        return _broken(broken, told, error)
    except ClusterError as error:
        refused = error.kind is ErrorKind.FORBIDDEN
        return _broken(replace(vantage, reach=Reach.ANSWERED, forbidden=refused, trouble=str(error)), told, error)


def _broken(vantage: Vantage, told: replies.MemberList | None, error: ClusterError) -> Interview:
    return Interview(vantage, told.client_urls if told else {}, error=error)


def _in_its_list(vantage: Vantage, status: replies.Status, told: replies.MemberList) -> Vantage:
    """The vantage with what its list adds; nothing where a balancer led the second question to somebody else."""
    if told.member_id != status.member_id:
        return replace(vantage, other_id=told.member_id)
    own, leader = (told.configuration.peer(each or "") for each in (status.member_id, status.leader))
    return replace(
        vantage,
        name=own.name if own else None,
        raft_address=own.address if own else None,
        state="Leader" if status.leader == status.member_id else "Follower",
        last_log_index=status.index,
        configuration=told.configuration,
        leader_address=leader.address if leader else None,
    )


def _streams(client: EtcdClient, vantage: Vantage, until: float) -> Mapping[str, PeerStreams] | None:
    try:
        return replies.streams(client.metrics(vantage.url, until), vantage.server_id or "") or None
    except ClusterError:
        return None
