"""Is a peer alive, dead, or unknown? The most dangerous question of the whole program (I1).

Unknown is the answer to everything that is not proven. Each verdict carries the evidence it rests on.
The rules are told in docs/safety.md; what misleads is in docs/servers/traps.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from runbook.raft.model import ClusterView, MemberStatus, Peer, Reach, Vantage, same_place

GONE = (MemberStatus.FAILED, MemberStatus.LEFT)


class Liveness(Enum):
    """Our verdict, never a raw status of anybody's."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Verdict:
    """What we hold of one peer, and why."""

    peer: Peer
    liveness: Liveness
    evidence: tuple[str, ...]


def judge(looks: Sequence[ClusterView], peer: Peer, *, confirm_for: float, least_looks: int = 2) -> Verdict:
    """The verdict over several looks, oldest first.

    Alive is decided by the newest look alone. Dead needs every look to say so, at least ``least_looks`` of them,
    spread over ``confirm_for`` seconds: one bad sample may be a pause of the server or of this host (FACTS 9 row 2).
    """
    each = [judge_once(view, peer) for view in looks]
    if not each:
        return Verdict(peer, Liveness.UNKNOWN, ("nobody has looked yet",))
    newest = each[-1]
    if newest.liveness is not Liveness.DEAD:
        return newest
    unlike = next((verdict for verdict in each if verdict.liveness is not Liveness.DEAD), None)
    if unlike is not None:
        return Verdict(peer, Liveness.UNKNOWN, (f"looked {unlike.liveness.value} moments ago", *unlike.evidence))
    spread = looks[-1].taken_at - looks[0].taken_at
    if len(each) < least_looks or spread < confirm_for:
        seen = f"{len(each)} of {least_looks} looks over {spread:.0f} of {confirm_for:.0f} s"
        return Verdict(peer, Liveness.UNKNOWN, (f"not confirmed yet: {seen}", *newest.evidence))
    return Verdict(peer, Liveness.DEAD, (f"{len(each)} looks over {spread:.0f} s agree", *newest.evidence))


def judge_once(view: ClusterView, peer: Peer) -> Verdict:
    """The verdict of a single look. Any sign of life, or anything that does not fit, is decisive against *dead*."""
    own = view.vantage_of(peer)
    if own is not None:
        return Verdict(peer, Liveness.ALIVE, (f"its own HTTP API answers at {own.url}",))
    doubt = _doubt_from_here(view, peer) or _doubt_from_gossip(view, peer)
    if doubt is not None:
        return Verdict(peer, Liveness.UNKNOWN, (doubt,))
    return Verdict(
        peer, Liveness.DEAD, (f"port {peer.address} is {_probe(view, peer).value}", _gossip_words(view, peer))
    )


def _probe(view: ClusterView, peer: Peer) -> Reach:
    return view.probes[peer.address]


def _doubt_from_here(view: ClusterView, peer: Peer) -> str | None:
    """What this host itself saw that forbids the word *dead*."""
    if peer.address not in view.probes:
        return f"port {peer.address} was not tried"
    if _probe(view, peer) in (Reach.ACCEPTED, Reach.ANSWERED):
        return f"port {peer.address} accepts connections: it may be frozen, stop the process first"
    silent = next((v for v in view.vantages if _is_mute(v, peer)), None)
    return f"{silent.url} accepts connections and does not say who it is: it may be frozen" if silent else None


def _is_mute(vantage: Vantage, peer: Peer) -> bool:
    """Something listens where this peer's HTTP API is expected, yet does not name itself."""
    listens = vantage.reach in (Reach.ACCEPTED, Reach.ANSWERED)
    return vantage.expected_id == peer.id and listens and vantage.server_id is None


def _doubt_from_gossip(view: ClusterView, peer: Peer) -> str | None:
    """What gossip says that forbids the word *dead*; silence of the leader's gossip forbids it too."""
    leader = next((v for v in _gossiping(view) if _is_leader(view, v)), None)
    if leader is None:
        return "the leader's own gossip could not be read"
    for vantage in _gossiping(view):
        doubt = _doubt_of(vantage, peer)
        if doubt is not None:
            return f"gossip of {vantage.name or vantage.url}: {doubt}"
    if peer.name is not None and leader.member_for(peer) is None:
        return f"the leader calls it {peer.name}, yet its list of members lacks it: was that list cut by an ACL?"
    return None


def _doubt_of(vantage: Vantage, peer: Peer) -> str | None:
    members = vantage.members or ()
    if sum(member.id == peer.id for member in members) > 1:
        return "two members carry its id (a cloned machine?)"
    other = next((m for m in members if same_place(m.raft_address, peer.address) and m.id not in (None, peer.id)), None)
    if other is not None and peer.id != peer.address:
        return f"its address now belongs to another server, {other.name} ({other.id}); the leader will settle it"
    member = vantage.member_for(peer)
    if member is not None and member.status not in GONE:
        return f"{member.status.value}"
    return None


def _gossiping(view: ClusterView) -> tuple[Vantage, ...]:
    return tuple(v for v in view.answering if v.members is not None)


def _is_leader(view: ClusterView, vantage: Vantage) -> bool:
    leader = view.configuration.peer(view.leader_id) if view.configuration and view.leader_id else None
    return leader is not None and view.vantage_of(leader) == vantage


def _gossip_words(view: ClusterView, peer: Peer) -> str:
    known = [vantage.member_for(peer) for vantage in _gossiping(view)]
    words = sorted({member.status.value if member else "absent" for member in known})
    return f"gossip of {len(known)} servers, the leader's among them: {' or '.join(words)}"
