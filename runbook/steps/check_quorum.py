"""``raft.check_quorum``: walk through the removals on the last look, and refuse at the first that is not safe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from runbook.raft.model import ClusterView, Peer
from runbook.raft.quorum import quorum
from runbook.raft.removal import Fence, fence_of
from runbook.steps.base import Context, Output, RefusedError, led, reason_against
from runbook.steps.looking import confirm
from runbook.steps.trouble import unexpected


def run(context: Context, arguments: dict[str, Any]) -> tuple[str, Output]:
    """The removals in safe order: non-voters cannot hurt, then peers gossip has forgotten, then failed ones."""
    if not arguments["remove"]:
        return "nothing to remove", {"removals": [], "fence": None}
    wanted = {_id_of(item) for item in arguments["remove"]}
    view = context.memory.looks[-1] if context.memory.looks else confirm(context, wanted)
    configuration = led(view)
    order = sorted((p for p in configuration.peers if p.id in wanted), key=lambda p: (p.voter, p.name is not None))
    context.memory.fence = None  # what is refused here is proven nowhere
    fence = fence_of(view, wanted)
    lines = []
    for place, peer in enumerate(order):
        reason = reason_against(context, view, peer, changes_so_far=place)
        if reason is not None:
            raise RefusedError(reason)
        view = replace(view, configuration=led(view).without(peer.id))
        lines.append(_line(peer, view))
    items = [{"id": p.id, "address": p.address, "name": p.label, "voter": p.voter} for p in order]
    context.memory.fence = fence
    return "\n".join(lines), {"removals": items, "fence": _written(fence)}


def _id_of(item: Any) -> str:
    """A list may come from a person's own params."""
    if isinstance(item, Mapping) and isinstance(item.get("id"), str):
        return str(item["id"])
    raise unexpected("remove holds something that is no peer with an id", "Give it the peers of raft.find_dead")


def _written(fence: Fence) -> Output:
    """As the journal keeps it, for a run that is resumed; :func:`fence_from` reads it."""
    peers, removals = [list(entry) for entry in sorted(fence.peers)], sorted(fence.removals)
    return {"leader": fence.leader, "term": fence.term, "peers": peers, "removals": removals}


def fence_from(written: Mapping[str, Any] | None) -> Fence | None:
    """What :func:`run` left in its output."""
    if written is None:
        return None
    peers = frozenset((str(entry[0]), str(entry[1]), bool(entry[2])) for entry in written["peers"])
    return Fence(written["leader"], written["term"], peers, frozenset(written["removals"]))


def _line(peer: Peer, after: ClusterView) -> str:
    voters = len(led(after).voters)
    why = "gossip has no member for it" if peer.name is None else "gossip still has a member for it, which stays failed"
    return f"without {peer.label}: {voters} voters, quorum {quorum(voters)}; to be removed by id ({why})"
