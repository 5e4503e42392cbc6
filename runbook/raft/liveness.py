"""Is a peer alive, dead, or unknown? The most dangerous question of the whole program (I1).

Unknown is the answer to all that is not proven. The rules: docs/safety.md; what misleads: docs/servers/traps.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum

from runbook.dataclass import dataclass
from runbook.raft import listeners
from runbook.raft.advice import (
    CONFIRM_OFF,
    CONFIRM_OFF_SEEN,
    GIVE_ADDRESS,
    GIVE_LEADER,
    MAY_BE_FROZEN,
    NEVER_STARTED,
    RECONCILE,
    START_IT,
    STOP_CLONE,
    WAIT,
)
from runbook.raft.model import ClusterView, Member, MemberStatus, Peer, Vantage, same_place
from runbook.raft.opinions import HostWord, OpinionKind
from runbook.raft.probes import ProbeEvidence, ProbeMeaning, probe_evidence

MAX_GAP = 15.0  # seconds between the end of one look and the beginning of the next: less than a server's restart
SILENT_MACHINE = 120.0  # seconds; clouds pause a guest for half a minute, and then it is as silent as one that is off


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
    ``settled_by`` is, of who is unknown, what a person can do about it. ``blind``: all others hold it gone, and only
    this host's probe tells nothing, so that a word from outside would settle it, and time does not. ``seen_for``: of
    one that looks dead, for how many seconds so far.
    """

    peer: Peer
    liveness: Liveness
    evidence: tuple[str, ...]
    lasting: float = 0.0
    returned: bool = False
    settled_by: str = ""
    blind: bool = False
    seen_for: float | None = None


def judge(
    looks: Sequence[ClusterView], peer: Peer, *, confirm_for: float, least_looks: int = 2, confirmed_off: bool = False
) -> Verdict:
    """Judge one peer over the looks of a run, oldest first, whichever step took them.

    Args:
        looks: all looks of the run so far.
        confirm_for: seconds for which death must be seen, from the end of the first look to the start of the last.
        least_looks: how many looks must agree.
        confirmed_off: a person says that it is off: that takes the place of a probe that is blind, and of no more.

    Alive is decided by the newest look alone. Dead needs an unbroken row of looks that say so, up to the newest:
    at least ``least_looks``, spread over ``confirm_for`` seconds, no more than ``MAX_GAP`` apart. A machine that is
    silent must be so for ``SILENT_MACHINE`` seconds. One look that says anything else breaks the row, as one bad sample
    may be a pause of the server or of this host.
    """
    if not looks:
        return Verdict(peer, Liveness.UNKNOWN, ("no look has been taken yet",))
    newest = judge_once(looks[-1], peer, confirmed_off=confirmed_off)
    if newest.liveness is not Liveness.DEAD:
        return newest
    row, before = _dead_row(looks, peer, confirmed_off=confirmed_off)
    if _is_confirmed(row, confirm_for, least_looks):
        return Verdict(peer, Liveness.DEAD, (f"{len(row)} looks over {_spread(row):.0f} s agree", *newest.evidence))
    needed = max(confirm_for, newest.lasting)
    many = f"{len(row)} look{'s' if len(row) > 1 else ''} over {_spread(row):.0f} s"
    seen = f"not confirmed yet: {many} say dead, {least_looks} over {needed:.0f} s are needed"
    if before is None:
        return Verdict(peer, Liveness.UNKNOWN, (seen, *newest.evidence), newest.lasting, seen_for=_spread(row))
    other = judge_once(before, peer, confirmed_off=confirmed_off).evidence[0]
    then = f"{looks[-1].taken_at - before.taken_at:.0f} s ago: {other}"
    returned = shows_life(before, peer)
    evidence = (seen, then, *newest.evidence)
    return Verdict(peer, Liveness.UNKNOWN, evidence, newest.lasting, returned, seen_for=_spread(row))


def _dead_row(
    looks: Sequence[ClusterView], peer: Peer, *, confirmed_off: bool
) -> tuple[list[tuple[ClusterView, Verdict]], ClusterView | None]:
    """The looks up to the newest that all say dead, oldest first; and the one before them that says something else.

    A look without a leader is void, neither for nor against, but for a sign of life in it.
    """
    row: list[tuple[ClusterView, Verdict]] = []
    for view in reversed(looks):
        verdict = judge_once(view, peer, confirmed_off=confirmed_off)
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


