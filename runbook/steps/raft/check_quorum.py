"""``raft.check_quorum``: walk through the removals on the last look, and refuse at the first that is not safe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from runbook.errors import RefusedError, unexpected
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import PEER_FIELDS, Step, StepResult

if TYPE_CHECKING:
    from runbook.by_hand import HandView, Instruction
    from runbook.raft.model import ClusterView, Peer
    from runbook.steps.context import StepContext

CHECK_QUORUM = StepDeclaration(
    "raft.check_quorum",
    "Prove that these peers may be removed one after the other, or refuse with the numbers.",
    Effect.READ,
    parameters=(Field("remove", "list", "the peers to remove", required=True),),
    results=(
        Field("removals", "list", "the removals in their safe order", items=PEER_FIELDS),
        Field("plan_basis", "map", "what they were planned on: leader, term, peers, removals"),
    ),
    observe="It changes nothing.",
    shadow="It is decided as in a real run.",
    example="""\
- id: dead
  uses: raft.find_dead
- id: quorum
  uses: raft.check_quorum   # refuses with the numbers where it is not safe
  with: { remove: "${{ dead.peers }}" }
""",
)


def check_quorum(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """The removals in safe order: non-voters cannot hurt, then peers gossip has forgotten, then failed ones."""
    from runbook.raft.plan_basis import plan_basis_of, plan_basis_to_dict
    from runbook.steps.raft.looking import (
        confirm,
        prove_quorum,
        reason_against_removal,
        require_leader_configuration,
    )

    if not arguments["remove"]:
        return StepResult("nothing to remove", {"removals": [], "plan_basis": None})
    wanted = {_id_of(item) for item in arguments["remove"]}
    view = prove_quorum(context, context.state.looks[-1]) if context.state.looks else confirm(context, wanted)
    configuration = require_leader_configuration(view)
    order = sorted((p for p in configuration.peers if p.id in wanted), key=lambda p: (p.voter, p.name is not None))
    basis = plan_basis_of(view, configuration, wanted)
    lines = []
    for place, peer in enumerate(order):
        reason = reason_against_removal(context, view, peer, changes_so_far=place)
        if reason is not None:
            raise RefusedError(reason)
        view = replace(view, configuration=require_leader_configuration(view).without(peer.id))
        lines.append(_format_removal(peer, view))
    items = [{"id": p.id, "address": p.address, "name": p.label, "voter": p.voter} for p in order]
    return StepResult("\n".join(lines), {"removals": items, "plan_basis": plan_basis_to_dict(basis)})


def _id_of(item: Any) -> str:
    """A list may come from a person's own params."""
    if isinstance(item, Mapping) and isinstance(item.get("id"), str):
        return str(item["id"])
    raise unexpected("remove holds something that is no peer with an id", "Give it the peers of raft.find_dead")


def _format_removal(peer: Peer, after: ClusterView) -> str:
    from runbook.raft.quorum import quorum
    from runbook.steps.raft.looking import require_leader_configuration

    voters = len(require_leader_configuration(after).voters)
    why = "gossip has no member for it" if peer.name is None else "gossip still has a member for it, which stays failed"
    if after.removal_is_final:
        why = "it cannot come back with its data"
    return f"without {peer.label}: {voters} voters, quorum {quorum(voters)}; to be removed by id ({why})"


def count_by_hand(view: HandView, _arguments: dict[str, Any]) -> Iterator[Instruction]:
    """The numbers."""
    from runbook.by_hand import Instruction
    from runbook.raft import removal_by_hand

    yield Instruction(
        "Count the voters, and those of them that are alive. The living must be more than half of all voters, now and "
        "after each removal; take out one at a time, and never the leader. If they are not, remove nobody: start "
        "servers again with their data.",
        removal_by_hand.look_by_hand(view),
    )


STEPS = (Step(CHECK_QUORUM, check_quorum, count_by_hand),)
