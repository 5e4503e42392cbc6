"""What Nomad's and Consul's servers hold of each other: gossip of each that could be read, and the leader's pulse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runbook.cluster.hashicorp.pulse import BEAT, Beat, HealthRow, HealthSample, beats
from runbook.raft.model import ClusterView, Member, MemberStatus, Peer, Vantage, same_place
from runbook.raft.opinions import Opinion, OpinionKind
from runbook.raft.quorum import CONTACT

GONE = (MemberStatus.FAILED, MemberStatus.LEFT)
_WORDS = {status.value: status for status in MemberStatus}
Opinions = dict[str, dict[str, Opinion]]


def opinions_in(view: ClusterView, samples: Sequence[HealthSample] = ()) -> Opinions:
    """The opinions of every server whose gossip was read, and of the leader through any door, by their ids.

    ``samples`` are of autopilot's health, oldest first; those of another leader say nothing.
    """
    peers = view.best_configuration.peers if view.best_configuration else ()
    held: Opinions = {}
    for vantage in view.answering:
        if vantage.members is not None and vantage.server_id is not None:
            by = _id_in_raft(vantage, peers)
            leads = by == view.leader_id
            held[by] = {p.id: gossip_opinion(vantage, p, leads=leads) for p in peers if view.vantage_of(p) != vantage}
    return with_pulse(view, held, samples)


def with_pulse(
    view: ClusterView, held: Mapping[str, Mapping[str, Opinion]], samples: Sequence[HealthSample]
) -> Opinions:
    """The same where what the gossip of these servers says is ``held`` already."""
    peers, leader = view.best_configuration.peers if view.best_configuration else (), view.leader
    found = {by: dict(opinions) for by, opinions in held.items()}
    if leader is not None:
        found[leader.id] = _through_any_door(leader, peers, samples, held.get(leader.id, {}))
    return {by: opinions for by, opinions in found.items() if opinions}


def _id_in_raft(vantage: Vantage, peers: Sequence[Peer]) -> str:
    """On protocol 2 a peer's id is its address, and gossip carries another."""
    place = vantage.raft_address or ""
    old = (peer.id for peer in peers if peer.id == peer.address and same_place(peer.address, place))
    return next(old, str(vantage.server_id))


def gossip_opinion(vantage: Vantage, peer: Peer, *, leads: bool) -> Opinion:
    """What one server's gossip says of a peer. A peer that the leader names and its list lacks was hidden by an ACL,
    unless the name is that of another id at its address.
    """
    members = vantage.members or ()
    if sum(member.id == peer.id for member in members) > 1:
        return Opinion(OpinionKind.UNSURE, "two members have its id: a cloned machine?")
    there = [m for m in members if same_place(m.raft_address, peer.address) and m.id not in (None, peer.id)]
    other = next((m for m in there if m.status not in GONE), None)  # a new id that is gone too is no sign of life
    if other is not None and peer.id != peer.address:
        return _of_replaced(vantage.member_for(peer), other)
    return _opinion_of_member(vantage.member_for(peer), peer, leads=leads and not there)


def _of_replaced(own: Member | None, other: Member) -> Opinion:
    """The old id of a server that lost its data, or whose address passed to another. Who lives elsewhere lives."""
    if own is not None and own.status not in GONE:
        return _opinion_of_status(own.status)
    whose = f"its address now belongs to another server, {other.name} ({other.id})"
    settled = other.status is MemberStatus.ALIVE
    return Opinion(OpinionKind.GONE if settled else OpinionKind.UNSURE, whose, successor=other.id)


def _opinion_of_member(member: Member | None, peer: Peer, *, leads: bool) -> Opinion:
    if member is None and leads and peer.name is not None:
        words = f"the leader names it {peer.name}, but its member list lacks it: does an ACL hide it?"
        return Opinion(OpinionKind.UNSURE, words)
    return _opinion_of_status(member.status if member else None)


def _opinion_of_status(status: MemberStatus | None) -> Opinion:
    if status is None:
        return Opinion(OpinionKind.ABSENT, "absent")
    if status in GONE:
        return Opinion(OpinionKind.GONE, status.value, left=status is MemberStatus.LEFT)
    kind = OpinionKind.PRESENT if status is MemberStatus.ALIVE else OpinionKind.UNSURE
    return Opinion(kind, status.value)


def _through_any_door(
    leader: Peer, peers: Sequence[Peer], samples: Sequence[HealthSample], gossip: Mapping[str, Opinion]
) -> dict[str, Opinion]:
    """The leader's opinions: its pulse before its gossip, which its own API gives more exactly than autopilot does."""
    newest = samples[-1] if samples else None
    if newest is None or newest.leader is None or newest.leader.server_id != leader.id:
        return dict(gossip)
    found = beats(samples)
    first = next(s for s in samples if s.leader and s.leader.server_id == leader.id and _same_reign(s, newest))
    waited = newest.asked_at - first.came_at
    held = dict(gossip)
    for peer in peers:
        row = newest.rows.get(peer.id)
        if peer.id == leader.id:
            held[peer.id] = Opinion(OpinionKind.HEARD, "it leads, and its own reply came", "reply", follows=True)
        elif peer.id in found:
            held[peer.id] = _of_beat(found[peer.id])
        elif row is not None:
            seen = gossip.get(peer.id) or _of_row(row.gossip)
            missed = seen.kind is OpinionKind.PRESENT and waited >= BEAT and not _answers_again(samples, row)
            words = f"alive in gossip, but it did not answer the leader for {waited:.0f} s"
            held[peer.id] = Opinion(OpinionKind.UNSURE, words, "pulse") if missed else seen
    return held


def _answers_again(samples: Sequence[HealthSample], row: HealthRow) -> bool:
    """Whether the leader has its answer now and had none before: that is no proof of life, and no silence either."""
    newest = samples[-1]
    earlier = (s.rows.get(row.server_id) for s in samples if newest.asked_at - s.came_at >= BEAT)
    return row.seconds is not None and row.term > 0 and all(each is None or each.seconds is None for each in earlier)


def _same_reign(one: HealthSample, newest: HealthSample) -> bool:
    """Who was elected again has counted its followers anew; where a sample tells no term, nobody knows."""
    return one is newest or None in (one.reign, newest.reign) or one.reign == newest.reign


def _of_beat(beat: Beat) -> Opinion:
    words = f"it answered the leader within the last {beat.age:.0f} s"
    return Opinion(OpinionKind.HEARD, words, "pulse", beat.age, follows=beat.contact < CONTACT)


def _of_row(said: str | None) -> Opinion:
    """``none`` is autopilot's word for who is no member; of what is no word of gossip nothing is known."""
    if said == MemberStatus.NONE.value:
        return Opinion(OpinionKind.ABSENT, "absent")
    if said not in _WORDS:
        return Opinion(OpinionKind.UNSURE, "nothing that is understood")
    return _opinion_of_status(_WORDS[said])
