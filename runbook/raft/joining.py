"""Whether a new server may join: every voter must live, as a further one makes the quorum larger."""

from __future__ import annotations

from runbook.dataclass import dataclass
from runbook.raft.liveness import Liveness, judge_once
from runbook.raft.model import ClusterView
from runbook.raft.quorum import quorum, voters_in_contact
from runbook.raft.removal import Refusal

NOT_ALL_ALIVE = "NotAllAlive"


@dataclass(frozen=True)
class JoinProof:
    """All ``voters`` live and follow the leader; ``needed`` is the quorum once one more votes."""

    voters: int
    needed: int


def may_join(view: ClusterView) -> JoinProof | Refusal:
    """Prove by one look that a server may be added.

    A dead voter is removed first: while it is counted, each newcomer raises the number that must agree, and one that
    fails as it starts could cost the quorum.
    """
    configuration = view.configuration
    if configuration is None:
        return Refusal("NoLeader", "the cluster has no leader", "Add nobody: run runbook diagnose")
    voters, contact = configuration.voters, voters_in_contact(view)
    live = {p.id for p in voters if p.id in contact and judge_once(view, p).liveness is Liveness.ALIVE}
    if len(live) < len(voters):
        away = ", ".join(sorted(peer.label for peer in voters if peer.id not in live))
        sentence = (
            f"{len(live)} of {len(voters)} voters are alive and in contact with the leader, and with one more "
            f"{quorum(len(voters) + 1)} must agree"
        )
        return Refusal(NOT_ALL_ALIVE, sentence, f"Bring {away} back, or remove it, before a server is added")
    return JoinProof(len(voters), quorum(len(voters) + 1))
