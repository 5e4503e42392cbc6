"""A second, obvious judgement on what the tool has seen: flat loops over raw facts, written apart from raft/."""

from __future__ import annotations

from collections.abc import Sequence

from runbook.raft.model import ClusterView, MemberStatus, Peer, Reach, Vantage

SILENT_FOR = 120.0
LISTENING = (Reach.ACCEPTED, Reach.ANSWERED)


def majority(count: int) -> int:
    return next(number for number in range(count + 1) if 2 * number > count) if count else 1


def is_own(vantage: Vantage, peer: Peer) -> bool:
    """Whether this vantage is that peer itself; on protocol 2 the id is the address."""
    return peer.id in (vantage.server_id, vantage.raft_address)


def life_in(view: ClusterView, peer: Peer) -> str | None:
    """Any sign of life, or of a fate that is not plain death, in one look."""
    for vantage in view.vantages:
        if vantage.server_id is not None and is_own(vantage, peer):
            return "it answered itself"
        if vantage.expected_id == peer.id and vantage.reach in LISTENING and vantage.server_id is None:
            return "something listens where it should be"
        if vantage.server_id is None:
            continue
        for member in vantage.members or ():
            ours = member.id == peer.id or (member.raft_address == peer.address and not is_anothers(view, peer))
            if ours and member.status not in (MemberStatus.FAILED, MemberStatus.LEFT):
                return f"gossip of {vantage.name} says {member.status.value}"
    for by, held in view.opinions.items():
        if peer.id in held and held[peer.id].kind.value not in ("gone", "absent"):
            return f"{by} holds it {held[peer.id].kind.value}"
    machine = view.hosts.get(peer.address, {}).values()
    if view.probes.get(peer.address) is Reach.SILENT and any(said in (*LISTENING, Reach.REFUSED) for said in machine):
        return "its port is silent and its machine is not"
    listens = view.probes.get(peer.address) in LISTENING and not is_anothers(view, peer)
    return "its port accepts connections" if listens else None


def is_anothers(view: ClusterView, peer: Peer) -> bool:
    """Whether another server answers at its address by its own id, and on protocol 3 that is not the peer."""
    there = [v for v in view.answering if v.raft_address == peer.address]
    return peer.id != peer.address and bool(there) and all(v.server_id != peer.id for v in there)


def tells(view: ClusterView, peer: Peer, *, by_word: bool) -> bool:
    """Whether a look says enough for silence to mean something: a probe that differs from those of the living, or a
    person's word in its place, and the leader's opinion.
    """
    leader = view.leader_id
    heard = leader is not None and peer.id in view.opinions.get(leader, {})
    return view.configuration is not None and heard and (by_word or differs(view, peer))


def differs(view: ClusterView, peer: Peer) -> bool:
    peers = view.configuration.peers if view.configuration else ()
    living = [each.address for each in peers if each.id != peer.id and is_alive(view, each)]
    reach = view.probes.get(peer.address)
    if is_anothers(view, peer):
        return True
    if reach is Reach.REFUSED:
        theirs = [view.probes.get(address) for address in living]
        return Reach.ACCEPTED in theirs and Reach.REFUSED not in theirs
    if reach is Reach.SILENT:
        if any(machine_is_silent(view, address) for address in living):
            return False
        silent = {port for port, said in view.hosts.get(peer.address, {}).items() if said is Reach.SILENT}
        answers = (Reach.ACCEPTED, Reach.REFUSED)
        return any(view.hosts.get(address, {}).get(port) in answers for address in living for port in silent)
    return False


def machine_is_silent(view: ClusterView, address: str) -> bool:
    """Whether ssh, and the port on which nobody listens, were tried there and gave no answer."""
    said = [reach for port, reach in view.hosts.get(address, {}).items() if port in (22, 9)]
    return bool(said) and all(reach not in (*LISTENING, Reach.REFUSED) for reach in said)


def reason_not_dead(
    views: Sequence[ClusterView], peer: Peer, confirm_for: float, looks: int, *, by_word: bool
) -> str | None:
    """Why these looks, oldest first, do not prove that the peer is dead."""
    newest, telling, needed = views[-1], 0, confirm_for
    if not tells(newest, peer, by_word=by_word):
        return "the last look tells nothing of it"
    for view in reversed(views):
        life, ago = life_in(view, peer), newest.taken_at - view.taken_at - view.seconds
        if life is not None:
            return f"{ago:.1f} s before, {life}"
        if not tells(view, peer, by_word=by_word):
            continue
        telling += 1
        silent = view.probes.get(peer.address) is Reach.SILENT and differs(view, peer)
        if silent or is_anothers(view, peer):
            needed = max(needed, SILENT_FOR)
        if telling >= looks and ago >= needed:
            return None
    return f"only {telling} of {looks} looks, over less than {needed:.1f} s"


def live_voters(view: ClusterView, without: str) -> int:
    voters = [peer for peer in (view.configuration.peers if view.configuration else ()) if peer.voter]
    return sum(peer.id != without and is_alive(view, peer) for peer in voters)


def is_alive(view: ClusterView, peer: Peer) -> bool:
    """It answered this host, or the leader."""
    heard = any(peer.id in held and held[peer.id].kind.value == "heard" for held in view.opinions.values())
    return heard or any(is_own(vantage, peer) for vantage in view.answering)
