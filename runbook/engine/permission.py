"""What is asked before a step changes anything: how many changes, whose cluster, how it stands, and a person."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from runbook.changes import ChangeBegun, ChangeUnsettled, Key
from runbook.cluster.port import ClusterError, Trouble
from runbook.engine.world import AGREE_WITHIN, World
from runbook.events import Approved
from runbook.lock_events import ClusterClaimed
from runbook.progress import RunProgress
from runbook.raft.model import ClusterView
from runbook.raft.removal import Unsafe, reason_in_budget
from runbook.raft.standing import reason_in_standing
from runbook.steps.base import Agreement, Context, Memory, RefusedError, as_if_gone, counted
from runbook.steps.trouble import StepError

T = TypeVar("T")

AT_ONCE = 1.0  # seconds an answer may take without what was seen before it growing old
NOT_KNOWN = (Trouble.AMBIGUOUS, Trouble.TIMEOUT)


class Permission:
    """Of one process of a run, for all of its steps. Everything raises :class:`RefusedError` for a no."""

    def __init__(self, world: World, memory: Memory, past: RunProgress, *, changes: bool) -> None:
        """``changes``: the playbook holds a step that may change something."""
        self._world = world
        self._memory = memory
        self._past = past
        self._changes = changes
        self._looked = False
        self._held = False
        self._asked = False
        self._approved = False
        self._refusal: str | None = None
        self._named: frozenset[str] = frozenset()

    def made(self, context: Context, change: Key, uses: str, act: Callable[[], T]) -> T:
        """One attempt at a change that is no removal: the guards, the intent on record, and then the act."""
        self._ask_guards(context, change)
        while self.permit(context, self._question(context, uses), frozenset()):
            self._ask_guards(context, change)  # a person took their time
        if not context.dry_run:
            context.left(float("inf"))
            self._world.emit(ChangeBegun(*change, uses))
        self._memory.changes.add(change)
        try:
            return act()
        except Exception as error:
            if _leaves_unsettled(error) and not context.dry_run:
                self._world.emit(ChangeUnsettled(*change, str(error)))
            raise

    def permit(self, context: Context, question: str, peers: frozenset[str]) -> bool:
        """The cool-down, then once a person; again where a peer is to go that they have not read of.

        Whether that took time.
        """
        if self._refusal is not None:
            sentence = f"this run was refused before ({self._refusal}), so it changes nothing more"
            raise RefusedError(Unsafe("AfterRefusal", sentence, "Do by hand what is left to do"))
        if context.dry_run:
            return False
        if not self._asked:
            self._world.may_change()
            self._asked = True
        if self._approved and peers <= self._named:
            return False
        began = self._world.clock.monotonic()
        agreed = self.agreed(question, context.left(AGREE_WITHIN))
        self._world.emit(Approved(context.step, agreed.who, agreed.how))
        self._approved, self._named = True, self._named | peers
        return self._world.clock.monotonic() - began > AT_ONCE

    def refused(self, code: str) -> None:
        """A guard has said no. Only handlers come after it, and they may tell, but change nothing."""
        self._refusal = self._refusal or code

    def agreed(self, sentence: str, seconds: float) -> Agreement:
        """Who said yes."""
        agreed = self._world.approve(sentence, seconds)
        if agreed is None:
            what = f'nobody agreed to "{sentence}"'
            raise RefusedError(Unsafe("NotApproved", what, "Run it at a terminal and answer y, or with --yes"))
        return agreed

    def claim(self, peers: frozenset[str]) -> None:
        """A run that goes on must meet the cluster that it began with; one that may change it holds it for itself."""
        if self._past.peers and not self._past.peers & peers:
            sentence = "none of the peers that this run began with is in this configuration: it is another cluster"
            raise RefusedError(Unsafe("AnotherCluster", sentence, "Point at the cluster that the run was made for"))
        if not self._changes or self._world.dry_run:
            return
        if not self._held:
            self._world.claim(peers)
            self._held = True
            self._world.emit(ClusterClaimed(tuple(sorted(peers))))
        if self._asked:  # before anybody knew whose cluster it is, so about nobody's cool-down
            self._world.may_change()

    # -- the guards of a change that is no removal

    def _ask_guards(self, context: Context, change: Key) -> None:
        """The count first, which needs no cluster. A look is taken where the playbook states something of the cluster;
        and once for the lock of the cluster that this run points at, where there is one that can be read.
        """
        so_far = len(self._memory.changes - {change}) + len(self._memory.asked)
        _refuse(reason_in_budget(context.policy, so_far))
        if not context.policy.stated and (self._memory.claimed or self._looked or context.dry_run):
            return
        view = self._look(context)
        if context.dry_run and view.configuration is not None:
            view = as_if_gone(view, self._memory.gone)
        numbers = counted(view) if view.configuration is not None else None
        _refuse(reason_in_standing(view, numbers, context.policy, self._memory.margin_at_start))

    def _look(self, context: Context) -> ClusterView:
        """Without a leader the servers still say which cluster it is, and that is enough to hold it."""
        view = context.look()
        if not self._memory.claimed and view.best_configuration is not None:
            self.claim(frozenset(peer.id for peer in view.best_configuration.peers))
            self._memory.claimed = True
        self._looked = True
        return view

    def _question(self, context: Context, uses: str) -> str:
        where = f" for {self._world.cluster.name}" if self._memory.claimed else ""
        return f"Run step {context.step} ({uses}){where}?"


def _refuse(reason: Unsafe | None) -> None:
    if reason is not None:
        raise RefusedError(reason)


def _leaves_unsettled(error: Exception) -> bool:
    """Whether nobody knows what it did: it was cut off, its answer was lost, or it broke as nobody foresaw."""
    if isinstance(error, StepError):
        return error.unsettled
    if isinstance(error, ClusterError):
        return error.trouble in NOT_KNOWN
    return not isinstance(error, RefusedError)
