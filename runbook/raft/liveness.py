"""Is a peer alive, dead, or unknown? The most dangerous question of the whole program (I1).

Unknown is the answer to everything that is not proven. Each verdict carries the evidence it rests on.
The rules are in docs/safety.md; what misleads is in docs/servers/traps.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from runbook.raft.model import ClusterView, MemberStatus, Peer, Reach, Vantage, same_place
from runbook.raft.probes import ProbeEvidence, ProbeMeaning, probe_evidence

MAX_GAP = 15.0  # seconds between the end of one look and the beginning of the next: less than a server's restart
SILENT_MACHINE = 120.0  # seconds; clouds pause a guest for half a minute, and then it is as silent as one that is off

GONE = (MemberStatus.FAILED, MemberStatus.LEFT)


class Liveness(Enum):
    """Our verdict, never a raw status of anybody's."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Verdict:
    """Our verdict on one peer, and the evidence for it.

    ``lasting`` is how many seconds this kind of death must be seen for at least, whatever ``confirm_for`` says.
    ``returned``: it looks dead now, and a look that the verdict needs shows a sign of life: it comes and goes.
    """

    peer: Peer
    liveness: Liveness
    evidence: tuple[str, ...]
    lasting: float = 0.0
    returned: bool = False


def judge(looks: Sequence[ClusterView], peer: Peer, *, confirm_for: float, least_looks: int = 2) -> Verdict:
    """Judge one peer over the looks of a run, oldest first, whichever step took them.

    Args:
        looks: all looks of the run so far.
        confirm_for: seconds for which death must be seen, from the end of the first look to the start of the last.
        least_looks: how many looks must agree.

    Alive is decided by the newest look alone. Dead needs an unbroken row of looks that say so, up to the newest:
    at least ``least_looks``, spread over ``confirm_for`` seconds, no more than ``MAX_GAP`` apart. A machine that is
    silent must be so for ``SILENT_MACHINE`` seconds. One look that says anything else breaks the row, as one bad sample
    may be a pause of the server or of this host.
    """
    if not looks:
        return Verdict(peer, Liveness.UNKNOWN, ("no look has been taken yet",))
    newest = judge_once(looks[-1], peer)
    if newest.liveness is not Liveness.DEAD:
        return newest
    row, before = _dead_row(looks, peer)
    if _is_confirmed(row, confirm_for, least_looks):
        return Verdict(peer, Liveness.DEAD, (f"{len(row)} looks over {_spread(row):.0f} s agree", *newest.evidence))
    needed = max(confirm_for, newest.lasting)
    many = f"{len(row)} look{'s' if len(row) > 1 else ''} over {_spread(row):.0f} s"
    seen = f"not confirmed yet: {many} say dead, {least_looks} over {needed:.0f} s are needed"
    if before is None:
        return Verdict(peer, Liveness.UNKNOWN, (seen, *newest.evidence), newest.lasting)
    then = f"{looks[-1].taken_at - before.taken_at:.0f} s ago: {judge_once(before, peer).evidence[0]}"
    returned = shows_life(before, peer)
    return Verdict(peer, Liveness.UNKNOWN, (seen, then, *newest.evidence), newest.lasting, returned)


def _dead_row(looks: Sequence[ClusterView], peer: Peer) -> tuple[list[tuple[ClusterView, Verdict]], ClusterView | None]:
    """The looks up to the newest that all say dead, oldest first; and the one before them that says something else.

    A look without a leader is void, neither for nor against, but for a sign of life in it.
    """
    row: list[tuple[ClusterView, Verdict]] = []
    for view in reversed(looks):
        verdict = judge_once(view, peer)
        if view.configuration is None and not shows_life(view, peer):
            continue
        if verdict.liveness is not Liveness.DEAD:
            return row[::-1], view
        if row and row[-1][0].taken_at - (view.taken_at + view.seconds) > MAX_GAP:
            break
        row.append((view, verdict))
    return row[::-1], None


def _is_confirmed(row: Sequence[tuple[ClusterView, Verdict]], confirm_for: float, least_looks: int) -> bool:
    """Whether the row is long enough: as a whole, or behind the last look that needs more time than its others."""
    brief = next((place + 1 for place in reversed(range(len(row))) if row[place][1].lasting), 0)
    for part in (row, row[brief:]):
        lasting = max((verdict.lasting for _, verdict in part), default=0.0)
        if len(part) >= least_looks and _spread(part) >= max(confirm_for, lasting):
            return True
    return False


