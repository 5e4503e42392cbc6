"""May the leadership move, and to whom? What each product takes is in docs/servers, as seen on real servers."""

from __future__ import annotations

from runbook.dataclass import dataclass
from runbook.raft.liveness import Liveness, judge_once
from runbook.raft.model import ClusterView, Peer
from runbook.raft.quorum import quorum, voters_in_contact
from runbook.raft.removal import Refusal
from runbook.raft.stopping import server_called

NEAR = 250  # log entries behind the furthest that make no difference: the leader sends them before it lets go
NO_QUORUM, NO_SUCCESSOR = "QuorumLost", "NoSuccessor"
OUT_OF_CONTACT, UNKNOWN_TARGET = "TargetOutOfContact", "TargetUnknown"
MAY_PASS = frozenset({NO_QUORUM, NO_SUCCESSOR, OUT_OF_CONTACT, UNKNOWN_TARGET})  # what a later look may take back


@dataclass(frozen=True)
class TransferSupport:
    """How one product moves its leadership.

    ``names_target``: a request says who is to lead; else the cluster elects whom it will. ``at_leader``: only the
    leader itself takes the request. ``since`` is the first release that can, as it calls itself.
    """

    names_target: bool = True
    at_leader: bool = False
    since: tuple[int, int] = (0, 0)


SUPPORT = {
    "nomad": TransferSupport(since=(1, 7)),
    "consul": TransferSupport(since=(1, 15)),
    "etcd": TransferSupport(at_leader=True),
    "vault": TransferSupport(names_target=False),
    "openbao": TransferSupport(names_target=False),
}


@dataclass(frozen=True)
class TransferProof:
    """Who leads, and who is to lead: None where the cluster elects whom it will. ``live`` of ``voters`` are alive and
    in contact with the leader; ``needed`` is the quorum.
    """

    before: Peer
    to: Peer | None
    live: int
    voters: int
    needed: int


def may_transfer(view: ClusterView, name: str) -> TransferProof | Refusal:
    """Prove by one look that the leadership may move to another server, or say why not.

    Args:
        name: whose it is to be: a name, with or without its region, an id or a Raft address. Where it is empty and the
            product takes a name, the first by name of those that have the furthest log, or nearly so, is taken.
    """
    leader, configuration = view.leader, view.configuration
    if configuration is None or leader is None:
        return Refusal("NoLeader", "the cluster has no leader", "Wait for an election; runbook diagnose says more")
    support = SUPPORT.get(view.cluster.partition(":")[0], TransferSupport())
    target = server_called(configuration, name) if name else None
    if isinstance(target, Refusal):
        return target
    reason = _refusal_by_product(view, leader, support, target)
    if reason is not None:
        return reason
    contact, voters = voters_in_contact(view), configuration.voters
    counted = [p for p in voters if p.id in contact and judge_once(view, p).liveness is Liveness.ALIVE]
    proof = TransferProof(leader, target, len(counted), len(voters), quorum(len(voters)))
    numbers = f"{proof.live} of {proof.voters} voters are alive and in contact with the leader {leader.label}"
    if proof.live < proof.needed and not view.quorum_proof:
        sentence = f"{numbers}, and {proof.needed} are needed to elect another"
        return Refusal(NO_QUORUM, sentence, "Bring servers back first: runbook diagnose says how each of them is")
    if target is not None:
        return _refusal_for_target(view, target, counted, leader) or proof
    if not (others := [peer for peer in counted if peer != leader]):
        return Refusal(NO_SUCCESSOR, f"{numbers}, so nobody else can lead", "Add a voter, or bring one back")
    chosen = _furthest(view, others) if support.names_target else None
    return TransferProof(leader, chosen, proof.live, proof.voters, proof.needed)


def _refusal_by_product(
    view: ClusterView, leader: Peer, support: TransferSupport, target: Peer | None
) -> Refusal | None:
    product = view.cluster.partition(":")[0]
    own = view.vantage_of(leader)
    asked = (own,) if own and own.version else view.answering
    old = next((each.version for each in asked if each.version and _numbers(each.version) < support.since), None)
    if old is not None:
        first = ".".join(map(str, support.since))
        sentence = f"{product} {old} cannot move its leadership: that came with {first}"
        stop = f"runbook execute safe-to-stop --param server={leader.label} says whether it may be stopped"
        return Refusal("CannotTransfer", sentence, f"Restart the agent of the leader, and another is elected: {stop}")
    if target is not None and not support.names_target:
        sentence = f"{product} elects whom it will when its leader steps down, so {target.label} cannot be chosen"
        return Refusal("CannotChooseLeader", sentence, "Leave `to` empty, and repeat it if need be")
    if support.at_leader and own is None:
        sentence = f"{product} takes this from its leader alone, and {leader.label} could not be asked from here"
        return Refusal("LeaderOutOfReach", sentence, "Run this on its host, or give the address of its client port")
    return None


def _refusal_for_target(view: ClusterView, target: Peer, counted: list[Peer], leader: Peer) -> Refusal | None:
    if not target.voter:
        return Refusal("TargetHasNoVote", f"{target.label} has no vote, and only a voter can lead", "Name a voter")
    if target in counted:
        return None
    verdict = judge_once(view, target)
    others = ", ".join(sorted(peer.label for peer in counted if peer != leader))
    advice = f"Name one of {others}" if others else "Bring it back first"
    if verdict.liveness is Liveness.ALIVE:
        sentence = f"{target.label} is alive, and not seen in contact with the leader {leader.label}"
        return Refusal(OUT_OF_CONTACT, sentence, advice)
    code = "TargetDead" if verdict.liveness is Liveness.DEAD else UNKNOWN_TARGET
    return Refusal(code, f"{target.label} is {verdict.liveness.value}: {'; '.join(verdict.evidence)}", advice)


def _furthest(view: ClusterView, others: list[Peer]) -> Peer:
    """The first by name, as two looks a moment apart must not choose two."""
    ends = {peer.id: vantage.last_log_index or 0 for peer in others if (vantage := view.vantage_of(peer))}
    least = max(ends.values(), default=0) - NEAR
    return min((peer for peer in others if ends.get(peer.id, 0) >= least), key=lambda peer: (peer.label, peer.id))


def _numbers(release: str) -> tuple[int, ...]:
    """``1.8.7`` and ``2.0.5-dev`` alike; what cannot be read counts as new."""
    parts = release.lstrip("v").split(".")[:2]
    return tuple(int(part) if part.isdecimal() and len(part) < 9 else 1_000_000 for part in parts)
