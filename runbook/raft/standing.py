"""May a step that is no removal change anything now? What the playbook states of the cluster, asked of one look.

Nobody knows what such a step does, so this judges how the cluster stands just before it, and not what it will become.
"""

from __future__ import annotations

from runbook.raft.model import ClusterView
from runbook.raft.quorum import Numbers
from runbook.raft.removal import Policy, Refusal


def reason_in_standing(
    view: ClusterView, numbers: Numbers | None, policy: Policy, margin_at_start: int | None
) -> Refusal | None:
    """``numbers`` are those of the leader's configuration in this look; nothing where it has no leader."""
    stated = " and ".join(sorted(policy.stated))
    if not stated:
        return None
    if numbers is None:
        sentence = f"the playbook states {stated}, and the cluster cannot be read: {view.trouble_text or view.trouble}"
        return Refusal("ClusterUnreadable", sentence, "runbook diagnose says why; mend that, then resume this run")
    if "min_voters" in policy.stated and numbers.live_voters < policy.min_voters:
        alive = f"{numbers.live_voters} of {numbers.voters} voters are proven alive"
        sentence = f"{alive} and the playbook's min_voters is {policy.min_voters}"
        return Refusal("BelowMinimumVoters", sentence, "Bring servers back, then resume this run")
    if "never_worse" in policy.stated and policy.never_worse:
        return reason_in_decline(margin_at_start, numbers.margin)
    return None


def reason_in_decline(margin_at_start: int | None, margin: int) -> Refusal | None:
    """What ``never_worse`` asks. Below quorum the failure tolerance stays 0, so it is the margin that is compared."""
    if margin_at_start is None or margin >= margin_at_start:
        return None
    sentence = f"failure tolerance fell from {max(0, margin_at_start)} to {max(0, margin)} during this run"
    if margin < 0:
        sentence = f"{margin_at_start - margin} voters went away during this run, and quorum lacks {-margin}"
    return Refusal("NeverWorse", sentence, "Find out which server went away before anything else is changed")
