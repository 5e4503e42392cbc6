"""A run that is held to a plan: the world is compared with it before the first change and before each removal, and no
change is begun that the plan does not hold next.

Once the run has made a change that is no removal, the world has moved by its own hand: from then on the guards of the
steps alone judge it, and the plan still says which change may follow.
"""

from __future__ import annotations

from runbook.changes import Key
from runbook.clock import wait
from runbook.cluster_events import PlanHeld
from runbook.dataclass import dataclass
from runbook.engine.open_changes import without_process_number
from runbook.engine.services import RunServices
from runbook.errors import RefusedError
from runbook.events import Waiting
from runbook.plan_differences import Difference, differences, format_differences, vanished
from runbook.raft.model import ClusterView, Peer
from runbook.raft.removal import Refusal
from runbook.run_state import RunState
from runbook.saved_plan import REMOVES, PlannedRequest, SavedPlan, digest_of_words
from runbook.steps.context import StepContext
from runbook.steps.raft.looking import require_leader_configuration

PATIENCE = 30.0  # seconds for a look that shows the world of the plan: one may miss a server that lives
SURE_FOR = 3.0  # seconds over which looks must show a difference that none of them doubts
LOOK_EVERY = 1.0  # seconds
AGAIN = "Make a new plan, and have it approved where that is asked for"


