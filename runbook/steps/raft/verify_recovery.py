"""``raft.verify_recovery``: the survivors of a lost quorum have a leader, and list each other and nobody left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runbook.errors import unexpected
from runbook.label import Label
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import Step, StepResult
from runbook.steps.raft.plan_recovery import CONFIRMED
from runbook.steps.raft.recovery_by_hand import follow_plan

if TYPE_CHECKING:
    from runbook.raft.model import ClusterView
    from runbook.steps.context import StepContext

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
        view = context.look()
        return bool(_returned(view, plan)) or _agree(view, plan) or None

    if wait(context.clock, agreed, every=lambda *_: PAUSE, within=within, successes=arguments["successes"]) is None:
        what = f"the survivors have no leader, or do not agree, after {within:g} s"
        raise ClusterError(
            ErrorKind.TIMEOUT, what, "Read the log of each: did it read peers.json? Then resume this run"
        )
    view = context.state.looks[-1]
    watched = [{key: row[key] for key in WATCHED} for row in plan["left_out"] if row["may_return"]]
    if watched:
        context.emit(LeftOutListed(context.step, tuple(sorted(view.identities)), tuple(watched)))
    if returned := _returned(view, plan):
        what = f"{', '.join(returned)}, which was left out, has come back with its old data and joined the new cluster"
        next_action = "Stop it on its host, disable it, move its Raft folder aside and remove it; then resume this run"
        raise unexpected(f"{what}: what it alone held is overwritten", next_action)
    _refuse_unread_files(plan)
    leader = view.configuration.peer(view.leader_id or "") if view.configuration else None
    voters = len(view.configuration.voters) if view.configuration else 0
    keep_out = [row["name"] for row in watched]
    lines = [f"{leader.label if leader else 'a server'} leads {voters} voters, and all survivors agree"]
    if keep_out:
        names = ", ".join(keep_out)
        lines.append(f"KEEP OUT, until its Raft folder was moved aside as {plan['path']} says: {names}")
        lines.append(
            "runbook check is CRITICAL where one is back, until runbook ack --left-out NAME says it is kept out"
        )
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


def _returned(view: ClusterView, plan: Mapping[str, Any]) -> list[str]:
    """The names of those left out that the new leader has taken in again, as gossip shows them to it."""
    listed = {peer.id for peer in view.configuration.peers} if view.configuration and view.leader_id else set()
    if not {row["id"] for row in plan["starts"]} <= listed:
        return []
    return [row["name"] for row in plan["left_out"] if row["id"] in listed]


def _refuse_unread_files(plan: Mapping[str, Any]) -> None:
    from runbook.hosts.host import open_host

    for row in plan["starts"]:
        host = open_host(row["host"])
        path = f"{host.spec.data_folder}/{plan['raft_folder']}/peers.json"
        if host.kind_of(path) != "nothing":
            raise unexpected(f"{host.spec.label}: {path} is still there, so it was not read", "Read the server's log")


STEPS = (Step(VERIFY_RECOVERY, verify_recovery, follow_plan),)
