"""``raft.remove_peer``: look, compare with the plan, guard, intent, act, look again. No other step removes a server.

One attempt and a resumed run are the same code: both begin with a look, and with what is known of an earlier intent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import Step, StepResult

if TYPE_CHECKING:
    from runbook.by_hand import HandView, Instruction
    from runbook.raft.model import ClusterView, Peer
    from runbook.raft.removal import Refusal
    from runbook.steps.context import StepContext

REMOVE_PEER = StepDeclaration(
    "raft.remove_peer",
    "Look, ask the guard again, write the intent, remove one peer, and look again until it is settled.",
    Effect.CHANGE,
    parameters=(Field("peer", "string", "id of the peer", required=True),),
    results=(Field("id", "string", "id of the peer"), Field("outcome", "string", "removed or already_gone")),
    observe="A look shows that the leader and every server that answers no longer list the peer.",
    shadow="The guards are asked as in a real run, and the removal takes effect in the shadow alone.",
    example="""\
- id: dead
  uses: raft.find_dead
- id: quorum
  uses: raft.check_quorum
  with: { remove: "${{ dead.peers }}" }
- id: remove
  for_each: quorum.removals    # one after the other, each looked at and guarded afresh
  uses: raft.remove_peer
  with: { peer: "${{ item.id }}" }
  retry: { times: 5, wait: 1s..30s, within: 6m, only_on: [no_leader, timeout, unavailable] }
""",
)


def remove_peer(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """One attempt. Nothing is asked for twice: what this run asked for before is settled first."""
    from runbook.removals import RemovalRequested
    from runbook.steps.raft import settling
    from runbook.steps.raft.declining import outlast_decline
    from runbook.steps.raft.looking import confirm, require_leader_configuration

    peer_id = arguments["peer"]
    if peer_id in context.state.gone:
        return StepResult(f"{context.name_of(peer_id)} was removed before", {"id": peer_id, "outcome": "removed"})
    for other in sorted(context.state.unsettled - {peer_id}):
        settling.settle_earlier_request(
            context, other
        )  # a playbook may go on after a failure, and still one at most is unsettled (I6)
    if peer_id in context.state.unsettled and settling.settle_earlier_request(context, peer_id):
        return StepResult(f"{context.name_of(peer_id)} removed", {"id": peer_id, "outcome": "removed"})
    view = outlast_decline(context, confirm(context, {peer_id}))
    context.acquire(view)
    for other in sorted(context.state.still_listed - context.state.gone - {peer_id}):
        if require_leader_configuration(view).peer(other) is None:
            settling.record_vanished(context, other)
    peer = require_leader_configuration(view).peer(peer_id)
    if peer is None:
        return settling.record_vanished(context, peer_id)
    _guard(context, view, peer)
    if context.permit(context, *_question(context, view, peer)):
        return remove_peer(context, arguments)  # a person took their time: all is looked at and asked again
    intent = (
        context.step,
        peer.id,
        peer.address,
        peer.label,
        len(require_leader_configuration(view).voters) - peer.voter,
    )
    return settling.remove_and_settle(context, peer, RemovalRequested(*intent), view.taken_at + settling.FRESH)


def _question(context: StepContext, view: ClusterView, peer: Peer) -> tuple[str, frozenset[str]]:
    """Names every server that was proven to go, as the answer is for all of them; and their ids."""
    from runbook.steps.raft.looking import require_leader_configuration

    planned = context.state.plan_basis.removals if context.state.plan_basis else frozenset()
    going = [peer, *(other for other in require_leader_configuration(view).peers if other.id in planned - {peer.id})]
    names = ", ".join(f"{each.label} ({each.address})" for each in going)
    before, less = len(require_leader_configuration(view).voters), sum(each.voter for each in going)
    question = f"Remove {names} from {context.cluster.name}: {before} -> {before - less} voters?"
    return question, frozenset(each.id for each in going)


def _guard(context: StepContext, view: ClusterView, peer: Peer) -> None:
    from runbook.errors import RefusedError
    from runbook.steps.raft.looking import reason_against_removal

    context.hold(context, REMOVE_PEER.name, peer)
    reason = (
        _reason_in_plan(context, view, peer)
        or _reason_in_decline(context, view)
        or reason_against_removal(context, view, peer, changes_so_far=len(context.state.asked - {peer.id}))
    )
    if reason is not None:
        raise RefusedError(reason)


def _reason_in_plan(context: StepContext, view: ClusterView, peer: Peer) -> Refusal | None:
    from runbook.raft.plan_basis import refusal_if_plan_is_stale
    from runbook.raft.removal import Refusal

    basis = context.state.plan_basis
    if basis is None or peer.id not in basis.removals:
        return Refusal("NotPlanned", "no raft.check_quorum has proven this removal", "Put one before this step")
    return refusal_if_plan_is_stale(basis, view)


def _reason_in_decline(context: StepContext, view: ClusterView) -> Refusal | None:
    from runbook.raft.removal import refusal_if_worse
    from runbook.steps.raft.looking import count_voters

    start = context.state.before.margin if context.state.before else None
    return refusal_if_worse(start, count_voters(view).margin) if context.policy.never_worse else None


def remove_by_hand(view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """One block to paste, which looks before it removes."""
    from runbook.raft import removal_by_hand

    yield from removal_by_hand.remove_by_hand(view, str(arguments["peer"]))


STEPS = (Step(REMOVE_PEER, remove_peer, remove_by_hand),)