def judge_once(view: ClusterView, peer: Peer, *, confirmed_off: bool = False) -> Verdict:
    """Judge one peer by a single look. Any sign of life, or anything that does not fit, is decisive against *dead*.

    A look does not change, so neither does its verdict: every later look of a run asks for those of all before it.
    """
    verdict = view.judged.get((peer, confirmed_off))
    if not isinstance(verdict, Verdict):
        verdict = view.judged[peer, confirmed_off] = _judge_look(view, peer, confirmed_off=confirmed_off)
    return verdict


def _judge_look(view: ClusterView, peer: Peer, *, confirmed_off: bool) -> Verdict:
    clones = living_with_one_id(view, peer)
    if clones:
        where = " and ".join(f"{member.name} at {member.raft_address}" for member in clones)
        words = f"two servers have its id, {where}: a machine was cloned, and nobody knows which of them votes"
        return Verdict(peer, Liveness.UNKNOWN, (words,), settled_by=STOP_CLONE)
    waiting = listeners.waiting_server(view, peer)
    if waiting is not None:
        words = f"{waiting.url} answers and waits for {waiting.waits_for}"
        return Verdict(peer, Liveness.UNKNOWN, (words,), settled_by=waiting.settled_by or "")
    heard = words_of_life(view, peer)
    if heard is not None:
        return Verdict(peer, Liveness.ALIVE, (heard,))
    if peer.never_started:
        return Verdict(peer, Liveness.UNKNOWN, (NEVER_STARTED,), settled_by=START_IT)
    successor = successor_of(view, peer)
    probe = probe_evidence(view, peer)
    doubt = None if successor else _doubt_from_here(view, peer, probe)
    doubt = doubt or _doubt_of_others(view, peer)
    if doubt is None and successor is not None:
        words = f"another server, {successor.name} ({successor.server_id}), answers at its address: it lost its data"
        return Verdict(peer, Liveness.DEAD, (words, _opinions_in_words(view, peer)), SILENT_MACHINE)
    if doubt is not None:
        return Verdict(peer, Liveness.UNKNOWN, (doubt,), settled_by=_what_settles(view, peer))
    word = "" if probe.allows_dead else _word_in_place_of(probe, view.host_words.get(peer.id), confirmed_off)
    if word is None:
        return _unsettled(view, peer, probe)
    lasting = SILENT_MACHINE if probe.meaning is ProbeMeaning.NO_MACHINE else 0.0
    return Verdict(peer, Liveness.DEAD, (f"{probe.words}{word}", _opinions_in_words(view, peer)), lasting)


def _word_in_place_of(probe: ProbeEvidence, told: HostWord | None, confirmed_off: bool) -> str | None:
    """Of a probe that allows no *dead*: that of its host, where it was seen to have stopped, else a person's."""
    if told is not None and told.stopped:
        return f"; on its host: {told.words}"
    return "; a person has confirmed that it is off" if probe.is_blind and confirmed_off else None


def _unsettled(view: ClusterView, peer: Peer, probe: ProbeEvidence) -> Verdict:
    """All others hold it gone, and this host cannot tell: a word would settle it. What its host said so far is told."""
    told = view.host_words.get(peer.id)
    words = (probe.words if told is None else f"{probe.words}; on its host: {told.words}",)
    settled_by = (CONFIRM_OFF_SEEN if told else CONFIRM_OFF).format(name=peer.label)
    return Verdict(peer, Liveness.UNKNOWN, words, settled_by=settled_by, blind=True)


def settled_by_host(view: ClusterView) -> tuple[Peer, ...]:
    """The peers of which nothing but the word of their own host is missing for *dead* in this look."""
    seen = view.best_configuration
    unknown = [peer for peer in (seen.peers if seen else ()) if judge_once(view, peer).liveness is Liveness.UNKNOWN]
    stopped = replace(view, host_words={peer.id: HostWord(stopped=True) for peer in unknown})
    return tuple(peer for peer in unknown if judge_once(stopped, peer).liveness is Liveness.DEAD)


def words_of_life(view: ClusterView, peer: Peer) -> str | None:
    """Who heard from the peer, and how: this host, or a server that can be believed; None where nobody did."""
    own = view.vantage_of(peer)
    if own is not None:
        return f"its own HTTP API answers at {own.url}"
    for by, opinion in view.opinions_of(peer).items():
        if opinion.kind is OpinionKind.HEARD:
            return opinion.words if by == peer.id else f"{view.label_of(by)} heard from it: {opinion.words}"
    return None


def living_with_one_id(view: ClusterView, peer: Peer) -> tuple[Member, ...]:
    """The members that one server's gossip has under this peer's id and that are not gone, where they are several."""
    gone = (MemberStatus.FAILED, MemberStatus.LEFT)
    for vantage in view.answering:
        found = tuple(m for m in vantage.members or () if m.id == peer.id and m.status not in gone)
        if len(found) > 1:
            return found
    return ()


