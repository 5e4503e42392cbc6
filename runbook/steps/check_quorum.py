"""``raft.check_quorum``: walk through the removals on the last look, and refuse at the first that is not safe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from runbook.raft.model import ClusterView, Peer
from runbook.raft.plan_basis import plan_basis_of, plan_basis_to_dict
from runbook.raft.quorum import quorum
from runbook.steps.base import StepResult
from runbook.steps.context import RefusedError, StepContext, led, reason_against
from runbook.steps.looking import confirm
from runbook.steps.trouble import unexpected


def run(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """The removals in safe order: non-voters cannot hurt, then peers gossip has forgotten, then failed ones."""
    if not arguments["remove"]:
        return StepResult("nothing to remove", {"removals": [], "plan_basis": None})
    wanted = {_id_of(item) for item in arguments["remove"]}
    view = context.state.looks[-1] if context.state.looks else confirm(context, wanted)
    configuration = led(view)
    order = sorted((p for p in configuration.peers if p.id in wanted), key=lambda p: (p.voter, p.name is not None))
    basis = plan_basis_of(view, wanted)
    lines = []
    for place, peer in enumerate(order):
        reason = reason_against(context, view, peer, changes_so_far=place)
        if reason is not None:
            raise RefusedError(reason)
        view = replace(view, configuration=led(view).without(peer.id))
        lines.append(_line(peer, view))
    items = [{"id": p.id, "address": p.address, "name": p.label, "voter": p.voter} for p in order]
    return StepResult("\n".join(lines), {"removals": items, "plan_basis": plan_basis_to_dict(basis)})


def _id_of(item: Any) -> str:
    """A list may come from a person's own params."""
    if isinstance(item, Mapping) and isinstance(item.get("id"), str):
        return str(item["id"])
    raise unexpected("remove holds something that is no peer with an id", "Give it the peers of raft.find_dead")


def _line(peer: Peer, after: ClusterView) -> str:
    voters = len(led(after).voters)
    why = "gossip has no member for it" if peer.name is None else "gossip still has a member for it, which stays failed"
    return f"without {peer.label}: {voters} voters, quorum {quorum(voters)}; to be removed by id ({why})"
