"""What one server says of itself and of the others, and who else answers at its address."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from runbook.cluster.hashicorp import replies
from runbook.cluster.hashicorp.client import Client
from runbook.dataclass import dataclass
from runbook.errors import ClusterError, ErrorKind, NoAnswerError
from runbook.raft.model import Member, Reach, Vantage


@dataclass(frozen=True)
class Seen:
    """One server's words, and what kept it from saying all of them.

    ``outside``: it is of another region than the one that is asked for: a way to it, and no observer of it.
    """

    vantage: Vantage
    error: ClusterError | None = None
    outside: bool = False

    @property
    def observed(self) -> Vantage:
        """What counts of its words: its list lacks the servers of other regions, or calls them by what it hears."""
        return replace(self.vantage, members=None, state=None) if self.outside else self.vantage


def worth(vantage: Vantage) -> tuple[bool, int]:
    """Who is asked for the leader's configuration: the leader of the highest term, else one that may be asked."""
    return vantage.configuration is not None, (vantage.term or 0) if vantage.state == "Leader" else -1


RAFT = "/v1/operator/raft/configuration"
SELF = "/v1/agent/self"


def interview(client: Client, url: str, until: float) -> Seen:
    """What it says before something goes wrong counts: who says its name lives, whatever it cannot tell."""
    vantage = Vantage(url, Reach.ACCEPTED)
    try:
        vantage, region = replies.own_words(client.get(url, SELF, until), client.dialect.role, url)
        vantage = replace(vantage, other_id=_other_at(client, vantage, until))
        if vantage.server_id:
            held, _ = replies.configuration(client.get(url, f"{RAFT}?stale", until), url)
            vantage = replace(vantage, configuration=held)
        known = replace(vantage, members=_members(client, vantage, region, until))
        return Seen(known, outside=client.region not in (None, region))
    except NoAnswerError as error:
        reach = Reach.ANSWERED if vantage.server_id else error.reach
        return Seen(replace(vantage, reach=reach, trouble=str(error), settled_by=error.settled_by), error)
    except ClusterError as error:
        refused = error.kind is ErrorKind.FORBIDDEN
        return Seen(replace(vantage, reach=Reach.ANSWERED, forbidden=refused, trouble=str(error)), error)


def _other_at(client: Client, vantage: Vantage, until: float) -> str | None:
    """Who else answers there, asked where the address is not the server's own: a load balancer's."""
    host = urlsplit(vantage.url).hostname
    if vantage.server_id is None or f"{vantage.raft_address}".rpartition(":")[0].strip("[]") == host:
        return None
    second_door = f"{vantage.url}/"  # the same place by another connection, which a balancer may lead elsewhere
    try:
        again, _ = replies.own_words(client.get(second_door, SELF, until), client.dialect.role, vantage.url)
    except ClusterError:
        return None
    return again.server_id if again.server_id != vantage.server_id else None


def _members(client: Client, vantage: Vantage, region: str | None, until: float) -> tuple[Member, ...]:
    """Its gossip; one that lacks the server itself was cut by an ACL, and absence from it would prove nothing."""
    told = client.get(vantage.url, "/v1/agent/members", until)
    everywhere = replies.regional_members(told, client.dialect.role, vantage.url)
    if vantage.server_id and not any(member.raft_address == vantage.raft_address for _, member in everywhere):
        what = f"{vantage.url}/v1/agent/members does not list that server itself"
        raise ClusterError(ErrorKind.FORBIDDEN, what, f"This needs {client.dialect.reading}")
    wanted = client.region or region
    return tuple(member for own, member in everywhere if wanted in (None, own))
