"""A lost quorum whose recovery is planned: agreed to (``raft.confirm_recovery``) and done by peers.json
(``raft.write_peers``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runbook.errors import RefusedError, unexpected
from runbook.hosts.spec import HOST
from runbook.label import Label
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import Step, StepResult
from runbook.steps.raft.plan_recovery import CONFIRMED, METHOD_FIELDS, PLANNED
from runbook.steps.raft.recovery_by_hand import follow_plan
from runbook.text import is_known, shown

if TYPE_CHECKING:
    from runbook.steps.context import StepContext

CONFIRM_RECOVERY = StepDeclaration(
    "raft.confirm_recovery",
    "Ask the person at the terminal to agree to a recovery by typing the cluster's name, then prove again that quorum "
    "is lost and that the plan still holds. --yes is no answer to that. Where the inventory or the playbook has "
    "approve:, others must have signed the plan too, by runbook approve.",
    Effect.READ,
    parameters=(
        Field("plan", "map", "the result of raft.plan_recovery", required=True),
        Field("approve_within", "duration", "how long those who must sign it may take", default=1800.0, min=0),
    ),
    results=(
        Field("survivors", "list", "who goes on, the furthest log first", items=("id", "address", "name", "host")),
        *METHOD_FIELDS,
        Field("peers_json", "string", "the file's text; empty where none is written"),
        Field("raft_folder", "string", "where it belongs, below the data folder"),
        Field(
            "copied_folder", "string", "what is to be copied aside before, below the data folder; empty for all of it"
        ),
    ),
    observe="It changes nothing; the agreement is in the record, with each key that signed.",
    shadow="Nobody is asked: the question and the signatures that are needed are told, and it is refused where nobody "
    "could be asked in a real run.",
    example=PLANNED
    + """\
- uses: raft.confirm_recovery
  with: { plan: "${{ plan }}" }       # its result is what host.service and raft.write_peers ask for
""",
)


def confirm_recovery(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Raises RefusedError where nobody agreed, or where it is not as it was planned any more."""
    from runbook.raft.removal import Refusal
    from runbook.steps.raft.approving import await_approvals, would_await_approvals
    from runbook.steps.raft.plan_recovery import gather_evidence, plan_or_refuse

    plan = arguments["plan"]
    if not plan["can_act"]:
        sentence = "nothing was done, as there is not a host for each survivor"
        next_action = f"Paste the commands of {plan['path']} on each, or give the hosts"
        raise RefusedError(Refusal("NoHosts", sentence, next_action))
    name = str(plan["cluster"])
    question = f"Recover {name} as the plan says ({plan['path']})? There is no way back but the copies. Type {name}:"
    if context.choose(question, (name.lower(),)) is None:
        sentence = f"nobody agreed to the recovery by typing {name}"
        raise RefusedError(Refusal("NotAgreed", sentence, "Run it at a terminal, with the plan read"))
    told, waits = f"agreed to by typing {name}", 0.0
    if context.dry_run:
        told = f"would ask: {question}"
    if context.approvals and context.dry_run:
        waits = context.left(arguments["approve_within"])
        told = f"{told}\n{would_await_approvals(context, plan['path'], waits)}"
    elif context.approvals:  # they may take their time, so all is looked at again after it
        told += f" and {await_approvals(context, plan['path'], plan['sha256'], arguments['approve_within'])}"
    named = frozenset(plan["named"])
    made = plan_or_refuse(gather_evidence(context, plan["collected"], plan["confirm_for"], named))
    if made.fingerprint != plan["fingerprint"]:
        sentence = "the survivors are not those of the plan any more"
        raise RefusedError(Refusal("PlanMoved", sentence, "Run it again, and read the new plan"))
    return StepResult(told if context.dry_run else f"{told}; it still is as planned", dict(plan), waits=waits)


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


