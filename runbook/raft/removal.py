"""May this peer be removed now, and may any other step change anything? A refusal carries its numbers and the way on.

Nomad's removal call checks nothing (docs/servers/nomad.md#removal-checks-nothing), so this guard is *the* guard, asked
again just before each change.
"""

from __future__ import annotations

from collections.abc import Mapping

from runbook.dataclass import dataclass
from runbook.raft.liveness import Liveness, Verdict
from runbook.raft.model import ClusterView, Peer
from runbook.raft.quorum import VoterCounts, quorum, voters_in_contact

CLUSTER_MINIMUM = "cluster-minimum"  # the guard's name, by which a person sets it aside where it cannot be read
MINIMUM_UNREAD = "MinimumUnread"
BY_A_PERSON = "Look at the cluster, then run this at a terminal without unattended"
AUTOPILOT_COMMANDS = {
    "nomad": "nomad operator autopilot",
    "consul": "consul operator autopilot",
    "vault": "vault operator raft autopilot",
    "openbao": "bao operator raft autopilot",
}


@dataclass(frozen=True)
class Policy:
    """What the playbook allows: the fewest voters left, the most changes of one run, and whether a failure tolerance
    that has fallen since the run began forbids any more of them.

    ``min_voters_param`` is the param of the command line that ``min_voters`` is, if it is one, and
    ``min_voters_lowest`` the least that this param may be; ``max_changes_param`` is that of ``max_changes``.
    ``stated`` names those of ``min_voters`` and ``never_worse`` that a playbook has written: only these hold for
    changes that are no removals, which need no cluster.
    ``unattended``: nobody watches, so that only what is surely right, and can be taken back, is done.
    """

    min_voters: int = 3
    max_changes: int = 2
    never_worse: bool = True
    min_voters_param: str = ""
    min_voters_lowest: int = 1
    stated: frozenset[str] = frozenset()
    unattended: bool = False
    max_changes_param: str = ""


@dataclass(frozen=True)
class Refusal:
    """Why a guard says no: a stable code, the sentence with its numbers, and the next action."""

    code: str
    sentence: str
    next_action: str

    def __str__(self) -> str:
        return f"{self.sentence}. {self.next_action}"


def refusal_to_remove(
    view: ClusterView, verdicts: Mapping[str, Verdict], peer: Peer, policy: Policy, *, changes_so_far: int = 0
) -> Refusal | None:
    """The first reason against removing ``peer`` (I1, I2, I3), or None.

    Args:
        verdicts: the verdict on each peer, by its id.
        changes_so_far: changes that this run has made, of any kind.
    """
    if view.configuration is None or view.leader_id is None:
        return Refusal(
            "NoLeader",
            "the cluster has no leader, so no change can be made",
            "Start servers again until one is elected",
        )
    return (
        _refusal_for_target(view, verdicts, peer)
        or _refusal_for_quorum(view, verdicts, peer, policy)
        or (_refusal_unattended(view, verdicts[peer.id]) if policy.unattended else None)
        or refusal_over_max_changes(policy, changes_so_far)
    )


def _refusal_for_target(view: ClusterView, verdicts: Mapping[str, Verdict], peer: Peer) -> Refusal | None:
    if peer.id == view.leader_id:
        return Refusal(
            "TargetIsLeader", f"{peer.label} is the leader", "Stop it first, so that another server is elected"
        )
    verdict = verdicts.get(peer.id)
    if verdict is None or verdict.liveness is Liveness.UNKNOWN:
        why = "; ".join(verdict.evidence) if verdict else "no look has judged it"
        settled_by = verdict.settled_by if verdict else ""
        sentence = f"{peer.label} is not proven dead: {why}"
        return Refusal("TargetUnknown", sentence, settled_by or "Run runbook diagnose again in a minute")
    if verdict.liveness is Liveness.ALIVE:
        why = "; ".join(verdict.evidence)
        return Refusal("TargetAlive", f"{peer.label} is alive: {why}", "A living server is never removed")
    return None


def _refusal_unattended(view: ClusterView, verdict: Verdict) -> Refusal | None:
    """What a person would think about first: a removal that is final, and a silence that may be a cut or a pause."""
    name = verdict.peer.label
    if view.removal_is_final:
        kind = view.cluster.partition(":")[0]
        sentence = f"{name} could not come back to {kind} with its data, and an unattended run removes 0 such servers"
        return Refusal("UnattendedFinal", sentence, BY_A_PERSON)
    if verdict.lasting:
        sentence = (
            f"{name} may be cut off or paused ({verdict.evidence[0]}), and an unattended run removes 0 such servers"
        )
        return Refusal("UnattendedSilent", sentence, BY_A_PERSON)
    return None


def refusal_of_unattended(uses: str) -> Refusal:
    """Why a step that changes something else than who is a peer is not done where nobody watches."""
    sentence = f"an unattended run makes 1 removal and 0 other changes of a cluster, and {uses} is one"
    return Refusal("UnattendedChange", sentence, BY_A_PERSON)


