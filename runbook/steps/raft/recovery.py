"""A lost quorum whose recovery is planned: agreed to (``raft.confirm_recovery``), done by peers.json
(``raft.write_peers``), and seen to be done (``raft.verify_recovery``).
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
    from runbook.raft.model import ClusterView
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
    """Raises StepError where the server runs, and where the folder is not one that the file would be read in."""
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
        host.write_file(path, plan["peers_json"], mode=MODE, like=info)
    return StepResult(f"{host.spec.label}: {path}", output)


VERIFY_RECOVERY = StepDeclaration(
    "raft.verify_recovery",
    "Hold that the survivors have a leader, that all of them list each other and nobody who was left out, and that "
    "each has read its peers.json. Where a server reads it as it is unsealed, somebody must do that meanwhile.",
    Effect.READ,
    parameters=(
        Field("plan", "map", "the result of raft.confirm_recovery", required=True),
        Field("within", "duration", "how long it may take, once nobody waits for a key", default=180.0, min=0),
        Field("unseal_within", "duration", "how long those who unseal may take", default=1800.0, min=0),
        Field("successes", "int", "how many looks in a row must show it", default=3, min=1, max=100),
    ),
    results=(
        Field("voters", "int", "voters now"),
        Field("leader", "string", "the leader's name"),
        Field("keep_out", "list", "the names of servers that may come back with their old data"),
    ),
    observe="It changes nothing.",
    shadow="It is told that it would be looked at.",
    example=CONFIRMED
    + """\
- uses: raft.verify_recovery        # after they were stopped, given the file and started
  with: { plan: "${{ confirmed }}" }
""",
)

PAUSE = 1.0  # seconds between two looks
WATCHED = ("id", "name", "address", "ground")  # of a server left out


def verify_recovery(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Raises ClusterError where it is not so in time, and StepError where a file was not read."""
    from runbook.clock import wait
    from runbook.cluster_events import LeftOutListed
    from runbook.errors import ClusterError, ErrorKind

    if context.dry_run:
        told = "would look for a leader, and that all survivors agree"
        return StepResult(told, {}, Label.UNKNOWN, context.left(arguments["within"]))
    plan = arguments["plan"]
    _wait_for_keys(context, plan, context.left(arguments["unseal_within"]))
    within = context.left(arguments["within"])

    def agreed() -> bool | None:
        return _agree(context.look(), plan) or None

    if wait(context.clock, agreed, every=lambda *_: PAUSE, within=within, successes=arguments["successes"]) is None:
        what = f"the survivors have no leader, or do not agree, after {within:g} s"
        raise ClusterError(
            ErrorKind.TIMEOUT, what, "Read the log of each: did it read peers.json? Then resume this run"
        )
    view = context.state.looks[-1]
    _refuse_unread_files(plan)
    leader = view.configuration.peer(view.leader_id or "") if view.configuration else None
    voters = len(view.configuration.voters) if view.configuration else 0
    watched = [{key: row[key] for key in WATCHED} for row in plan["left_out"] if row["may_return"]]
    keep_out = [row["name"] for row in watched]
    lines = [f"{leader.label if leader else 'a server'} leads {voters} voters, and all survivors agree"]
    if keep_out:
        names = ", ".join(keep_out)
        lines.append(f"KEEP OUT, until its Raft folder was moved aside as {plan['path']} says: {names}")
        lines.append(
            "runbook check is CRITICAL where one is back, until runbook ack --left-out NAME says it is kept out"
        )
        context.emit(LeftOutListed(context.step, tuple(sorted(view.identities)), tuple(watched)))
    output = {"voters": voters, "leader": leader.label if leader else None, "keep_out": keep_out}
    return StepResult("\n".join(lines), output)


def _wait_for_keys(context: StepContext, plan: Mapping[str, Any], within: float) -> None:
    """Until none of the survivors is sealed. Each that is is named with the command, whenever it is another one."""
    from runbook.clock import wait
    from runbook.errors import ClusterError, ErrorKind
    from runbook.events import Waiting

    survivors = {row["id"] for row in plan["starts"]}
    told: list[str] = []

    def unsealed() -> bool | None:
        view = context.look()
        sealed = [v for v in view.vantages if v.waits_for is not None and v.expected_id in (None, *survivors)]
        words = "; ".join(f"{said.url} waits for {said.waits_for}. {said.settled_by}" for said in sealed)
        if words and [words] != told:
            told[:] = [words]
            context.emit(Waiting(context.step, round(within, 1), words))
        return None if sealed else True

    if wait(context.clock, unsealed, every=lambda *_: PAUSE, within=within) is None:
        raise ClusterError(ErrorKind.TIMEOUT, f"after {within:g} s {told[0]}", "Unseal it, then resume this run")


def _agree(view: ClusterView, plan: Mapping[str, Any]) -> bool:
    """Every survivor answers, and each holds the leader's configuration, with all of them in it and nobody left out."""
    if view.configuration is None or view.leader_id is None:
        return False
    survivors = {row["id"] for row in plan["starts"]}
    left_out = {row["id"] for row in plan["left_out"]}
    held = {v.server_id: v.configuration for v in view.answering if v.configuration is not None}
    listed = {peer.id for peer in view.configuration.peers}
    if not survivors <= held.keys() or not survivors <= listed or listed & left_out:
        return False
    return all(held[each].fingerprint == view.configuration.fingerprint for each in survivors)


def _refuse_unread_files(plan: Mapping[str, Any]) -> None:
    from runbook.hosts.host import open_host

    for row in plan["starts"]:
        host = open_host(row["host"])
        path = f"{host.spec.data_folder}/{plan['raft_folder']}/peers.json"
        if host.kind_of(path) != "nothing":
            raise unexpected(f"{host.spec.label}: {path} is still there, so it was not read", "Read the server's log")


STEPS = (
    Step(CONFIRM_RECOVERY, confirm_recovery, follow_plan),
    Step(WRITE_PEERS, write_peers, follow_plan),
    Step(VERIFY_RECOVERY, verify_recovery, follow_plan),
)
