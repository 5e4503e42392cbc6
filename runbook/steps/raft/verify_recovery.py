"""``raft.verify_recovery``: a leader, all survivors agree, the file is consumed; and who has to be kept out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import Step, StepResult

if TYPE_CHECKING:
    from runbook.raft.model import ClusterView
    from runbook.steps.context import StepContext

VERIFY_RECOVERY = StepDeclaration(
    "raft.verify_recovery",
    "Hold that the survivors have a leader, that all of them list each other and nobody who was left out, and that "
    "each has read its peers.json.",
    Effect.READ,
    parameters=(
        Field("plan", "map", "the result of raft.confirm_recovery", required=True),
        Field("within", "duration", "how long it may take", default=180.0, min=0),
        Field("successes", "int", "how many looks in a row must show it", default=3, min=1, max=100),
    ),
    results=(
        Field("voters", "int", "voters now"),
        Field("leader", "string", "the leader's name"),
        Field("keep_out", "list", "the names of servers that may come back with their old data"),
    ),
    observe="It changes nothing.",
    shadow="It is told that it would be looked at.",
    example="""\
- id: left
  uses: raft.collect_survivors
- id: plan
  uses: raft.plan_recovery
  with: { collected: "${{ left }}" }
- id: confirmed
  uses: raft.confirm_recovery
  with: { plan: "${{ plan }}" }
- uses: raft.verify_recovery        # after they were stopped, given the file and started
  with: { plan: "${{ confirmed }}" }
""",
)

PAUSE = 1.0  # seconds between two looks


def verify_recovery(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Raises ClusterError where it is not so in time, and StepError where a file was not read."""
    from runbook.clock import wait
    from runbook.errors import ClusterError, ErrorKind

    if context.dry_run:
        return StepResult("would look for a leader, and that all survivors agree", {})
    plan, within = arguments["plan"], context.left(arguments["within"])

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
    keep_out = [row["name"] for row in plan["left_out"] if row["may_return"]]
    lines = [f"{leader.label if leader else 'a server'} leads {voters} voters, and all survivors agree"]
    if keep_out:
        names = ", ".join(keep_out)
        lines.append(f"KEEP OUT, until its Raft folder was moved aside as {plan['path']} says: {names}")
    output = {"voters": voters, "leader": leader.label if leader else None, "keep_out": keep_out}
    return StepResult("\n".join(lines), output)


def _agree(view: ClusterView, plan: Mapping[str, Any]) -> bool:
    """Every survivor answers, and each holds the leader's configuration, with all of them in it and nobody left out."""
    if view.configuration is None or view.leader_id is None:
        return False
    survivors = {row["id"] for row in plan["survivors"]}
    left_out = {row["id"] for row in plan["left_out"]}
    held = {v.server_id: v.configuration for v in view.answering if v.configuration is not None}
    listed = {peer.id for peer in view.configuration.peers}
    if not survivors <= held.keys() or not survivors <= listed or listed & left_out:
        return False
    return all(held[each].fingerprint == view.configuration.fingerprint for each in survivors)


def _refuse_unread_files(plan: Mapping[str, Any]) -> None:
    from runbook.errors import unexpected
    from runbook.steps.host_map import open_host

    for row in plan["survivors"]:
        host = open_host(row["host"])
        path = f"{host.spec.data_folder}/{plan['raft_folder']}/peers.json"
        if host.kind_of(path) != "nothing":
            raise unexpected(f"{host.spec.label}: {path} is still there, so it was not read", "Read the server's log")


STEPS = (Step(VERIFY_RECOVERY, verify_recovery),)