def _refusal_for_quorum(
    view: ClusterView, verdicts: Mapping[str, Verdict], peer: Peer, policy: Policy
) -> Refusal | None:
    configured = view.configuration.voters if view.configuration else ()
    voters = len(configured)
    alive = {peer_id for peer_id, verdict in verdicts.items() if verdict.liveness is Liveness.ALIVE}
    live = len(voters_in_contact(view) & alive - {peer.id})
    if live < quorum(voters) and not view.quorum_proof:
        sentence = f"{live} of {voters} voters are proven alive and in contact with the leader, {quorum(voters)} needed"
        return Refusal("QuorumLost", sentence, "Send no removal: it would stay uncommitted and make recovery harder")
    return _refusal_for_minimum(view, policy, voters - 1) if peer.voter else None


def _refusal_for_minimum(view: ClusterView, policy: Policy, after: int) -> Refusal | None:
    """The playbook's own floor and the cluster's. Each refusal advises only what would let this removal through."""
    least, own = max(policy.min_voters, 1), view.autopilot.min_quorum if view.autopilot else None
    left, replacement = f"{after} voters would be left", "Add a replacement first"
    if own is not None and after < own:
        command = AUTOPILOT_COMMANDS.get(
            view.cluster.partition(":")[0], ""
        )  # an adapter's name begins with its product
        lower = f"lower it on the cluster: {command} set-config -min-quorum={after}"
        too = f", and the playbook's min_voters is {least}" if after < least else ""
        sentence = f"{left} and the cluster's own minimum, autopilot's MinQuorum, is {own}{too}"
        return Refusal("BelowMinimumVoters", sentence, f"{replacement}, or {lower}{' (and min_voters)' if too else ''}")
    if after < least:
        by_param = policy.min_voters_param and after >= policy.min_voters_lowest
        lower = (
            f"run again with --param {policy.min_voters_param}={after}"
            if by_param
            else f"set min_voters: {after} in its guards"
        )
        sentence = f"{left} and the playbook's min_voters is {least}"
        return Refusal("BelowMinimumVoters", sentence, f"{replacement}, or {lower}")
    if own is None:
        why = view.autopilot_error or "no look has read it"
        sentence = f"the cluster's own minimum of voters, autopilot's MinQuorum, could not be read: {why}"
        override = f"--override {CLUSTER_MINIMUM} --reason TEXT"
        advice = f"Fix that; or, if {after} voters are surely enough for this cluster, run again with {override}"
        return Refusal(MINIMUM_UNREAD, sentence, advice)
    return None


def refusal_over_max_changes(policy: Policy, changes_so_far: int) -> Refusal | None:
    """Whether the run may make one more change of any kind."""
    if changes_so_far < policy.max_changes:
        return None
    change = f"that would be change {changes_so_far + 1} of this run"
    if policy.unattended:
        return Refusal("TooManyChanges", f"{change}, and an unattended run makes {policy.max_changes}", BY_A_PERSON)
    name = policy.max_changes_param
    sentence = f"{change}, and its {f'param {name}' if name else 'guard max_changes'} is {policy.max_changes}"
    higher = f"give --param {name}={changes_so_far + 1}" if name else "raise max_changes"
    return Refusal("TooManyChanges", sentence, f"Check the cluster, then {higher} or run again")


def refusal_to_change(
    view: ClusterView, numbers: VoterCounts | None, policy: Policy, margin_at_start: int | None
) -> Refusal | None:
    """Why a step that removes no peer may not change anything now, by what the playbook states of the cluster.

    Nobody knows what such a step does, so this judges how the cluster stands just before it, and not what it will
    become. ``numbers`` are those of the leader's configuration in this look; None where it has no leader.
    """
    stated = " and ".join(sorted(policy.stated))
    if not stated:
        return None
    if numbers is None:
        sentence = f"the playbook states {stated}, and the cluster cannot be read: {view.error_text or view.error_kind}"
        return Refusal("ClusterUnreadable", sentence, "Run runbook diagnose, fix what it names, then resume this run")
    if "min_voters" in policy.stated and numbers.live_voters < policy.min_voters:
        alive = f"{numbers.live_voters} of {numbers.voters} voters are proven alive"
        sentence = f"{alive} and the playbook's min_voters is {policy.min_voters}"
        return Refusal("BelowMinimumVoters", sentence, "Start servers again, then resume this run")
    if "never_worse" in policy.stated and policy.never_worse:
        return refusal_if_worse(margin_at_start, numbers.margin)
    return None


def refusal_if_worse(margin_at_start: int | None, margin: int) -> Refusal | None:
    """What ``never_worse`` asks. Below quorum the failure tolerance stays 0, so it is the margin that is compared."""
    if margin_at_start is None or margin >= margin_at_start:
        return None
    sentence = f"failure tolerance fell from {max(0, margin_at_start)} to {max(0, margin)} during this run"
    if margin < 0:
        sentence = (
            f"quorum is lost: live voters fell by {margin_at_start - margin} during this run, {-margin} more needed"
        )
    return Refusal("NeverWorse", sentence, "Find out which server failed before anything else is changed")
