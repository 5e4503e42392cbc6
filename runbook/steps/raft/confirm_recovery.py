"""``raft.confirm_recovery``: a person agrees to the plan by the cluster's name, and then all is looked at again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runbook.errors import RefusedError, unexpected
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import Step, StepResult

if TYPE_CHECKING:
    from runbook.steps.context import StepContext

CONFIRM_RECOVERY = StepDeclaration(
    "raft.confirm_recovery",
    "Ask the person at the terminal to agree to a recovery by typing the cluster's name, then prove again that quorum "
    "is lost and that the plan still holds. --yes is no answer to that.",
    Effect.READ,
    parameters=(Field("plan", "map", "the result of raft.plan_recovery", required=True),),
    results=(
        Field("survivors", "list", "who goes on, the furthest log first", items=("id", "address", "name", "host")),
        Field("peers_json", "string", "the file's text"),
        Field("raft_folder", "string", "where it belongs, below the data folder"),
    ),
    observe="It changes nothing; the agreement is in the record.",
    shadow="Nobody is asked; the question is told.",
    example="""\
- id: left
  uses: raft.collect_survivors
- id: plan
  uses: raft.plan_recovery
  with: { collected: "${{ left }}" }
- uses: raft.confirm_recovery
  with: { plan: "${{ plan }}" }       # its result is what host.service and raft.write_peers ask for
""",
)


def confirm_recovery(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Raises RefusedError where nobody agreed, or where it is not as it was planned any more."""
    from runbook.raft.removal import Refusal
    from runbook.steps.raft.plan_recovery import gather_evidence, plan_or_refuse

    plan = arguments["plan"]
    if not plan["can_act"]:
        sentence = "nothing was done, as there is not a host for each survivor"
        next_action = f"Paste the commands of {plan['path']} on each, or give the hosts"
        raise RefusedError(Refusal("NoHosts", sentence, next_action))
    name = str(plan["cluster"])
    question = f"Recover {name} as the plan says ({plan['path']})? There is no way back but the copies. Type {name}:"
    if context.dry_run:
        return StepResult(f"would ask: {question}", dict(plan))
    if context.choose(question, (name.lower(),)) is None:
        sentence = f"nobody agreed to the recovery by typing {name}"
        raise RefusedError(Refusal("NotAgreed", sentence, "Run it at a terminal, with the plan read"))
    named = frozenset(plan["named"])
    made = plan_or_refuse(gather_evidence(context, plan["collected"], plan["confirm_for"], named))
    if made.text != plan["peers_json"]:
        sentence = "the survivors are not those of the plan any more"
        raise RefusedError(Refusal("PlanMoved", sentence, "Run it again, and read the new plan"))
    return StepResult(f"agreed to by typing {name}; it still is as planned", dict(plan))


def refuse_unless_still_lost(context: StepContext, plan: Mapping[str, Any]) -> None:
    """Asked once more just before a survivor is stopped, by one look. Raises RefusedError (I16)."""
    from runbook.raft.liveness import shows_life
    from runbook.raft.lost_quorum import left_out_of, survivors_of
    from runbook.raft.removal import Refusal

    require_confirmed(context, plan)
    view = context.look()
    known = {row["id"] for row in plan["survivors"]}
    living = survivors_of(view)
    strangers = [peer.label for peer in living if peer.id not in known]
    lively = [p.label for p in left_out_of(view, living) if p.id not in known and shows_life(view, p)]
    leads = view.leader_id is not None or any(vantage.state == "Leader" for vantage in view.answering)
    if not (leads or strangers or lively):
        return
    what = "there is a leader" if leads else f"{', '.join(strangers + lively)} shows life"
    sentence = f"this survivor is not stopped: {what}, so quorum may come back by itself"
    raise RefusedError(
        Refusal("QuorumMayReturn", sentence, "Run runbook diagnose; start the survivors that were stopped")
    )


def require_confirmed(context: StepContext, plan: Mapping[str, Any]) -> None:
    """Raises StepError for a plan that no raft.confirm_recovery of this run has confirmed."""
    state = context.state
    places = [place for place, uses in state.uses.items() if uses == CONFIRM_RECOVERY.name]
    confirmed = [state.outputs[place].get("peers_json") for place in places if place in state.outputs]
    if plan.get("peers_json") not in confirmed:
        raise unexpected("no raft.confirm_recovery of this run has confirmed this plan", "Give it that step's result")


STEPS = (Step(CONFIRM_RECOVERY, confirm_recovery),)
