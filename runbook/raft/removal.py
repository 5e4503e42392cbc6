"""May this peer be taken out now? A refusal is a value that carries its numbers and says what to do next.

Nomad's removal call checks nothing (docs/servers/nomad.md#removal-checks-nothing), so this guard is *the* guard, asked
again just before each change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from runbook.raft.liveness import Liveness, Verdict
from runbook.raft.model import ClusterView, Configuration, Peer
from runbook.raft.quorum import quorum

CLUSTER_MINIMUM = "cluster-minimum"  # the guard's name, by which a person sets it aside where it cannot be read
MINIMUM_UNREAD = "MinimumUnread"


@dataclass(frozen=True)
class Policy:
    """What the playbook allows: the fewest voters left, the most changes of one run, and whether a failure tolerance
    that has fallen since the run began forbids any more of them.

    ``min_voters_param`` is the param of the command line that ``min_voters`` is, if it is one, and
    ``min_voters_lowest`` the least that this param may be. ``stated`` names those of ``min_voters`` and ``never_worse``
    that a playbook has written: only these hold for changes that are no removals, which need no cluster.
    """

    min_voters: int = 3
    max_changes: int = 2
    never_worse: bool = True
    min_voters_param: str = ""
    min_voters_lowest: int = 1
    stated: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Refusal:
    """Why a peer may not be removed: a stable code, the sentence with its numbers, and the next action."""

    code: str
    sentence: str
    next_action: str

    def __str__(self) -> str:
        return f"{self.sentence}. {self.next_action}"


@dataclass(frozen=True)
class PlanBasis:
    """What removals were planned on. There is no compare-and-set, so all of it is read again before each change.

    ``term`` is the leader's own, where it could be asked. ``removals`` are the ids of the peers that are to go.
    """

    leader: str
    term: int | None
    peers: frozenset[tuple[str, str, bool]]
    removals: frozenset[str]


def plan_basis_of(view: ClusterView, removals: Iterable[str]) -> PlanBasis:
    """The basis of a plan made on a view that has a leader."""
    assert view.configuration is not None  # noqa: S101 -- nothing is planned without a leader
    return PlanBasis(view.leader_id or "", leader_term(view), view.configuration.fingerprint, frozenset(removals))


def plan_basis_record(basis: PlanBasis) -> dict[str, Any]:
    """As the journal keeps it; :func:`plan_basis_from` reads it."""
    peers, removals = [list(entry) for entry in sorted(basis.peers)], sorted(basis.removals)
    return {"leader": basis.leader, "term": basis.term, "peers": peers, "removals": removals}


def plan_basis_from(written: Mapping[str, Any] | None) -> PlanBasis | None:
    """What :func:`plan_basis_record` wrote. Raises KeyError, IndexError or TypeError for anything else."""
    if written is None:
        return None
    peers = frozenset((str(entry[0]), str(entry[1]), bool(entry[2])) for entry in written["peers"])
    return PlanBasis(written["leader"], written["term"], peers, frozenset(written["removals"]))


def leader_term(view: ClusterView) -> int | None:
    """The term as the leader itself tells it."""
    leader = view.configuration.peer(view.leader_id) if view.configuration and view.leader_id else None
    vantage = view.vantage_of(leader) if leader else None
    return vantage.term if vantage else None


def reason_in_drift(basis: PlanBasis, view: ClusterView) -> Refusal | None:
    """What moved since the plan was made, as a readable difference, or nothing.

    A peer that was to go and went by itself, or by our own hand, is no drift: autopilot may be faster.
    """
    if view.configuration is None or view.leader_id is None:
        return None  # the guard itself refuses that, in better words
    moved = _moved_peers(basis, view.configuration) + _moved_leader(basis, view)
    if not moved:
        return None
    code = "ConfigurationChanged" if _moved_peers(basis, view.configuration) else "LeaderChanged"
    return Refusal(code, f"since the plan was made {'; '.join(moved)}", "Run the playbook again: it will judge anew")


def _moved_peers(basis: PlanBasis, now: Configuration) -> list[str]:
    new = sorted(now.fingerprint - basis.peers)
    gone = sorted(entry for entry in basis.peers - now.fingerprint if entry[0] not in basis.removals)
    back = sorted(entry for entry in new if entry[0] in basis.removals)
    return [
        *(f"{_entry(entry)} came" for entry in new if entry not in back),
        *(f"{_entry(entry)} changed" for entry in back),
        *(f"{_entry(entry)} went" for entry in gone),
    ]


def _entry(entry: tuple[str, str, bool]) -> str:
    peer_id, address, voter = entry
    return f"{'voter' if voter else 'non-voter'} {address}{'' if peer_id == address else f' ({peer_id})'}"


def _moved_leader(basis: PlanBasis, view: ClusterView) -> list[str]:
    term = leader_term(view)
    if view.leader_id == basis.leader and (term == basis.term or None in (term, basis.term)):
        return []
    leader = view.configuration.peer(view.leader_id or "") if view.configuration else None
    return [
        f"the leader, {basis.leader} in term {_told(basis.term)}, became "
        f"{leader.label if leader and view.leader_id != basis.leader else view.leader_id} in term {_told(term)}"
    ]


def _told(term: int | None) -> str:
    return "unknown" if term is None else str(term)


def reason_unsafe_to_remove(
    view: ClusterView, verdicts: Mapping[str, Verdict], peer: Peer, policy: Policy, *, changes_so_far: int = 0
) -> Refusal | None:
    """The first reason against removing ``peer`` (I1, I2, I3), or nothing. ``verdicts`` is by peer id."""
    if view.configuration is None or view.leader_id is None:
        return Refusal("NoLeader", "the cluster has no leader, so no change can be made", "Bring servers back first")
    return (
        _reason_in_target(view, verdicts, peer)
        or _reason_in_numbers(view, verdicts, peer, policy)
        or reason_in_budget(policy, changes_so_far)
    )


def _reason_in_target(view: ClusterView, verdicts: Mapping[str, Verdict], peer: Peer) -> Refusal | None:
    if peer.id == view.leader_id:
        return Refusal("TargetIsLeader", f"{peer.label} is the leader", "Stop it first: another is then elected")
    verdict = verdicts.get(peer.id)
    if verdict is None or verdict.liveness is Liveness.UNKNOWN:
        why = "; ".join(verdict.evidence) if verdict else "it was not judged"
        return Refusal("TargetUnknown", f"{peer.label} is not proven dead: {why}", "Look again, or stop its process")
    if verdict.liveness is Liveness.ALIVE:
        why = "; ".join(verdict.evidence)
        return Refusal("TargetAlive", f"{peer.label} is alive: {why}", "A living server is never removed")
    return None


def _reason_in_numbers(
    view: ClusterView, verdicts: Mapping[str, Verdict], peer: Peer, policy: Policy
) -> Refusal | None:
    assert view.configuration is not None  # noqa: S101 -- the caller has just refused a view without one
    voters = len(view.configuration.voters)
    live = sum(_is_alive(verdicts, voter) for voter in view.configuration.voters if voter.id != peer.id)
    if live < quorum(voters):
        sentence = f"{live} of {voters} voters are proven alive and {quorum(voters)} are needed"
        return Refusal("QuorumLost", sentence, "Send no removal: it would stay uncommitted and make recovery harder")
    return _reason_in_minimum(view, policy, voters - 1) if peer.voter else None


def _reason_in_minimum(view: ClusterView, policy: Policy, after: int) -> Refusal | None:
    """The playbook's own floor and the cluster's. Each refusal advises only what would let this removal through."""
    least, own = max(policy.min_voters, 1), view.autopilot.min_quorum if view.autopilot else None
    told, replacement = f"{after} voters would be left", "Add a replacement first"
    if own is not None and after < own:
        lower = f"lower it on the cluster: {_product(view)} operator autopilot set-config -min-quorum={after}"
        too = f", and the playbook's min_voters is {least}" if after < least else ""
        sentence = f"{told} and the cluster's own minimum, autopilot's MinQuorum, is {own}{too}"
        return Refusal("BelowMinimumVoters", sentence, f"{replacement}, or {lower}{' (and min_voters)' if too else ''}")
    if after < least:
        by_param = policy.min_voters_param and after >= policy.min_voters_lowest
        lower = (
            f"run again with --param {policy.min_voters_param}={after}"
            if by_param
            else f"write min_voters: {after} in its guards"
        )
        sentence = f"{told} and the playbook's min_voters is {least}"
        return Refusal("BelowMinimumVoters", sentence, f"{replacement}, or {lower}")
    if own is None:
        why = view.autopilot_trouble or "no look has asked for it"
        sentence = f"the cluster's own minimum of voters, autopilot's MinQuorum, could not be read: {why}"
        override = f"--override {CLUSTER_MINIMUM} --reason TEXT"
        advice = f"Mend that; or, where {after} voters are surely enough for this cluster, run again with {override}"
        return Refusal(MINIMUM_UNREAD, sentence, advice)
    return None


def _product(view: ClusterView) -> str:
    """The command that administers it: an adapter's name begins with the product's."""
    return view.cluster.partition(":")[0]


def reason_in_budget(policy: Policy, changes_so_far: int) -> Refusal | None:
    """Whether the run may make one more change of any kind."""
    if changes_so_far < policy.max_changes:
        return None
    sentence = f"this run has made {changes_so_far} changes and may make {policy.max_changes}"
    return Refusal("TooManyChanges", sentence, "Look at the cluster, then raise max_changes or run again")


def _is_alive(verdicts: Mapping[str, Verdict], peer: Peer) -> bool:
    verdict = verdicts.get(peer.id)
    return verdict is not None and verdict.liveness is Liveness.ALIVE