def shows_life(view: ClusterView, peer: Peer) -> bool:
    """Whether a look shows any sign of life of the peer, even where it lacks too much for a verdict."""
    listens = probe_evidence(view, peer).meaning is ProbeMeaning.LISTENS and successor_of(view, peer) is None
    there = view.vantage_of(peer) or listeners.unidentified_listener(view, peer)
    return there is not None or listens or _objection(view, peer) is not None


def successor_of(view: ClusterView, peer: Peer) -> Vantage | None:
    """Who answers this host at the peer's address under another id, which the leader too knows to live there.

    Then what listens there is not the peer. Its old entry is left to the leader, which takes it out within a minute
    when it reconciles; only where that has not happened for ``SILENT_MACHINE`` seconds is the old id called dead.
    """
    opinion = view.opinions.get(view.leader_id or "", {}).get(peer.id)
    if opinion is None or opinion.successor is None:
        return None
    there = (v for v in view.answering if v.raft_address and same_place(v.raft_address, peer.address))
    return next((vantage for vantage in there if vantage.server_id == opinion.successor), None)


def is_only_out_of_sight(view: ClusterView, peer: Peer) -> bool:
    """Whether a peer is unknown only as nobody could be asked: no server misses it, and nothing here looks frozen."""
    opinions = view.opinions_of(peer)
    nobody_misses_it = view.leader_id in opinions and all(o.kind is OpinionKind.PRESENT for o in opinions.values())
    meaning = probe_evidence(view, peer).meaning
    fits = meaning in (ProbeMeaning.LISTENS, ProbeMeaning.BLIND, ProbeMeaning.UNTRIED)
    return nobody_misses_it and fits and listeners.mute_listener(view, peer) is None


def _doubt_from_here(view: ClusterView, peer: Peer, probe: ProbeEvidence) -> str | None:
    """What this host itself saw, or its own, that may be the living peer."""
    told = view.host_words.get(peer.id, HostWord(stopped=False))
    said = f"on its host: {told.words}" if told.runs else listeners.reason_kept_out(view, peer)
    if said:
        return said
    if probe.meaning is ProbeMeaning.LISTENS or (probe.meaning is ProbeMeaning.HOST_UP and not told.stopped):
        return f"{probe.words}; on its host: {told.words}" if told.words else probe.words
    listener = listeners.unidentified_listener(view, peer)
    return f"{listener.url} accepts connections but does not answer: it may be frozen" if listener else None


def _doubt_of_others(view: ClusterView, peer: Peer) -> str | None:
    """What any server holds of it that forbids the verdict *dead*; so does a leader whose opinion cannot be had."""
    opinions = view.opinions_of(peer)
    if view.leader_id is None or view.leader_id not in opinions:
        return "the leader's own opinion of it could not be read"
    return _objection(view, peer)


def _objection(view: ClusterView, peer: Peer) -> str | None:
    """The first opinion that does not hold the peer gone, or that knows another at its address which nobody met."""
    settled = successor_of(view, peer) is not None
    for by, opinion in view.opinions_of(peer).items():
        if not opinion.says_gone or (opinion.successor is not None and not settled):
            return f"{opinion.source} of {view.label_of(by)}: {opinion.words}"
    return None


def _opinions_in_words(view: ClusterView, peer: Peer) -> str:
    """As in "gossip of 4 servers, the leader's among them: failed or absent"."""
    opinions = view.opinions_of(peer).values()
    sources = " and ".join(sorted({opinion.source for opinion in opinions}))
    words = " or ".join(sorted({opinion.words for opinion in opinions}))
    return f"{sources} of {len(opinions)} servers, the leader's among them: {words}"


def _what_settles(view: ClusterView, peer: Peer) -> str:
    """By what forbids a verdict: no leader's opinion, a sign of a frozen process, nobody to ask, or just too early."""
    opinions = view.opinions_of(peer)
    if view.leader_id not in opinions:
        return GIVE_LEADER
    if speaking := listeners.speaking_listener(view, peer):
        return speaking.settled_by or ""
    if is_only_out_of_sight(view, peer):
        return GIVE_ADDRESS
    if any(opinion.successor for opinion in opinions.values()):
        return RECONCILE
    runs = peer.id in view.host_words and view.host_words[peer.id].runs
    listens = runs or probe_evidence(view, peer).meaning in (ProbeMeaning.LISTENS, ProbeMeaning.HOST_UP)
    return MAY_BE_FROZEN if listens or listeners.mute_listener(view, peer) else WAIT
