"""A picture of a cluster in which some servers died or froze: what a look would show so many seconds afterwards.

Nothing else in it moves. The functions are the same for every product, as they only know what a look is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from runbook.dataclass import dataclass
from runbook.errors import ErrorKind
from runbook.raft.liveness import Liveness, judge_once
from runbook.raft.model import ClusterView, Configuration, Member, MemberStatus, Peer, Reach, Vantage
from runbook.raft.opinions import Opinion, OpinionKind
from runbook.raft.quorum import quorum

NO_LEADER = "No cluster leader"
BY_MEASURE = {"etcd": 8.0, "vault": 60.0, "openbao": 60.0}  # docs/servers/etcd.md#every-member-is-a-vantage
BY_GOSSIP = 48.0  # seconds after which the last server's gossip calls a dead one failed: docs/servers/raft.md#gossip
ELECTION = 10.0  # seconds in which the others have surely elected another


@dataclass(frozen=True)
class Deaths:
    """Who is down, by id, and for how many seconds. A frozen one's port accepts, and nothing is answered."""

    killed: frozenset[str] = frozenset()
    frozen: frozenset[str] = frozenset()
    seconds: float = 0.0

    @property
    def down(self) -> frozenset[str]:
        return self.killed | self.frozen


def noticed_after(cluster: str) -> float:
    """Seconds after which the others hold a server gone, by the product that the name of the cluster begins with."""
    return BY_MEASURE.get(cluster.partition(":")[0], BY_GOSSIP)


def after_deaths(view: ClusterView, deaths: Deaths) -> ClusterView:
    """The same look, had these servers died so long before it. ``view`` has a leader."""
    leader = leader_after(view, deaths)
    noticed = deaths.seconds >= noticed_after(view.cluster)
    term = (view.leader_term or 0) + 1 if leader is not None and leader.id != view.leader_id else view.leader_term
    return replace(
        view,
        configuration=view.configuration if leader else None,
        leader_id=leader.id if leader else None,
        leader_term=term if leader else None,
        error_kind=None if leader else ErrorKind.NO_LEADER.value,
        error_text=None if leader else NO_LEADER,
        quorum_proof=view.quorum_proof if leader else None,
        vantages=tuple(_vantage(vantage, view, deaths, leader, noticed=noticed) for vantage in view.vantages),
        probes={address: _reach(view, address, reach, deaths) for address, reach in view.probes.items()},
        opinions=_opinions(view, deaths, leader, noticed=noticed),
        unhealthy=None if leader is None or view.unhealthy is None else view.unhealthy | deaths.down,
    )


def leader_after(view: ClusterView, deaths: Deaths) -> Peer | None:
    """Who leads then: the same one while it lives, another after an election, nobody without a quorum."""
    peers = view.configuration.voters if view.configuration else ()
    alive = [p for p in peers if p.id not in deaths.down and judge_once(view, p).liveness is Liveness.ALIVE]
    if len(alive) < quorum(len(peers)):
        return None
    if view.leader is not None and view.leader.id not in deaths.down:
        return view.leader
    return _furthest(view, alive) if deaths.seconds >= ELECTION else None


def _furthest(view: ClusterView, alive: list[Peer]) -> Peer:
    """Whose log holds the most; of several the first by id."""

    def log(peer: Peer) -> tuple[int, int]:
        vantage = view.vantage_of(peer)
        return (vantage.last_log_term or 0, vantage.last_log_index or 0) if vantage else (0, 0)

    return max(alive, key=log)


def _vantage(vantage: Vantage, view: ClusterView, deaths: Deaths, leader: Peer | None, *, noticed: bool) -> Vantage:
    if vantage.server_id in deaths.down:
        killed = vantage.server_id in deaths.killed
        reach = Reach.REFUSED if killed else Reach.ACCEPTED
        trouble = "nothing listens there" if killed else "no answer in time"
        return Vantage(vantage.url, reach, expected_id=vantage.server_id, trouble=f"{vantage.url}: {trouble}")
    members = vantage.members and tuple(_member(member, deaths, noticed=noticed) for member in vantage.members)
    held = replace(vantage, members=members)
    if leader is None:
        return replace(held, state="Follower" if held.state else None, leader_address=None, last_contact=deaths.seconds)
    if leader.id == view.leader_id:
        return held
    term = None if held.term is None else held.term + 1
    state = held.state and ("Leader" if held.server_id == leader.id else "Follower")
    return replace(held, state=state, term=term, leader_address=leader.address, last_contact=0.0)


def _member(member: Member, deaths: Deaths, *, noticed: bool) -> Member:
    return replace(member, status=MemberStatus.FAILED) if noticed and member.id in deaths.down else member


def _reach(view: ClusterView, address: str, reach: Reach, deaths: Deaths) -> Reach:
    peers = (view.configuration or Configuration(())).peers
    ids = {peer.id for peer in peers if peer.address == address}
    if ids & deaths.killed:
        return Reach.REFUSED
    return Reach.ACCEPTED if ids & deaths.frozen else reach


def _opinions(
    view: ClusterView, deaths: Deaths, leader: Peer | None, *, noticed: bool
) -> Mapping[str, Mapping[str, Opinion]]:
    """Of those who live. A new leader hears of everybody what the old one heard."""
    held = {by: dict(said) for by, said in view.opinions.items() if by not in deaths.down}
    if leader is not None and leader.id != view.leader_id:
        held[leader.id] = {**view.opinions.get(view.leader_id or "", {}), **held.get(leader.id, {})}
        held[leader.id] |= {
            peer.id: Opinion(OpinionKind.HEARD, "it answers the new leader", "reply", follows=True)
            for peer in (view.configuration or Configuration(())).peers
            if judge_once(view, peer).liveness is Liveness.ALIVE
        }
    for said in held.values():
        for peer in deaths.down & said.keys():
            before = said[peer].source
            gone = Opinion(OpinionKind.GONE, "failed, as is assumed", before)
            said[peer] = gone if noticed else Opinion(OpinionKind.PRESENT, "not missed yet", before)
    return held
