"""``raft.check_quorum``: walk through the removals on the last look, and refuse at the first that is not safe."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from runbook.raft.model import ClusterView, Peer
from runbook.raft.quorum import quorum
from runbook.raft.removal import Policy, reason_unsafe_to_remove
from runbook.steps.base import Context, Output, RefusedError, led


def run(context: Context, arguments: dict[str, Any]) -> tuple[str, Output]:
    """The removals in safe order: non-voters cannot hurt, then peers gossip has forgotten, then failed ones."""
    if not arguments["remove"]:
        return "nothing to remove", {"removals": []}
    if not context.memory.looks:  # then nothing is confirmed, and the refusal will say so
        context.memory.looks.append(context.look())
    view = context.memory.looks[-1]
    configuration = led(view)
    context.memory.planned = configuration
    wanted = {item["id"] for item in arguments["remove"]}
    order = sorted((p for p in configuration.peers if p.id in wanted), key=lambda p: (p.voter, p.name is not None))
    lines = []
    for place, peer in enumerate(order):
        reason = reason_unsafe_to_remove(view, context.verdicts(), peer, _policy(context, place))
        if reason is not None:
            raise RefusedError(reason)
        view = replace(view, configuration=led(view).without(peer.id))
        lines.append(_line(peer, view))
    items = [{"id": p.id, "address": p.address, "name": p.label, "voter": p.voter} for p in order]
    return "\n".join(lines), {"removals": items}


def _policy(context: Context, already: int) -> Policy:
    return replace(context.policy, max_changes=context.policy.max_changes - already)


def _line(peer: Peer, after: ClusterView) -> str:
    voters = len(led(after).voters)
    return f"without {peer.label}: {voters} voters, quorum {quorum(voters)}"
