"""A plan for people: what it would do, why that is safe, what it was made on, and what nobody can foresee."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.printable import printable_line
from runbook.report.summary import LABEL_WIDTH
from runbook.report.times import format_moment, format_seconds
from runbook.saved_plan import PlannedRequest, SavedPlan

Row = tuple[str, str]


def format_plan(plan: SavedPlan, now: str) -> list[str]:
    """The changes first. ``now`` (ISO 8601) says whether its time is over."""
    rows = [*_origin(plan, now), *_changes(plan), *_cluster(plan), *_steps(plan), *_end(plan), ("digest", plan.digest)]
    return [printable_line(f"{label:<{LABEL_WIDTH}}{text}") for label, text in rows]


def _origin(plan: SavedPlan, now: str) -> Iterator[Row]:
    (path, digest), *within = plan.playbooks.items()
    yield "plan of", f"{path}, SHA-256 {digest[:12]}…"
    for each, sha256 in within:
        yield "which runs", f"{each}, SHA-256 {sha256[:12]}…"
    yield "for", f"{plan.cluster}{f' of {plan.inventory}' if plan.inventory else ''}"
    yield "made", f"{format_moment(plan.created)} UTC, by {plan.by}, in {plan.run}"
    over = " — ITS TIME IS OVER" if plan.expired(now) else ""
    yield "expires", f"{format_moment(plan.expires)} UTC{over}"
    for name, value in plan.params.items():
        yield "param", f"{name} = {value}"
    for rule in plan.approvals:
        yield "must be signed", f"by {rule}"


def _changes(plan: SavedPlan) -> Iterator[Row]:
    for number, request in enumerate(plan.requests, start=1):
        yield f"change {number}", f"{request}{_proof(request)}"
    if not plan.requests:
        yield "changes", "none"


def _proof(request: PlannedRequest) -> str:
    proof = request.proof
    if proof is None:
        return ""
    voters = f"{proof.voters_before} -> {proof.voters_after} voters"
    live = f"{proof.live_after} of them live and follow the leader"
    return f": {voters}, {proof.quorum_after} are a quorum, {live}, failure tolerance {proof.tolerance_after}"


def _cluster(plan: SavedPlan) -> Iterator[Row]:
    if not plan.servers:
        return
    term = "" if plan.term is None else f" in term {plan.term}"
    yield "leader", f"{plan.name_of(plan.leader)}{term}" if plan.leader else "nobody"
    if plan.quorum_proof:
        yield "quorum", f"proven: {plan.quorum_proof}"
    for server in plan.servers:
        kind = "" if server.voter else ", a non-voter"
        yield "server", f"{server.name} ({server.address}{kind}): {server.verdict}, {server.evidence}"


def _steps(plan: SavedPlan) -> Iterator[Row]:
    for step in plan.steps:
        first, *more = step.message.splitlines() or [""]
        uses = f" ({step.uses})" if step.uses else ""
        yield "step", f"{step.step}{uses}: {step.outcome}, {step.label}{f': {first}' if first else ''}"
        for line in more:
            yield "", line


def _end(plan: SavedPlan) -> Iterator[Row]:
    for step, why in plan.unknown.items():
        yield "not foreseen", f"{step}: {why}"
    for what, answer in plan.asked.items():
        yield f"asked: {what}", answer
    if plan.servers_after:
        yield "would list", ", ".join(plan.servers_after)
    waits = f", and up to {format_seconds(plan.waits)} more for what only the world can bring" if plan.waits else ""
    yield "would take", f"about {format_seconds(plan.seconds)}{waits}"
    yield "would end as", plan.outcome
