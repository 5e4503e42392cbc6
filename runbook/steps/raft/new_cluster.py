"""A lost quorum of etcd: one member begins a new cluster from its data (``raft.force_new_cluster``), and the others
join it empty, one after the other (``raft.join_empty``): docs/servers/etcd.md#when-quorum-is-lost-in-etcd.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runbook.errors import unexpected
from runbook.hosts.spec import HOST
from runbook.label import Label
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import Step, StepResult
from runbook.steps.raft.plan_recovery import CONFIRMED
from runbook.steps.raft.recovery_by_hand import follow_plan
from runbook.text import is_known, shown

if TYPE_CHECKING:
    from runbook.hosts.once import OnceHost
    from runbook.steps.context import StepContext

PLAN = Field("plan", "map", "the result of raft.confirm_recovery", required=True)
FORCE_NEW_CLUSTER = StepDeclaration(
    "raft.force_new_cluster",
    "Start a stopped etcd member once with --force-new-cluster, on its own data and by its own command, and end it "
    "again: it is a cluster of its own then.",
    Effect.CHANGE,
    parameters=(HOST, PLAN, Field("within", "duration", "how long it may take", default=120.0, min=1, max=3600)),
    results=(Field("changed", "bool", "false where this run has done it before"),),
    observe="A file of this run beside the data folder says so, and it is never done twice.",
    shadow="It is told what would be started where.",
    example=CONFIRMED
    + """\
- for_each: confirmed.starts          # the one whose log is furthest; all survivors are stopped by then
  uses: raft.force_new_cluster
  with: { host: "${{ item.host }}", plan: "${{ confirmed }}" }
""",
)


def force_new_cluster(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Raises StepError where the server runs, or does not come to lead itself; RefusedError as raft.write_peers."""
    if context.dry_run:
        where = shown(arguments["host"]["server"]) if is_known(arguments["host"]) else "the furthest survivor"
        return StepResult(f"would start etcd once with --force-new-cluster on {where}", {}, Label.UNKNOWN)
    from runbook.hosts.process_command import process_command
    from runbook.steps.raft.joining import MODE, start_once
    from runbook.steps.raft.recovery import refuse_if_left_out_lives, require_confirmed

    plan, host, within = arguments["plan"], _stopped_host(context, arguments["host"]), context.left(arguments["within"])
    require_confirmed(context, plan)
    row = _row_of(plan, "starts", host)
    done = f"{host.spec.data_folder}.forced-{context.folder.name}"
    if host.kind_of(done) == "file":
        return StepResult(f"{host.spec.label}: it was done before, as {done} says", {"changed": False})
    refuse_if_left_out_lives(context, plan)
    start_once(host, process_command(row["command"]), row["config"], {"force-new-cluster": True}, within)
    host.write_file(done, "etcd began a new cluster here\n", mode=MODE, like=host.spec.data_folder)
    return StepResult(f"{host.spec.label}: it has begun a cluster of its own", {"changed": True})


JOIN_EMPTY = StepDeclaration(
    "raft.join_empty",
    "Move the data of a stopped etcd member aside, add it to the new cluster as a learner, start it empty, and make it "
    "a voter once it has copied all.",
    Effect.CHANGE,
    parameters=(HOST, PLAN, Field("within", "duration", "how long it may take", default=600.0, min=1, max=86400)),
    results=(
        Field("id", "string", "its new id"),
        Field("voters", "int", "voters now"),
    ),
    observe="The members of the cluster list it as a voter.",
    shadow="It is told who would join.",
    example=CONFIRMED
    + """\
- for_each: confirmed.anew            # once the new cluster was verified, one after the other
  uses: raft.join_empty
  with: { host: "${{ item.host }}", plan: "${{ confirmed }}" }
""",
)


def join_empty(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Raises StepError and ClusterError. Each part is left out where it is so already."""
    if context.dry_run:
        where = shown(arguments["host"]["server"]) if is_known(arguments["host"]) else "each other survivor"
        return StepResult(f"{where} would join as an empty member", {}, Label.UNKNOWN)
    from runbook.cluster.etcd.once import setting
    from runbook.hosts.host import Running
    from runbook.hosts.process_command import process_command
    from runbook.steps.raft.joining import add_as_learner, join_settings, settled_host, start_once, wait_for_vote
    from runbook.steps.raft.recovery import require_confirmed

    plan, host = arguments["plan"], settled_host(context, arguments["host"])
    require_confirmed(context, plan)
    row = _row_of(plan, "anew", host)
    command = process_command(row["command"])
    name, urls = (setting(command, row["config"], each) for each in ("name", "initial-advertise-peer-urls"))
    if not urls or not name:
        what = f"{host.spec.label}: it was started without name or initial-advertise-peer-urls"
        raise unexpected(what, "Add it by hand, as runbook recover plan says")
    context.look()  # so that a member is asked that answers
    member, listed = add_as_learner(context, tuple(urls.split(",")), arguments["within"])
    if host.service().running is not Running.RUNS:
        if listed[member].startswith("="):  # without a name: it never started
            aside = f"{host.spec.data_folder}/{plan['raft_folder']}"
            host.move_aside(aside, f"{aside}.before-{context.folder.name}")
            within = context.left(arguments["within"])
            start_once(host, command, row["config"], join_settings(listed, member, name), within)
        host.start()
    within = context.left(arguments["within"])
    _, configuration = wait_for_vote(context, host, lambda seen: seen.peer(member), within, added=True)
    voters = len(configuration.voters)
    return StepResult(f"{host.spec.label}: a voter, one of {voters}", {"id": member, "voters": voters})


def _stopped_host(context: StepContext, told: Any) -> OnceHost:
    """Raises StepError where the server runs."""
    from runbook.hosts.host import Running
    from runbook.steps.raft.joining import settled_host

    host = settled_host(context, told)
    state = host.service()
    if state.running is Running.RUNS:
        raise unexpected(f"{host.spec.label}: the server runs ({state.words})", "Stop every survivor first")
    return host


def _row_of(plan: Mapping[str, Any], part: str, host: OnceHost) -> Mapping[str, Any]:
    """What the plan has of this host's server, which must be one of this part of it. Raises StepError."""
    for row in plan[part]:
        if row["host"] and row["host"]["server"] == host.spec.server and row.get("command"):
            return dict(row)
    raise unexpected(f"{host.spec.label} is none of the plan's servers for this step", f"Give it each of {part}")


STEPS = (
    Step(FORCE_NEW_CLUSTER, force_new_cluster, follow_plan),
    Step(JOIN_EMPTY, join_empty, follow_plan),
)
