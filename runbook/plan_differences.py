"""What has become of the world since a plan was made: a pure comparison of the plan with one look.

A peer that the plan takes out and that went by itself is no difference; nor is a server that nobody could judge and
that is seen alive now.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from runbook.dataclass import dataclass
from runbook.raft.liveness import Liveness, judge_once
from runbook.raft.model import ClusterView, Peer
from runbook.raft.plan_basis import format_peer, leader_term
from runbook.raft.verdicts import is_meant
from runbook.saved_plan import SavedPlan, SeenServer

MOST = 8  # differences that are told each


@dataclass(frozen=True)
class Difference:
    """One thing that is another one now, then and now with their values.

    ``sure``: another look would say the same. A server of whom one look cannot tell may have answered late.
    """

    sentence: str
    sure: bool = True


def differences(plan: SavedPlan, view: ClusterView, confirmed_off: Collection[str] = ()) -> tuple[Difference, ...]:
    """Between the world of the plan and this look; nothing where it knows of no servers."""
    seen = view.best_configuration
    if not plan.servers:
        return ()
    if seen is None:
        return (Difference(f"no server says who is in the configuration: {view.error_text or view.error_kind}", False),)
    now = {peer.id: peer for peer in seen.peers}
    then = {server.id: server for server in plan.servers}
    told = [*_configuration(plan, then, now), *_leader(plan, view)]
    for server in plan.servers:
        if server.id in now:
            told += _verdict(server, view, now[server.id], confirmed_off)
    return tuple(told)


def vanished(plan: SavedPlan, view: ClusterView) -> tuple[str, ...]:
    """The names of those whom the plan takes out and who are in the configuration no more."""
    seen = view.best_configuration
    listed = {peer.id for peer in seen.peers} if seen else plan.removals
    return tuple(server.name for server in plan.servers if server.id in plan.removals - listed)


def format_differences(found: Collection[Difference]) -> str:
    """As one sentence."""
    told = [each.sentence for each in found][:MOST]
    more = f"; and {len(found) - MOST} more differences" if len(found) > MOST else ""
    return f"{'; '.join(told)}{more}"


def _configuration(plan: SavedPlan, then: Mapping[str, SeenServer], now: Mapping[str, Peer]) -> Iterator[Difference]:
    for server in plan.servers:
        peer = now.get(server.id)
        if peer is None and server.id not in plan.removals:
            yield Difference(f"{server.name} ({server.address}) was in the configuration and is not now")
        elif peer is not None and peer.address != server.address:
            yield Difference(f"{server.name} was at {server.address} and is at {peer.address} now")
        elif peer is not None and _is_renamed(server, peer):
            yield Difference(f"{server.id} is {server.name} in the plan and {peer.label} now")
        elif peer is not None and peer.voter != server.voter:
            words = ("a voter", "a non-voter")
            yield Difference(f"{server.name} was {words[not server.voter]} and is {words[not peer.voter]} now")
    for peer in now.values():
        if peer.id not in then:
            yield Difference(f"{format_peer((peer.label, peer.address, peer.voter))} is new in the configuration")


def _is_renamed(server: SeenServer, peer: Peer) -> bool:
    """Where a look knows no name of its own, a server is called by its id or address."""
    return bool(peer.name) and server.name not in (peer.name, peer.label, peer.id, peer.address)


def _leader(plan: SavedPlan, view: ClusterView) -> Iterator[Difference]:
    """Its term only where both know it."""
    leader, term = view.leader_id or "", leader_term(view)
    if leader == plan.leader and (term == plan.term or None in (term, plan.term)):
        return
    name = view.leader.label if view.leader else plan.name_of(leader)
    was = f"{plan.name_of(plan.leader)} led{_in(plan.term)}" if plan.leader else "nobody led"
    if not leader:
        yield Difference(f"{was} and nobody is seen to lead now", sure=False)
    else:
        yield Difference(f"{was} and {name} leads{_in(term)} now")


def _in(term: int | None) -> str:
    return "" if term is None else f" in term {term}"


def _verdict(server: SeenServer, view: ClusterView, peer: Peer, confirmed_off: Collection[str]) -> Iterator[Difference]:
    verdict = judge_once(view, peer, confirmed_off=is_meant(view, peer, confirmed_off))
    now = verdict.liveness
    if now.value == server.verdict or (server.verdict == Liveness.UNKNOWN.value and now is Liveness.ALIVE):
        return
    why = f": {'; '.join(verdict.evidence)}" if verdict.evidence else ""
    called = "nobody could tell of" if server.verdict == Liveness.UNKNOWN.value else ""
    was = f"{called} {server.name}" if called else f"{server.name} was {server.verdict}"
    yield Difference(f"{was} and it is {now.value} now{why}", sure=now is not Liveness.UNKNOWN)
