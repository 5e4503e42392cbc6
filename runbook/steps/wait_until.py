"""``wait.until``: one look at the cluster, for ``until`` to hold its expression against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import StepResult

if TYPE_CHECKING:
    from runbook.steps.context import StepContext

DECLARATION = StepDeclaration(
    "wait.until",
    "Look at the cluster and say what is there. With until, every and within on the step it looks again and again.",
    Effect.READ,
    results=(
        Field("leader", "string", "the leader's name, or null where there is none"),
        Field("voters", "int", "voters in the configuration; 0 where no server answers"),
        Field("alive", "int", "how many of them are alive by this look"),
        Field("quorum", "int", "how many must agree"),
        Field("tolerance", "int", "how many more may fail"),
    ),
    observe="It changes nothing.",
    shadow="It looks once, for real, and does not wait.",
    example="""\
- id: cluster
  uses: wait.until          # one look; "until: result.leader != null" and "within: 1m" make it wait
- uses: assert
  with:
    that: "${{ cluster.alive >= cluster.quorum }}"
    else: "only ${{ cluster.alive }} of ${{ cluster.voters }} voters are alive"
""",
)


def run(context: StepContext, _arguments: dict[str, Any]) -> StepResult:
    """Never fails for a cluster that is ill: that is what is being waited for."""
    from runbook.raft.liveness import Liveness, judge_once
    from runbook.raft.quorum import failure_tolerance, quorum

    view = context.look()
    seen = view.best_configuration
    voters = seen.voters if seen else ()
    alive = sum(judge_once(view, peer).liveness is Liveness.ALIVE for peer in voters)
    leader = seen.peer(view.leader_id) if seen and view.leader_id else None
    output = {
        "leader": leader.label if leader else None,
        "voters": len(voters),
        "alive": alive,
        "quorum": quorum(len(voters)) if voters else 0,
        "tolerance": failure_tolerance(len(voters), alive) if voters else 0,
    }
    return StepResult(f"{alive} of {len(voters)} voters alive, leader {leader.label if leader else 'none'}", output)