class PlanHold:
    """Of one process of a run."""

    def __init__(self, services: RunServices, plan: SavedPlan, state: RunState) -> None:
        self._services, self._plan, self._state = services, plan, state
        self._allowed = self._claimed = False

    def begin(self, context: StepContext) -> None:
        """Compare the world with the plan, unless an earlier process has changed it by then. Raises RefusedError, and
        ClusterError where a leader was seen then and none is now.
        """
        plan = self._plan
        if self._state.asked or self._state.changes:
            return
        if plan.servers:
            self._refuse_other_world(context, plan, context.look())
        gone = vanished(plan, self._state.looks[-1]) if plan.servers else ()
        context.emit(PlanHeld(plan.digest, plan.created, plan.by, gone))

    def enter(self, place: str, path: str, digest: str) -> None:
        """Asked before the playbook at this path is run by the step at ``place``: where changes of the plan are made by
        it, it must be the one that the plan was made of, there. Raises RefusedError.
        """
        within = f"{without_process_number(place)}/"
        if not any(request.step.startswith(within) for request in self._plan.requests):
            return
        then = self._plan.playbooks.get(path)
        if then == digest:
            return
        was = f"{then[:12]}… in the plan" if then else "is none of the plan's playbooks"
        now = f"{path}, which step {place} runs, has the SHA-256 {digest[:12]}… now and"
        raise RefusedError(Refusal("PlanMoved", f"the playbook {now} {was}", AGAIN))

    def allow(self, context: StepContext, uses: str, to: Peer | None, change: Key | None = None) -> None:
        """Asked just before the guards of each change, ``to`` or of this peer. Raises RefusedError."""
        plan = self._plan
        if not self._state.changes and plan.servers:
            newest = self._state.looks[-1] if uses == REMOVES else context.look()
            self._refuse_other_world(context, plan, newest)
        key = change or (context.step, context.item)
        self._refuse_other_words(plan)
        self._refuse_other_request(plan, _Asked(without_process_number(key[0]), key[1], uses, to))
        self._allowed = True

    def claim(self) -> None:
        """Before the first change that it allows, once a person has agreed: nobody else executes this plan. Raises
        RefusedError.
        """
        if self._allowed and not self._claimed:
            self._services.claim_plan()
            self._claimed = True

    # -- which change

    def _refuse_other_words(self, plan: SavedPlan) -> None:
        """What a command or a request said as the plan was made is what the plan's changes are made with."""
        if self._services.dry_run and not self._services.run_reads:
            return
        for step in plan.steps:
            words = self._state.outputs.get(step.step)
            if step.said and words is not None and digest_of_words(words) != step.said:
                sentence = f"step {step.step} ({step.uses}) says something else than as the plan was made"
                raise RefusedError(Refusal("PlanMoved", sentence, AGAIN))

    def _refuse_other_request(self, plan: SavedPlan, meant: _Asked) -> None:
        wanted = next((each for each in plan.requests if meant.is_(each)), None)
        if wanted is None:
            held = f"it holds {len(plan.requests)}" if plan.requests else "it holds none"
            sentence = f"{meant} is no change that the plan holds; {held}, and nothing else is done by it"
            raise RefusedError(Refusal("NotInPlan", sentence, AGAIN))
        for earlier in plan.requests[: plan.requests.index(wanted)]:
            beside = earlier.step == wanted.step and earlier.uses != REMOVES  # items may be done beside each other
            if not beside and not self._is_over(earlier):
                sentence = f"{meant} is not next in the plan: {earlier} comes before it, and this run has not done that"
                raise RefusedError(Refusal("NotInPlan", sentence, AGAIN))

    def _is_over(self, request: PlannedRequest) -> bool:
        """Begun by this run, whatever came of it; or needless."""
        if request.uses == REMOVES:
            seen = self._state.looks[-1].best_configuration if self._state.looks else None
            listed = seen is None or seen.peer(request.peer) is not None
            return not listed or request.peer in self._state.asked | self._state.gone
        begun = {(without_process_number(change.step), change.item) for change in self._state.changes}
        return (without_process_number(request.step), request.item) in begun

    # -- which world

    def _refuse_other_world(self, context: StepContext, plan: SavedPlan, view: ClusterView) -> None:
        if plan.identities and view.identities and not view.identities & frozenset(plan.identities):
            sentence = f"none of the servers of the plan, which was made for {plan.cluster}, is in this configuration"
            raise RefusedError(Refusal("AnotherCluster", sentence, "Point at the cluster that the plan was made for"))
        found = self._lasting_differences(context, plan, view)
        if not found:
            return
        if plan.leader and self._state.looks[-1].leader_id is None:
            require_leader_configuration(self._state.looks[-1])
        sentence = f"since the plan was made ({plan.created}), {format_differences(found)}"
        raise RefusedError(Refusal("PlanMoved", sentence, AGAIN))

    def _lasting_differences(self, context: StepContext, plan: SavedPlan, view: ClusterView) -> tuple[Difference, ...]:
        """What looks go on to show. Nobody waits for long where no look could show anything else."""
        found = differences(plan, view, self._state.confirmed_off)
        if not found:
            return ()
        sure_since = view.taken_at if _sure(found) else None
        context.emit(Waiting(context.step, PATIENCE if sure_since is None else SURE_FOR, format_differences(found)))

        def settled() -> bool | None:
            nonlocal found, sure_since
            newest = context.look()
            found = differences(plan, newest, self._state.confirmed_off)
            if not _sure(found):
                sure_since = None
            elif sure_since is None:
                sure_since = newest.taken_at
            lasts = sure_since is not None and newest.taken_at - sure_since >= SURE_FOR
            return True if lasts or not found else None

        wait(context.clock, settled, every=lambda *_: LOOK_EVERY, within=context.left(PATIENCE))
        return found


def _sure(found: tuple[Difference, ...]) -> bool:
    """Whether one of them is enough, whatever becomes of the others."""
    return any(each.sure for each in found)


@dataclass(frozen=True)
class _Asked:
    """A change that a step is about to ask for."""

    step: str
    item: int | None
    uses: str
    to: Peer | None

    def is_(self, request: PlannedRequest) -> bool:
        """A removal by its peer, as who vanished has no turn in a list any more; anything else by its place."""
        if request.uses != self.uses or request.step != self.step:
            return False
        if self.uses == REMOVES:
            return self.to is not None and request.peer == self.to.id
        return request.item == self.item and (not request.peer or self.to is None or request.peer == self.to.id)

    def __str__(self) -> str:
        place = self.step if self.item is None else f"{self.step}.{self.item + 1}"
        if self.uses == REMOVES and self.to is not None:
            return f"the removal of {self.to.label} ({self.to.address}) by step {place}"
        return f"step {place} ({self.uses}{f' to {self.to.label}' if self.to else ''})"
