"""``raft.plan_recovery``: how a lost quorum is recovered, or why it may not be. It changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from runbook.errors import RefusedError
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import Step, StepResult
from runbook.steps.raft.recovery_by_hand import follow_plan

if TYPE_CHECKING:
    from runbook.raft.lost_quorum import RecoveryEvidence
    from runbook.raft.lost_quorum_plan import RecoveryPlan
    from runbook.steps.context import StepContext

PLANNED = """\
- id: left
  uses: raft.collect_survivors
- id: plan
  uses: raft.plan_recovery
  with: { collected: "${{ left }}" }
"""
CONFIRMED = f"""{PLANNED}\
- id: confirmed
  uses: raft.confirm_recovery
  with: {{ plan: "${{{{ plan }}}}" }}
"""
"""How the examples of the steps after these begin."""
METHOD_FIELDS = (
    Field("method", "string", "peers.json, or force-new-cluster of etcd", choices=("peers.json", "force-new-cluster")),
    Field("starts", "list", "who is started with its own data", items=("id", "address", "name", "host")),
    Field("anew", "list", "who joins them as an empty member", items=("id", "address", "name", "host")),
)
PLAN_RECOVERY = StepDeclaration(
    "raft.plan_recovery",
    "Decide whether and how the survivors of a lost quorum are recovered. Who is seen nowhere to be gone is asked for "
    "by name, one at a time, at the terminal; --yes is no answer to that.",
    Effect.READ,
    parameters=(
        Field("collected", "map", "the result of raft.collect_survivors", required=True),
        Field("confirm_for", "duration", "how long nobody may lead and nobody come back", default=30.0, min=0),
    ),
    results=(
        Field("survivors", "list", "who goes on, the furthest log first", items=("id", "address", "name", "host")),
        Field(
            "left_out",
            "list",
            "who does not, and on what ground",
            items=("id", "name", "address", "ground", "may_return"),
        ),
        *METHOD_FIELDS,
        Field("peers_json", "string", "the file's text, the same for all; empty where none is written"),
        Field("raft_folder", "string", "where it belongs, below the data folder"),
        Field(
            "copied_folder", "string", "what is to be copied aside before, below the data folder; empty for all of it"
        ),
        Field("losses", "list", "what may be lost, in sentences"),
        Field("named", "list", "the ids of the servers that a person has named as lost"),
        Field("can_act", "bool", "whether there is a host for each survivor"),
        Field("path", "string", "the plan as a file, with the commands for each host"),
        Field("sha256", "string", "the digest of that file, which those sign who approve it"),
    ),
    observe="It changes nothing.",
    shadow="It is decided as in a real run, and nobody is asked: who would be named at the terminal is told.",
    example=PLANNED
    + """\
- uses: log.message
  with: { text: "the plan is ${{ plan.path }}" }    # commands to paste, host by host
""",
)

PLAN_FILE = "recovery-plan.txt"
OF_A_HOST = ("host", "command", "config")
SENTENCE = "If {name} still runs, what it accepted since the cut will be lost without a word. {seen}. Type its name:"


def make_recovery_plan(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Raises RefusedError with the first reason against it."""
    import hashlib

    from runbook.files import replace_file
    from runbook.raft.lost_quorum_text import format_plan, format_summary

    collected, confirm_for = arguments["collected"], arguments["confirm_for"]
    evidence = gather_evidence(context, collected, confirm_for, frozenset())
    asked = _ask_for_names(context, evidence)
    named = frozenset(asked)
    if asked:  # a person took their time
        evidence = gather_evidence(context, collected, confirm_for, named)
    plan = plan_or_refuse(replace(evidence, named=named))
    _refuse_others(plan, collected)
    path = context.folder / PLAN_FILE
    text = ("\n".join(format_plan(plan)) + "\n").encode()
    replace_file(path, text)
    lines = [*format_summary(plan), f"The whole plan, with the commands for each host: {path}"]
    if context.dry_run:
        lines += [f"would ask a person to name {name} as lost" for name in asked.values()]
    hosts = {row["id"]: {key: row.get(key) for key in OF_A_HOST} for row in collected["survivors"]}
    record = plan.record()
    survivors = [{**row, **hosts[row["id"]]} for row in record["survivors"]]
    output = {
        **record,
        "survivors": survivors,
        **{key: [row for row in survivors if row["id"] in record[key]] for key in ("starts", "anew")},
        "raft_folder": plan.files.raft,
        "copied_folder": plan.files.copied,
        "like": plan.files.like,
        "named": sorted(named),
        "can_act": all(row["host"] for row in survivors),
        "confirm_for": confirm_for,
        "collected": collected,
        "path": str(path),
        "sha256": hashlib.sha256(text).hexdigest(),
    }
    return StepResult("\n".join(lines), output)


