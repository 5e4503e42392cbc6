"""A picture of a cluster on which changes take effect: what a dry run sees once it has foretold one.

Nothing else in it moves. The functions are the same for every product, as they only know what a look is.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from runbook.raft.liveness import Liveness, judge_once
from runbook.raft.model import ClusterView, Configuration, Peer, Reach, Vantage, same_place
from runbook.raft.plan_basis import leader_term
from runbook.raft.quorum import quorum, servers_agree, voters_in_contact
from runbook.raft.verdicts import is_meant


def stands_still(view: ClusterView, confirmed_off: Collection[str] = ()) -> bool:
    """Whether a leader has its quorum, all list its configuration, and every peer looks alive or dead: then time
    alone would show nothing new.

    One late answer makes a follower look out of contact in a single look, and the next shows it again. Of a member that
    was added and never started, time alone proves nothing either.
    """
    peers = view.configuration.peers if view.configuration else ()
    verdicts = [judge_once(view, peer, confirmed_off=is_meant(view, peer, confirmed_off)) for peer in peers]
    undecided = [v for v in verdicts if v.liveness is Liveness.UNKNOWN and not v.peer.never_started]
    led = view.leader_id is not None and len(voters_in_contact(view)) >= quorum(sum(peer.voter for peer in peers))
    return bool(peers) and led and servers_agree(view) and not undecided


def picture(view: ClusterView, confirmed_off: Collection[str] = ()) -> object:
    """What of a look decides: two looks with equal pictures show the same."""
    peers = view.best_configuration.peers if view.best_configuration else ()
    verdicts = [judge_once(view, peer, confirmed_off=is_meant(view, peer, confirmed_off)).liveness for peer in peers]
    held = frozenset((v.server_id, v.configuration.fingerprint if v.configuration else None) for v in view.answering)
    return view.leader_id, leader_term(view), peers, tuple(verdicts), held


def after_removals(view: ClusterView, removed: Collection[str], taken_at: float) -> ClusterView:
    """The same look, taken at another moment, had the peers with these ids been taken out: the leader and every server
    that answers list them no more, nobody has anything to say of them, and nobody tries their ports.
    """
    gone = frozenset(removed)
    seen = view.best_configuration
    addresses = {peer.address for peer in (seen.peers if seen else ()) if peer.id in gone}
    return replace(
        view,
        taken_at=taken_at,
        configuration=_without(view.configuration, gone),
        vantages=tuple(_forgetful(vantage, gone) for vantage in view.vantages),
        probes={address: reach for address, reach in view.probes.items() if address not in addresses},
        hosts={address: tried for address, tried in view.hosts.items() if address not in addresses},
        opinions={
            by: {peer: opinion for peer, opinion in held.items() if peer not in gone}
            for by, held in view.opinions.items()
            if by not in gone
        },
        unhealthy=view.unhealthy and view.unhealthy - gone,
    )


def after_transfer(view: ClusterView, leader_id: str) -> ClusterView:
    """The same look, had this peer been elected in a term of its own: everybody follows it, and it hears from whomever
    the leader before it heard from.
    """
    leader, before = (view.configuration.peer(leader_id) if view.configuration else None), view.leader
    if leader is None or before is None or leader == before:
        return view
    heard = {**view.opinions.get(leader_id, {}), **view.opinions.get(before.id, {})}
    return replace(
        view,
        leader_id=leader_id,
        leader_term=_next_term(view.leader_term),
        vantages=tuple(_following(vantage, leader) for vantage in view.vantages),
        opinions={**view.opinions, leader_id: heard},
    )


def _following(vantage: Vantage, leader: Peer) -> Vantage:
    if vantage.state not in ("Leader", "Follower"):
        return vantage
    leads = vantage.server_id == leader.id or same_place(vantage.raft_address or "", leader.address)
    return replace(
        vantage,
        state="Leader" if leads else "Follower",
        term=_next_term(vantage.term),
        leader_address=leader.address,
        last_contact=vantage.last_contact or 0.0,
    )


def _next_term(term: int | None) -> int | None:
    return None if term is None else term + 1


def after_stops(view: ClusterView, stopped: Collection[str]) -> ClusterView:
    """The same look, had the processes of these frozen peers (their ids) ended: their ports refuse."""
    seen = view.best_configuration
    addresses = {peer.address for peer in (seen.peers if seen else ()) if peer.id in stopped}
    return replace(
        view,
        vantages=tuple(replace(v, reach=Reach.REFUSED) if v.expected_id in stopped else v for v in view.vantages),
        probes={**view.probes, **dict.fromkeys(addresses, Reach.REFUSED)},
        host_words={peer: word for peer, word in view.host_words.items() if peer not in stopped},
    )


def _forgetful(vantage: Vantage, gone: frozenset[str]) -> Vantage:
    return replace(vantage, configuration=_without(vantage.configuration, gone))


def _without(configuration: Configuration | None, gone: frozenset[str]) -> Configuration | None:
    return configuration and Configuration(tuple(peer for peer in configuration.peers if peer.id not in gone))