def _spread(row: Sequence[tuple[ClusterView, Verdict]]) -> float:
    """From the end of the first look to the beginning of the last: what lies between them for sure."""
    first, last = row[0][0], row[-1][0]
    return max(0.0, last.taken_at - (first.taken_at + first.seconds))


def judge_once(view: ClusterView, peer: Peer) -> Verdict:
    """Judge one peer by a single look. Any sign of life, or anything that does not fit, is decisive against *dead*.

    A look does not change, so neither does its verdict: every later look of a run asks for those of all before it.
    """
    verdict = view.judged.get(peer)
    if not isinstance(verdict, Verdict):
        verdict = view.judged[peer] = _judge_look(view, peer)
    return verdict


def _judge_look(view: ClusterView, peer: Peer) -> Verdict:
    own = view.vantage_of(peer)
    if own is not None:
        return Verdict(peer, Liveness.ALIVE, (f"its own HTTP API answers at {own.url}",))
    probe = probe_evidence(view, peer)
    doubt = _doubt_from_here(view, peer, probe) or _doubt_from_gossip(view, peer)
    if doubt is None and not probe.allows_dead:
        doubt = probe.words
    if doubt is not None:
        return Verdict(peer, Liveness.UNKNOWN, (doubt,))
    lasting = SILENT_MACHINE if probe.meaning is ProbeMeaning.NO_MACHINE else 0.0
    return Verdict(peer, Liveness.DEAD, (probe.words, _gossip_words(view, peer)), lasting)


def shows_life(view: ClusterView, peer: Peer) -> bool:
    """Whether a look shows any sign of life of the peer, even where it lacks too much for a verdict."""
    listens = probe_evidence(view, peer).meaning is ProbeMeaning.LISTENS
    in_gossip = any(_doubt_of(vantage, peer) for vantage in _gossiping(view))
    return view.vantage_of(peer) is not None or listens or unidentified_listener(view, peer) is not None or in_gossip


def _doubt_from_here(view: ClusterView, peer: Peer, probe: ProbeEvidence) -> str | None:
    """What this host itself saw that may be the living peer."""
    if probe.meaning in (ProbeMeaning.LISTENS, ProbeMeaning.HOST_UP):
        return probe.words
    listener = unidentified_listener(view, peer)
    return f"{listener.url} accepts connections but does not answer: it may be frozen" if listener else None


def unidentified_listener(view: ClusterView, peer: Peer) -> Vantage | None:
    """The address where this peer's HTTP API is expected, if something listens there and does not name itself."""
    return next(
        (
            vantage
            for vantage in view.vantages
            if vantage.expected_id == peer.id
            and vantage.reach in (Reach.ACCEPTED, Reach.ANSWERED)
            and vantage.server_id is None
        ),
        None,
    )


def _doubt_from_gossip(view: ClusterView, peer: Peer) -> str | None:
    """What gossip says that forbids the verdict *dead*; so does gossip of the leader that cannot be read."""
    leader = next((v for v in _gossiping(view) if _is_leader(view, v)), None)
    if leader is None:
        return "the leader's own gossip could not be read"
    for vantage in _gossiping(view):
        doubt = _doubt_of(vantage, peer)
        if doubt is not None:
            return f"gossip of {vantage.name or vantage.url}: {doubt}"
    if peer.name is not None and leader.member_for(peer) is None:
        return f"the leader names it {peer.name}, but its member list lacks it: does an ACL hide it?"
    return None


def _doubt_of(vantage: Vantage, peer: Peer) -> str | None:
    members = vantage.members or ()
    if sum(member.id == peer.id for member in members) > 1:
        return "two members have its id: a cloned machine?"
    there = [m for m in members if same_place(m.raft_address, peer.address) and m.id not in (None, peer.id)]
    other = next((m for m in there if m.status not in GONE), None)  # a new id that is gone too is no sign of life
    if other is not None and peer.id != peer.address:
        return f"its address now belongs to another server, {other.name} ({other.id}): wait for the leader to reconcile"
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
