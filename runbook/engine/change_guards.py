"""The one place that is asked before any step changes anything: how many changes, whose cluster, how it stands, and a
person. Looking is not locking: a look is only compared with what is known, and nothing is held until a change is near.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import TYPE_CHECKING, TypeVar

from runbook.changes import ChangeBegun, ChangeUnsettled, Key
from runbook.cluster_events import ClusterClaimed
from runbook.engine.open_changes import without_process_number
from runbook.engine.services import AGREE_WITHIN, RunServices
from runbook.errors import ClusterError, ErrorKind, RefusedError, StepError, unexpected
from runbook.events import Approved
from runbook.label import Label
from runbook.playbook.approval_rule import ApprovalRule
from runbook.playbook.model import Playbook
from runbook.raft.diagnosis.findings import format_count
from runbook.raft.model import ClusterView, Peer
from runbook.raft.removal import Refusal, refusal_of_unattended, refusal_over_max_changes, refusal_to_change
from runbook.run_state import RunState
from runbook.shadow_events import labelled
from runbook.steps.context import Agreement, StepContext
from runbook.steps.raft.declining import outlast_decline
from runbook.steps.raft.looking import count_voters
from runbook.steps.raft.settling import FRESH

if TYPE_CHECKING:
    from runbook.engine.plan_hold import PlanHold

T = TypeVar("T")

CONFIRMS = "raft.confirm_recovery"
AT_ONCE = 1.0  # seconds an answer may take without what was seen before it growing old
NOT_KNOWN = (ErrorKind.AMBIGUOUS, ErrorKind.TIMEOUT)


class ChangeGuards:
    """Of one process of a run, for all of its steps. Everything raises :class:`RefusedError` for a no."""

    def __init__(self, services: RunServices, state: RunState, *, changes: bool) -> None:
        """``changes``: the playbook holds a step that may change something."""
        self._services = services
        self.state = state
        self.hold = _hold_of(services, state)
        self._signed: set[tuple[ApprovalRule, ...]] = set()  # the rules under which enough people have signed
        self._asking = set[str]()  # where the steps of playbooks within steps are that ask for signatures of their own
        self._lock = RLock()
        self._changes = changes
        self._held: frozenset[str] | None = None  # the peers of the cluster that this process holds; none is unknown
        self._met = False
        self._cool = False
        self._named: frozenset[str] | None = None  # who a person has agreed to see removed; none: nobody was asked

    def was_done(self, change: Key, done: frozenset[Key]) -> bool:
        """Whether a person has said so of what an earlier process began."""
        return (without_process_number(change[0]), change[1]) in done

    def observed(self, view: ClusterView) -> None:
        """A run that is resumed must meet the cluster that it began with, and one that may change it must find it free.

        This holds nothing.
        """
        peers = view.identities
        if not peers:
            return
        if self.state.peers and not self.state.peers & peers:
            sentence = "none of the peers that this run began with is in this configuration: it is another cluster"
            raise RefusedError(Refusal("AnotherCluster", sentence, "Point at the cluster that the run was made for"))
        if self._changes and not self._met:
            self._services.check_free(peers)
            self._services.check_permission()
            self._services.check_left_out(view)
            self._met = True

    def acquire(self, view: ClusterView) -> None:
        """Hold the cluster for this run: once, before its first change.

        Without a leader the servers still say which cluster it is, and that is enough. Where none answers any more, it
        is the one that this run has met.
        """
        peers = view.identities or self._peers_seen()
        if not self._changes or self._held or not peers:
            return
        self._services.acquire(peers)
        self._held = peers
        self._services.emit(ClusterClaimed(tuple(sorted(peers))))

    def _peers_seen(self) -> frozenset[str]:
        return next(filter(None, (look.identities for look in reversed(self.state.looks))), self.state.peers)

    def choose(self, question: str, answers: tuple[str, ...]) -> str | None:
        """A person's word, where no cool-down is in the way of what it is for: nobody types a name for nothing.

        What this run has asked for itself is settled whatever others did.
        """
        if self._changes and not self._cool and not self.state.unsettled:
            self._services.check_cooldown(self._held or self._peers_seen())
        return self._services.choose(question, answers)

    def enter(self, place: str, path: str, playbook: Playbook) -> None:
        """The playbook within the step at ``place`` must be what an earlier process of this run met there, and that of
        the plan. Raises StepError for the one and RefusedError for the other.
        """
        if self.state.entered.get(place, playbook.digest) != playbook.digest:
            raise unexpected(f"{path} is not what it was when this run began", "Run the playbook again")
        self.hold.enter(place, path, playbook.digest)
        if playbook.approval is not None:
            self._asking.add(f"{place}/")

    def change(self, context: StepContext, change: Key, uses: str, act: Callable[[], T], *, known: bool = True) -> T:
        """One attempt at a change that is no removal: the guards, the intent on record, and then the act.

        ``known``: nothing that it is made with waits for a step that a dry run does not do; else no plan holds it.
        """
        with self._lock:  # of those that are made beside each other none may count before another one is on record
            self.allow(context, change, uses)
            self._raise_if_the_look_is_old(context)
            context.left(float("inf"))
            begun = ChangeBegun(*change, uses)
            context.emit(begun if known else labelled(begun, Label.UNKNOWN))
        if context.dry_run:
            return act()
        try:
            return act()
        except Exception as error:
            if _leaves_unsettled(error):
                context.emit(ChangeUnsettled(*change, str(error)))
            raise

    def allow(self, context: StepContext, change: Key, uses: str) -> None:
        """The guards, and a person."""
        if context.policy.unattended:
            raise RefusedError(refusal_of_unattended(uses))
        self._ask_guards(context, change, uses)
        while self.permit(context, self._question(context, uses), frozenset()):
            self._ask_guards(context, change, uses)  # a person took their time

    def permit(self, context: StepContext, question: str, peers: frozenset[str]) -> bool:
        """The cool-down, the signatures, then once a person; again where a peer is to go that they have not read of.

        Whether that took time.
        """
        if self.state.refusal:
            sentence = f"this run was refused before ({self.state.refusal}), so it changes nothing more"
            raise RefusedError(Refusal("AfterRefusal", sentence, "Do by hand what is left to do"))
        self._services.check_held()
        if not self._cool:
            self._services.check_cooldown(self._held or frozenset())
            self._cool = True
        self._require_signatures(context)
        if self._named is not None and peers <= self._named and not self._services.step_by_step:
            self.hold.claim()
            return False
        began = self._services.clock.monotonic()
        agreed = self.agreed(question, context.left(AGREE_WITHIN))
        self._services.emit(Approved(context.step, agreed.who, agreed.how, question))
        self._named = (self._named or frozenset()) | peers
        self.hold.claim()
        return self._services.clock.monotonic() - began > AT_ONCE

    def _require_signatures(self, context: StepContext) -> None:
        """On the plan of this run, where the inventory or a playbook around the step asks for them; they are on record.

        Those on the recovery of a lost quorum were given within the run, on a plan of its own.
        """
        places = [place for place, uses in self.state.uses.items() if uses == CONFIRMS]
        if (
            not context.approvals
            or context.approvals in self._signed
            or any(self.state.steps.get(place) == "succeeded" and self._asked_alike(place, context) for place in places)
        ):
            return
        for agreed in self._services.check_approved(context.approvals):
            plan = f"the plan {self._services.plan.digest}" if self._services.plan else ""
            self._services.emit(Approved(context.step, agreed.who, agreed.how, plan))
        self._signed.add(context.approvals)

    def _asked_alike(self, confirmed: str, context: StepContext) -> bool:
        """Whether each playbook around the step that asks for signatures is around the one at this place too."""
        return all(confirmed.startswith(within) for within in self._asking if context.step.startswith(within))

    def agreed(self, sentence: str, seconds: float) -> Agreement:
        """Who said yes."""
        agreed = self._services.approve(sentence, seconds)
        if agreed is None:
            what = f'nobody agreed to "{sentence}"'
            raise RefusedError(Refusal("NotApproved", what, "Run it at a terminal and answer y, or with --yes"))
        return agreed

    # -- the guards of a change that is no removal

    def _ask_guards(self, context: StepContext, change: Key, uses: str) -> None:
        """The count first, which needs no cluster. A look is taken where the playbook states something of the cluster;
        and once for the lock of the cluster that this run points at, where there is one that can be read.
        """
        self.hold.allow(context, uses, None, change)
        _refuse(refusal_over_max_changes(context.policy, self.state.changes_beside(change)))
        if not context.policy.stated and self._met:
            if self.state.looks:
                self.acquire(self.state.looks[-1])
            return
        view = context.look()
        self._met = True
        self.acquire(view)
        if "never_worse" in context.policy.stated and view.configuration is not None:
            view = outlast_decline(context, view)
        numbers = count_voters(view) if view.configuration is not None else None
        start = self.state.before.margin if self.state.before else None
        _refuse(refusal_to_change(view, numbers, context.policy, start))

    def _raise_if_the_look_is_old(self, context: StepContext) -> None:
        """Where the guards were asked of one (I16): it is from before the person was asked, and from its beginning."""
        looks = self.state.looks if context.policy.stated else []
        if looks and self._services.clock.monotonic() - looks[-1].taken_at > FRESH:
            what = f"not begun: the look that its guards were asked of began more than {FRESH:g} s ago"
            raise ClusterError(ErrorKind.UNAVAILABLE, what, "Is the leader slow to answer? Resume this run later")

    def _question(self, context: StepContext, uses: str) -> str:
        where = f" for {self._services.cluster.name}" if self._held else ""
        most = format_count(context.policy.max_changes, "change")
        return f"Run step {context.step} ({uses}){where}? This run may make at most {most}"


class _NoHold:
    """Of a run that was begun without a plan."""

    def begin(self, context: StepContext) -> None:
        """Nothing is compared."""

    def enter(self, place: str, path: str, digest: str) -> None:
        """Whichever it is."""

    def allow(self, context: StepContext, uses: str, to: Peer | None, change: Key | None = None) -> None:
        """Whatever it is."""

    def claim(self) -> None:
        """There is none."""


def _hold_of(services: RunServices, state: RunState) -> PlanHold | _NoHold:
    if services.plan is None:
        return _NoHold()
    from runbook.engine.plan_hold import PlanHold

    return PlanHold(services, services.plan, state)


def _refuse(reason: Refusal | None) -> None:
    if reason is not None:
        raise RefusedError(reason)


def _leaves_unsettled(error: Exception) -> bool:
    """Whether nobody knows what it did: it was cut off, its answer was lost, or it broke as nobody foresaw."""
    if isinstance(error, StepError):
        return error.unsettled
    if isinstance(error, ClusterError):
        return error.kind in NOT_KNOWN
    return not isinstance(error, RefusedError)
