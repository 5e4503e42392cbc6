"""A lost quorum of etcd: one member begins a new cluster from its data (``raft.force_new_cluster``), and the others
join it empty, one after the other (``raft.join_empty``): docs/servers/etcd.md#when-quorum-is-lost-in-etcd.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runbook.errors import ClusterError, ErrorKind, StepError, unexpected
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
PAUSE, SETTLE = 1.0, 700.0  # seconds between two looks, and for what an earlier process has begun on a host
MODE = "0600"


def force_new_cluster(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Raises StepError where the server runs, or does not come to lead itself."""
    if context.dry_run:
        where = shown(arguments["host"]["server"]) if is_known(arguments["host"]) else "the furthest survivor"
        return StepResult(f"would start etcd once with --force-new-cluster on {where}", {}, Label.UNKNOWN)
    from runbook.steps.raft.recovery import require_confirmed

    plan, host, within = arguments["plan"], _stopped_host(context, arguments["host"]), context.left(arguments["within"])
    require_confirmed(context, plan)
    row = _row_of(plan, "starts", host)
    done = f"{host.spec.data_folder}.forced-{context.folder.name}"
    if host.kind_of(done) == "file":
        return StepResult(f"{host.spec.label}: it was done before, as {done} says", {"changed": False})
    _start_once(host, row, {"force-new-cluster": True}, within)
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
    from runbook.cluster.port import adding
    from runbook.hosts.host import Running
    from runbook.hosts.process_command import process_command
    from runbook.steps.raft.recovery import require_confirmed

    plan, cluster, host = arguments["plan"], adding(context.cluster), _settled_host(context, arguments["host"])
    require_confirmed(context, plan)
    row = _row_of(plan, "anew", host)
    command = process_command(row["command"])
    name, urls = (setting(command, row["config"], each) for each in ("name", "initial-advertise-peer-urls"))
    if not urls or not name:
        what = f"{host.spec.label}: it was started without name or initial-advertise-peer-urls"
        raise unexpected(what, "Add it by hand, as runbook recover plan says")
    context.look()  # so that a member is asked that answers
    member, listed = cluster.add_learner(tuple(urls.split(",")), within=context.left(arguments["within"]))
    if host.service().running is not Running.RUNS:
        if listed[member].startswith("="):  # without a name: it never started
            aside = f"{host.spec.data_folder}/{plan['raft_folder']}"
            host.move_aside(aside, f"{aside}.before-{context.folder.name}")
            settings = {"initial-cluster": _initial_cluster(listed, member, name), "initial-cluster-state": "existing"}
            _start_once(host, row, settings, context.left(arguments["within"]))
        host.start()
    voters = _wait_for_vote(context, host, member, context.left(arguments["within"]))
    return StepResult(f"{host.spec.label}: a voter, one of {voters}", {"id": member, "voters": voters})


def _initial_cluster(listed: Mapping[str, str], member: str, name: str) -> str:
    """As etcd wants it of a member that starts for the first time: all of them, and itself by its own name."""
    return ",".join(
        ",".join(f"{name}{url}" for url in urls.split(",")) if each == member else urls for each, urls in listed.items()
    )


def _wait_for_vote(context: StepContext, host: OnceHost, member: str, within: float) -> int:
    """How many vote then. It is asked for again and again, as etcd refuses it until the learner has copied nearly all;
    and only for one that is seen alive: with the vote of one that is not, quorum would be lost again.
    """
    from runbook.clock import wait
    from runbook.cluster.port import adding
    from runbook.hosts.host import Running
    from runbook.raft.liveness import Liveness, judge_once

    cluster, why_not = adding(context.cluster), ["no member lists it"]

    def votes() -> int | None:
        view = context.look()
        peer = view.configuration.peer(member) if view.configuration else None
        if peer is None or view.configuration is None:
            return None
        if peer.voter:
            return len(view.configuration.voters)
        if judge_once(view, peer).liveness is not Liveness.ALIVE or host.service().running is not Running.RUNS:
            why_not[0] = "it is not seen alive"
            return None
        try:
            cluster.promote(member, within=context.left(within))
        except ClusterError as error:
            if error.kind not in (ErrorKind.UNAVAILABLE, ErrorKind.AMBIGUOUS, ErrorKind.TIMEOUT):
                raise
            why_not[0] = str(error)
        return None

    found = wait(context.clock, votes, every=lambda *_: PAUSE, within=within)
    if found is None:
        what = f"{host.spec.label}: the learner {member} has no vote after {within:g} s: {why_not[0]}"
        raise ClusterError(ErrorKind.TIMEOUT, what, "Read its log; then resume this run")
    return found


def _settled_host(context: StepContext, told: Any) -> OnceHost:
    """The host, once what a run that was killed has begun there is over: it ends by itself. Raises StepError."""
    from runbook.clock import wait
    from runbook.hosts.host import open_host
    from runbook.hosts.once import OnceHost

    host = OnceHost(open_host(told).spec)
    data = host.spec.data_folder

    def over() -> bool | None:
        return None if host.runs_once(data) else True

    if wait(context.clock, over, every=lambda *_: PAUSE, within=context.left(SETTLE)) is None:
        what = f"{host.spec.label}: a server is still being started once there, as {data}.once says"
        raise StepError(ErrorKind.TIMEOUT, what, "Look on that host; then resume this run")
    return host


def _stopped_host(context: StepContext, told: Any) -> OnceHost:
    """Raises StepError where the server runs."""
    from runbook.hosts.host import Running

    host = _settled_host(context, told)
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


def _start_once(host: OnceHost, row: Mapping[str, Any], settings: Mapping[str, Any], within: float) -> None:
    """As its owner, by its own command with these settings, until it has a leader."""
    from runbook.cluster.etcd.once import THERE, started_once
    from runbook.hosts.process_command import process_command

    command, data, path = process_command(row["command"]), host.spec.data_folder, f"{host.spec.data_folder}.once.yaml"
    once = started_once(command, row["config"], settings, path)
    if once.config is not None:
        host.write_file(path, once.config, mode=MODE, like=data)
    spare = path if once.config is not None else ""
    host.run_once(once.words, folder=command.folder, like=data, until_said=THERE, within=within, spare=spare)


STEPS = (
    Step(FORCE_NEW_CLUSTER, force_new_cluster, follow_plan),
    Step(JOIN_EMPTY, join_empty, follow_plan),
)