def refuse_if_left_out_lives(context: StepContext, plan: Mapping[str, Any]) -> None:
    """Asked once more just before a survivor begins anew: the copies may have taken long. Raises RefusedError (I16)."""
    from runbook.raft.model import Reach
    from runbook.raft.removal import Refusal

    survivors = {row["address"] for row in plan["survivors"]}
    names = {row["address"]: row["name"] for row in plan["left_out"] if row["address"] not in survivors}
    reached = context.cluster.probe(names)
    back = [name for address, name in names.items() if reached.get(address) is Reach.ACCEPTED]
    if not back:
        return
    sentence = f"no survivor begins anew without {', '.join(back)}: the Raft port accepts connections again"
    file = "" if plan["method"] != "peers.json" else f"Delete {plan['raft_folder']}/peers.json where it was written. "
    next_action = f"{file}Start the survivors that were stopped; quorum may come back by itself: run runbook diagnose"
    raise RefusedError(Refusal("QuorumMayReturn", sentence, next_action))


def refuse_first_start(context: StepContext, plan: Mapping[str, Any]) -> None:
    """Asked once more before the first survivor reads its file: where the run was killed and resumed, hours may lie
    between. Once one of them runs the others follow it. Raises RefusedError (I16).
    """
    from runbook.raft.model import Reach

    require_confirmed(context, plan)
    survivors = {row["address"] for row in plan["survivors"]}
    if plan["method"] == "peers.json" and Reach.ACCEPTED not in context.cluster.probe(survivors).values():
        refuse_if_left_out_lives(context, plan)


def require_confirmed(context: StepContext, plan: Mapping[str, Any]) -> None:
    """Raises StepError for a plan that no raft.confirm_recovery of this run has confirmed."""
    state = context.state
    places = [place for place, uses in state.uses.items() if uses == CONFIRM_RECOVERY.name]
    confirmed = [_what_is_done(state.outputs[place]) for place in places if place in state.outputs]
    if _what_is_done(plan) not in confirmed:
        raise unexpected("no raft.confirm_recovery of this run has confirmed this plan", "Give it that step's result")


def _what_is_done(plan: Mapping[str, Any]) -> list[Any]:
    """Of a plan: all that the steps after it go by."""
    return [plan.get(key) for key in ("fingerprint", "peers_json", "starts", "anew")]


WRITE_PEERS = StepDeclaration(
    "raft.write_peers",
    "Write the peers.json of a confirmed plan on the host of a stopped survivor: whole, on disk, with the right owner.",
    Effect.CHANGE,
    parameters=(
        HOST,
        Field("plan", "map", "the result of raft.confirm_recovery; what is in the file stands there", required=True),
    ),
    results=(
        Field("path", "string", "where the file is, on that host"),
        Field("changed", "bool", "false where it was so already"),
    ),
    observe="The file on that host holds exactly this text.",
    shadow="Nothing is written; where it would be is told.",
    example=CONFIRMED
    + """\
- for_each: confirmed.survivors
  uses: raft.write_peers              # on every survivor, before any of them is started
  with: { host: "${{ item.host }}", plan: "${{ confirmed }}" }
""",
)

MODE = "0640"


def write_peers(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Raises StepError where the server runs, and where the folder is not one that the file would be read in; and
    RefusedError where somebody who was left out is back.
    """
    if context.dry_run:
        where = shown(arguments["host"]["server"]) if is_known(arguments["host"]) else "each survivor"
        return StepResult(f"would write peers.json on the host of {where}", {}, Label.UNKNOWN)
    from runbook.hosts.host import Running, open_host

    plan, host = arguments["plan"], open_host(arguments["host"])
    require_confirmed(context, plan)
    raft = f"{host.spec.data_folder}/{plan['raft_folder']}"
    path, info = f"{raft}/peers.json", f"{raft}/{plan['like']}"
    state = host.service()
    if state.running is Running.RUNS:
        raise unexpected(f"{host.spec.label}: the server runs ({state.words})", "Stop every survivor first")
    if host.kind_of(info) != "file":
        raise unexpected(f"{host.spec.label}: there is no {info}", "Correct data_folder")
    output = {"path": path, "changed": host.read_file(path) != plan["peers_json"]}
    if output["changed"]:
        refuse_if_left_out_lives(context, plan)
        host.write_file(path, plan["peers_json"], mode=MODE, like=info)
    return StepResult(f"{host.spec.label}: {path}", output)


STEPS = (
    Step(CONFIRM_RECOVERY, confirm_recovery, follow_plan),
    Step(WRITE_PEERS, write_peers, follow_plan),
)
