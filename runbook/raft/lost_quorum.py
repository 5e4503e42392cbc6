"""Quorum is lost for good: may the survivors be recovered by peers.json, and how? A plan, or a refusal with its reason.

From a minority a cut looks exactly like dead machines, and a minority that was recovered overwrites the living majority
without a word when the cut heals (docs/servers/raft.md#a-recovered-minority-wins). So silence is never enough: of each
server that is left out it was seen on its host that it does not run, or it was fenced, or a person has named it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from itertools import pairwise

from runbook.dataclass import dataclass
from runbook.raft.diagnosis.findings import format_names
from runbook.raft.diagnosis.observations import observe_peer
from runbook.raft.liveness import shows_life
from runbook.raft.lost_quorum_plan import Ground, LeftOut, RecoveryPlan, make_plan
from runbook.raft.model import ClusterView, Configuration, Peer, Vantage, same_place
from runbook.raft.opinions import HostWord
from runbook.raft.probes import ProbeMeaning, probe_evidence
from runbook.raft.quorum import quorum
from runbook.raft.recovery_files import RaftFiles, files_of
from runbook.raft.removal import Refusal

CONFIRM_FOR = 30.0  # seconds for which nobody leads and nobody comes back: longer than any election takes
LEAST_LOOKS = 3
LOOK_EVERY = 5.0  # seconds
PATIENCE = 60.0  # seconds more than needed: a look on a busy machine may miss somebody
MAX_GAP = 15.0  # seconds between two looks: less than a server's restart
TOO_FEW_LOOKS, SURVIVOR_MISSING, NO_SURVIVOR = "TooFewLooks", "SurvivorMissing", "NoSurvivor"
NOT_READ_IN_TIME = "LeaderNotReadInTime"
SILENCE = "SilenceProvesNothing"
BY_ANOTHER_LOOK = (
    TOO_FEW_LOOKS,
    SURVIVOR_MISSING,
    NO_SURVIVOR,
    NOT_READ_IN_TIME,
)  # the codes of refusals that may be over at the next look
WAIT_OR_START = "Start the servers that are missing again with their data, or wait, and run runbook diagnose"


@dataclass(frozen=True)
class RecoveryEvidence:
    """All that a recovery is decided on.

    Args:
        looks: Of one process, the oldest first.
        hosts: What was seen on the hosts of servers, by their ids.
        named: The ids of servers of which a person has said, one at a time, that they are gone.
        confirm_for: Seconds for which the looks must show it.
    """

    looks: Sequence[ClusterView]
    hosts: Mapping[str, HostWord] = field(default_factory=dict)
    named: frozenset[str] = frozenset()
    confirm_for: float = CONFIRM_FOR


def pause_between_looks(confirm_for: float) -> float:
    """Seconds from one look to the next: a few looks fit into a short ``confirm_for`` too."""
    return LOOK_EVERY if confirm_for > LOOK_EVERY else 0.2


def plan_recovery(evidence: RecoveryEvidence) -> RecoveryPlan | Refusal:
    """What to do on which host, or the first reason against it."""
    if not evidence.looks:
        return Refusal(TOO_FEW_LOOKS, "no look has been taken", "Run it again")
    newest = evidence.looks[-1]
    files = files_of(newest.cluster.partition(":")[0])
    if isinstance(files, Refusal):
        return files
    survivors = survivors_of(newest)
    reason = (
        _reason_unreadable(newest, survivors)
        or _reason_quorum_may_return(evidence, survivors)
        or _reason_survivors_differ(survivors)
        or _reason_format(files, survivors)
    )
    if reason is not None:
        return reason
    left_out = [_judge_left_out(evidence, peer) for peer in left_out_of(newest, survivors)]
    reason = _reason_it_lives(left_out) or _reason_unproven(left_out)
    if reason is not None:
        return reason
    return make_plan(newest.cluster, files, survivors, tuple(one.left_out for one in left_out))


def unproven_in(evidence: RecoveryEvidence) -> tuple[LeftOut, ...]:
    """Those of whom nothing but silence is known: they can only be named by a person."""
    newest = evidence.looks[-1]
    judged = [_judge_left_out(evidence, peer) for peer in left_out_of(newest, survivors_of(newest))]
    return tuple(one.left_out for one in judged if one.left_out.ground is None and one.life is None)


def survivors_of(view: ClusterView) -> dict[Peer, Vantage]:
    """The servers that answer for themselves and that some configuration lists, with what they said."""
    found: dict[Peer, Vantage] = {}
    for peer in peers_of(view):
        vantage = view.vantage_of(peer)
        if vantage is not None and vantage not in found.values():
            found[peer] = vantage
    return found


def left_out_of(view: ClusterView, survivors: Mapping[Peer, Vantage]) -> tuple[Peer, ...]:
    """All other peers, of every configuration that a survivor holds: an unfinished removal may have hidden one."""
    ids = {peer.id for peer in survivors}
    return tuple(sorted((p for p in peers_of(view) if p.id not in ids), key=lambda p: (p.label, p.id)))


def peers_of(view: ClusterView) -> tuple[Peer, ...]:
    """Those of every configuration that is held, each id once, with a name where any server knows one."""
    found: dict[str, Peer] = {}
    for configuration in _configurations(view):
        for peer in configuration.peers:
            if peer.id not in found or found[peer.id].name is None:
                found[peer.id] = peer
    return tuple(found.values())


def _configurations(view: ClusterView) -> Iterator[Configuration]:
    if view.configuration is not None:
        yield view.configuration
    yield from (v.configuration for v in view.answering if v.configuration is not None)


# -- may it still come back by itself?


def _reason_unreadable(view: ClusterView, survivors: Mapping[Peer, Vantage]) -> Refusal | None:
    if not survivors:
        sentence = f"no server of the configuration answers: {view.error_text or view.error_kind or 'nobody is known'}"
        return Refusal(NO_SURVIVOR, sentence, "Start what is left of the servers, and point at all their addresses")
    for peer, vantage in survivors.items():
        if vantage.forbidden or vantage.configuration is None or vantage.last_log_index is None:
            why = vantage.trouble or "its Raft configuration or the end of its log is not in what it says"
            next_action = "Give a token that may read the configuration and agent/self of every survivor"
            return Refusal("SurvivorUnreadable", f"{peer.label} answers and cannot be read: {why}", next_action)
    return None


def _reason_quorum_may_return(evidence: RecoveryEvidence, survivors: Mapping[Peer, Vantage]) -> Refusal | None:
    """Somebody named as lost answers, a leader in any look, enough answer, too few looks, or one comes and goes."""
    newest = evidence.looks[-1]
    named = next((peer for peer in survivors if peer.id in evidence.named), None)
    if named is not None:
        return Refusal("NamedAnswers", f"{named.label} is named as lost, and it answers", "Name only who is lost")
    for view in evidence.looks:
        leader = next((v.label for v in view.answering if v.state == "Leader"), None)
        if view.leader_id is not None or leader is not None:
            ago = newest.taken_at - view.taken_at
            sentence = f"there was a leader {ago:.0f} s ago: {leader or view.leader_id}"
            return Refusal("QuorumNotLost", sentence, "Run runbook diagnose: this is for clusters without any leader")
    if newest.error_kind not in (None, "no_leader", "unavailable"):
        sentence = f"whether anybody leads could not be read: {newest.error_text or newest.error_kind}"
        if newest.error_kind in ("timeout", "unreachable"):  # a server without a leader holds a read back for seconds
            return Refusal(NOT_READ_IN_TIME, sentence, "Run it again, from a host that is not as busy")
        return Refusal("LeaderUnread", sentence, "Fix that, and run it again")
    for peer, vantage in survivors.items():
        voters = (vantage.configuration or Configuration(())).voters
        live = sum(newest.vantage_of(voter) is not None for voter in voters)
        if live >= quorum(len(voters)):
            sentence = f"by the configuration of {peer.label}, {live} of {len(voters)} voters answer, which is a quorum"
            return Refusal("QuorumNotLost", sentence, WAIT_OR_START)
    return _reason_too_few_looks(evidence) or _reason_somebody_is_missing(evidence.looks, survivors)


def _reason_too_few_looks(evidence: RecoveryEvidence) -> Refusal | None:
    """Those before a gap in which a server could have come and gone do not count."""
    row = [evidence.looks[-1]]
    for later, earlier in pairwise(reversed(evidence.looks)):
        if later.taken_at - earlier.ended_at > MAX_GAP:
            break
        row.append(earlier)
    spread = max(0.0, row[0].taken_at - row[-1].ended_at)
    if len(row) >= LEAST_LOOKS and spread >= evidence.confirm_for:
        return None
    many = f"{len(row)} look{'s' if len(row) > 1 else ''} over {spread:.0f} s"
    needed = f"{LEAST_LOOKS} over {evidence.confirm_for:.0f} s, at most {MAX_GAP:.0f} s apart, are needed"
    return Refusal(TOO_FEW_LOOKS, f"{many} show it; {needed}", "Look again")


def _reason_somebody_is_missing(looks: Sequence[ClusterView], survivors: Mapping[Peer, Vantage]) -> Refusal | None:
    """Fewer survivors found than live: whoever answered in any look must be among them, or its data are left out."""
    ids = {peer.id for peer in survivors}
    missing = [peer for view in looks for peer in survivors_of(view) if peer.id not in ids]
    if not missing:
        return None
    sentence = f"{missing[0].label} answered a moment ago and does not answer now: it comes and goes"
    return Refusal(SURVIVOR_MISSING, sentence, "Find out what is wrong with it first: every survivor must take part")


# -- do the survivors fit together?


def _reason_survivors_differ(survivors: Mapping[Peer, Vantage]) -> Refusal | None:
    """Each lists each at the same address; what they hold of those left out may differ after an unfinished change."""
    hint = "Two clusters, or an unfinished change: start the servers that are missing, or ask the product's support"
    for peer, vantage in survivors.items():
        held = vantage.configuration or Configuration(())
        for other in survivors:
            listed = held.peer(other.id)
            if listed is None or not same_place(listed.address, other.address):
                where = f"at {listed.address} and not at {other.address}" if listed else "not at all"
                sentence = f"the survivors disagree: {peer.label} lists {other.label} {where}"
                return Refusal("SurvivorsDisagree", sentence, hint)
        if not same_place(vantage.raft_address or peer.address, peer.address):
            sentence = f"{peer.label} is at {vantage.raft_address} now, and the configuration has {peer.address}"
            return Refusal("SurvivorMoved", sentence, "Give it its old address back, or write peers.json by hand")
        if vantage.other_id is not None:
            sentence = f"two servers answer at {vantage.url}: {vantage.server_id} and {vantage.other_id}"
            return Refusal("BehindOneAddress", sentence, "Name each server's own address, and not a load balancer's")
    return None


def _reason_format(files: RaftFiles, survivors: Mapping[Peer, Vantage]) -> Refusal | None:
    if files.forced:
        if any(peer.voter for peer in survivors):
            return None
        sentence = f"every survivor is a learner ({format_names(list(survivors))}), and a learner begins no new cluster"
        return Refusal("NoVoterLeft", sentence, "Restore a snapshot on all of them, as the product's own page says")
    protocols = {peer.protocol for peer in survivors}
    if len(protocols) > 1 or None in protocols:
        told = ", ".join(f"{peer.label}: {peer.protocol or 'unknown'}" for peer in survivors)
        sentence = f"the survivors' Raft protocol decides on the file's format, and it is not one ({told})"
        return Refusal("ProtocolUnknown", sentence, "Find out raft_protocol on each, and write peers.json by hand")
    for peer, vantage in survivors.items():
        reason = files.reason_not_read(peer, vantage.version)
        if reason is not None:
            return reason
    return None


# -- those who are left out


@dataclass(frozen=True)
class _Judged:
    left_out: LeftOut
    life: str | None


def _judge_left_out(evidence: RecoveryEvidence, peer: Peer) -> _Judged:
    newest = evidence.looks[-1]
    lives = next((view for view in reversed(evidence.looks) if shows_life(view, peer)), None)
    word = evidence.hosts.get(peer.id)
    seen = observe_peer(newest, peer).evidence
    ground = None
    if word is not None and word.stopped and word.fenced:
        ground = Ground.FENCED
    elif word is not None and word.stopped and probe_evidence(newest, peer).meaning is ProbeMeaning.NO_PROCESS:
        ground = Ground.INACTIVE
    elif peer.id in evidence.named:
        ground = Ground.NAMED
    told = f"{seen}; on its host: {word.words}" if word is not None and word.words else seen
    return _Judged(LeftOut(peer, ground, told), observe_peer(lives, peer).evidence if lives else None)


def _reason_it_lives(judged: Sequence[_Judged]) -> Refusal | None:
    """Nobody's word outweighs a sign of life."""
    living = [one for one in judged if one.life is not None]
    if not living:
        return None
    names = format_names([one.left_out.peer for one in living])
    sentence = f"there is a sign of life of {names}: {'; '.join(str(one.life) for one in living)}"
    next_action = (
        "Mend that first, and quorum may be back without any loss. If that cannot be, make sure on its own host that "
        "no process of it runs, wait a minute for the others' gossip to notice, and run this again. If it is a "
        "survivor whose API this host cannot reach, give its address too, or run this where all can be reached"
    )
    return Refusal("LeftOutShowsLife", sentence, next_action)


def _reason_unproven(judged: Sequence[_Judged]) -> Refusal | None:
    unproven = [one.left_out for one in judged if one.left_out.ground is None]
    if not unproven:
        return None
    names = format_names([one.peer for one in unproven])
    sentence = (
        f"silence is all there is of {names}, and a cut looks the same: if a majority lives on the other side, what it "
        f"has accepted since is overwritten without a word. {'; '.join(one.seen for one in unproven)}"
    )
    next_action = (
        "Go to each of them: where it can be started with its data, start it; where it is gone for good, name it as "
        "lost, one at a time (runbook recover plan --lost NAME)"
    )
    return Refusal(SILENCE, sentence, next_action)