def _refuse_others(plan: RecoveryPlan, collected: Mapping[str, Any]) -> None:
    """Raises RefusedError where the survivors are not those whose hosts were looked at."""
    from runbook.raft.removal import Refusal

    ids = {row["id"] for row in collected["survivors"]}
    moved = [one.peer.label for one in plan.survivors if one.peer.id not in ids]
    if moved or len(plan.survivors) != len(ids):
        sentence = f"{len(ids)} servers answered when they were collected, and {len(plan.survivors)} answer now"
        raise RefusedError(Refusal("SurvivorsMoved", sentence, "Run it again, as the hosts of all must be looked at"))


def _ask_for_names(context: StepContext, evidence: RecoveryEvidence) -> dict[str, str]:
    """The ids and names of those whom a person has named.

    Asked only where nothing else is in the way, and each below the sentence that says what may be lost.
    """
    from runbook.raft.lost_quorum import SILENCE, plan_recovery, unproven_in
    from runbook.raft.removal import Refusal

    made = plan_recovery(evidence)
    if not isinstance(made, Refusal) or made.code != SILENCE:
        return {}
    asked = {}
    for one in unproven_in(evidence):
        name = one.peer.label
        if context.choose(SENTENCE.format(name=name, seen=one.seen), (name.lower(),)):
            asked[one.peer.id] = name
    return asked


def plan_or_refuse(evidence: RecoveryEvidence) -> RecoveryPlan:
    """Raises RefusedError."""
    from runbook.raft.lost_quorum import plan_recovery
    from runbook.raft.removal import Refusal

    made = plan_recovery(evidence)
    if isinstance(made, Refusal):
        raise RefusedError(made)
    return made


def gather_evidence(
    context: StepContext, collected: Mapping[str, Any], confirm_for: float, named: frozenset[str]
) -> RecoveryEvidence:
    """Look until another look would not change what is decided, or the time for it is over."""
    from runbook.clock import wait
    from runbook.events import Waiting
    from runbook.raft.lost_quorum import BY_ANOTHER_LOOK, PATIENCE, pause_between_looks, plan_recovery
    from runbook.raft.removal import Refusal

    newest: list[RecoveryEvidence] = []

    def decided() -> bool | None:
        newest[:] = [evidence_of(context, collected, confirm_for, named)]
        made = plan_recovery(newest[0])
        return None if isinstance(made, Refusal) and made.code in BY_ANOTHER_LOOK else True

    def pause(waited: float, _held: int) -> float:
        left = round(max(0.0, confirm_for - waited), 1)
        told = "looking whether anybody leads or comes back"
        context.emit(Waiting(context.step, left, told, round(min(waited, confirm_for), 1), confirm_for))
        return pause_between_looks(confirm_for)

    wait(context.clock, decided, every=pause, within=context.left(confirm_for + PATIENCE))
    return newest[0]


def evidence_of(
    context: StepContext, collected: Mapping[str, Any], confirm_for: float, named: frozenset[str]
) -> RecoveryEvidence:
    """The looks of this process, with a new one, and what the hosts of those who do not answer say now."""
    from runbook.hosts.spec import host_spec
    from runbook.raft.lost_quorum import RecoveryEvidence
    from runbook.steps.raft.survivor_hosts import words_of_hosts

    told = [row["host"] for row in (*collected["left_out"], *collected["survivors"]) if row["host"]]
    words = words_of_hosts(context.look(), {host["server"]: host_spec(host["server"], host) for host in told})
    return RecoveryEvidence(tuple(context.state.looks), words, named, confirm_for)


STEPS = (Step(PLAN_RECOVERY, make_recovery_plan, follow_plan),)
