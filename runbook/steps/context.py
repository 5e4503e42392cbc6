"""What a step is given, and the two ways in which it ends early. Steps never log: they emit events or return data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

from runbook.clock import NO_DEADLINE, Clock, Deadline
from runbook.cluster.port import Cluster, ClusterError, Trouble
from runbook.events import Emit, Looked
from runbook.raft.diagnosis.diagnose import diagnose
from runbook.raft.liveness import Liveness, judge_once
from runbook.raft.model import AutopilotSettings, ClusterView, Configuration, Peer
from runbook.raft.quorum import VoterCounts, quorum
from runbook.raft.removal import CLUSTER_MINIMUM, MINIMUM_UNREAD, Policy, Refusal, refusal_to_remove
from runbook.run_state import RunState
from runbook.steps.trouble import StepError, StepTrouble

Choose = Callable[[str, tuple[str, ...]], "str | None"]  # one of these answers, by the person at the terminal
Ask = Callable[[str, float], "Agreement"]  # to this sentence within these seconds; RefusedError where nobody did
SetAside = Callable[[str, str], bool]  # whether a person has set the guard of this name aside, refusal and all


class RefusedError(Exception):
    """A guard said no; the act it guards was not done. Refused is not failed."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(str(reason))
        self.reason = reason


@dataclass(frozen=True)
class Agreement:
    """A person's yes. ``how``: at the terminal, or beforehand by --yes."""

    who: str
    how: str

    def __str__(self) -> str:
        return f"{self.who}, {self.how}"


@dataclass(frozen=True)
class StepContext:
    """What a step may touch, and what it may know of its run.

    ``observed`` is told of every look: it raises :class:`RefusedError` where this run has nothing to do with that
    cluster, or another run has it. ``acquire`` holds the cluster, just before a change. ``permit`` is asked after it,
    when all guards have allowed the change: it may refuse, or ask a person, who reads this sentence and, by it, which
    peers (their ids) will go. It says whether that took time, so that what was seen before is no longer news.

    ``choose`` puts a question to the person at the terminal: one of the answers, or ``None`` where there is no
    terminal, no answer in time, or another one. ``set_aside`` is asked before a guard refuses, and puts on record that
    it does not. ``reads`` says that the playbook declares this step to change nothing, so that a dry run may do it.
    """

    cluster: Cluster
    clock: Clock
    emit: Emit
    folder: Path
    step: str
    policy: Policy
    dry_run: bool
    state: RunState
    deadline: Deadline = NO_DEADLINE
    reads: bool = False
    observed: Callable[[ClusterView], None] = lambda _view: None
    acquire: Callable[[ClusterView], None] = lambda _view: None
    permit: Callable[[StepContext, str, frozenset[str]], bool] = lambda _context, _question, _peers: False
    choose: Choose = lambda _question, _answers: None
    set_aside: SetAside = lambda _guard, _refusal: False
    ask: Ask | None = None

    def left(self, seconds: float) -> float:
        """``seconds``, or what is left before the step's own end. Raises :class:`StepError` when nothing is."""
        left = min(seconds, self.deadline.at - self.clock.monotonic())
        if left <= 0:
            what = f"the time of step {self.deadline.step or self.step} is over"
            raise StepError(StepTrouble.TIMEOUT, what, "Give it a longer timeout")
        return left

    def look(self) -> ClusterView:
        """One look within the step's time, as an event. Whatever it is for, a sign of life in it counts against every
        later verdict.
        """
        view = self.cluster.look(within=self.left(inf))
        self.emit(_looked(self.step, view))
        self.observed(view)
        return view

    def name_of(self, peer_id: str) -> str:
        """As the run has met it; a peer that is gone is in no new look."""
        return self.state.names.get(peer_id, peer_id)


def led(view: ClusterView) -> Configuration:
    """The leader's configuration. Without one there is no changing call at all: the way out is named."""
    if view.configuration is not None:
        return view.configuration
    nobody_knows = view.best_configuration is None  # then a proxy may have spoken, and counting says nothing
    if view.trouble not in (Trouble.NO_LEADER.value, Trouble.UNAVAILABLE.value) or nobody_knows:
        raise ClusterError(Trouble(view.trouble or "unreachable"), view.trouble_text or "the cluster did not answer")
    raise ClusterError(*_without_leader(view))


def _without_leader(view: ClusterView) -> tuple[Trouble, str, str]:
    """Out of sight is not gone: to start servers again, or peers.json, would be the wrong advice."""
    parted = next((finding for finding in diagnose(view) if finding.name == "MinorityPartition"), None)
    if parted is not None:
        return Trouble.QUORUM_LOST, f"{parted.name} ({parted.certainty.value}): {parted.sentence}", parted.next_action
    seen = view.best_configuration
    voters = seen.voters if seen else ()
    live = sum(judge_once(view, peer).liveness is Liveness.ALIVE for peer in voters)
    if not voters or live >= quorum(len(voters)):
        what = f"there is no leader, though {live} of {len(voters)} voters answer"
        return Trouble.NO_LEADER, what, "Wait for an election and run again"
    missing = [p.label for p in voters if judge_once(view, p).liveness is not Liveness.ALIVE]
    lacking = quorum(len(voters)) - live
    start = f"Start {', '.join(missing)}" if len(missing) <= lacking else f"Start {lacking} of {', '.join(missing)}"
    what = f"quorum is lost: {live} of {len(voters)} voters answer and {quorum(len(voters))} are needed"
    return (
        Trouble.QUORUM_LOST,
        what,
        (
            f"Send no removal. {start} again with {'its' if len(missing) == 1 else 'their'} data; "
            "only if their disks are lost, recover with peers.json on the survivors"
        ),
    )


def as_if_gone(view: ClusterView, gone: Iterable[str]) -> ClusterView:
    """The view of a dry run's second removal: what the leader would hold if the first had been made."""
    configuration = led(view)
    for peer_id in gone:
        configuration = configuration.without(peer_id)
    return replace(view, configuration=configuration)


def reason_against(context: StepContext, view: ClusterView, peer: Peer, *, changes_so_far: int) -> Refusal | None:
    """Why the peer may not be removed: as the cluster is, or as it is once all is done that this run asked for."""
    reason = _reason_in_view(context, view, peer, changes_so_far)
    pending = (context.state.still_listed | context.state.unsettled) - context.state.gone - {peer.id}
    if reason is not None or not pending:
        return reason
    reason = _reason_in_view(context, as_if_gone(view, pending), peer, changes_so_far)
    names = ", ".join(sorted(map(context.name_of, pending)))
    why = f"should {names} go yet, whose removal was asked for without an answer"
    return reason and replace(reason, sentence=f"{reason.sentence}, {why}")


def _reason_in_view(context: StepContext, view: ClusterView, peer: Peer, changes_so_far: int) -> Refusal | None:
    """A minimum of the cluster's own that was read before in this run still binds where it cannot be read; one that no
    look has read counts as none only by a person's word.

    ``changes_so_far`` are the removals; to them come the changes of all other steps.
    """
    changes_so_far += len(context.state.changes)
    known = replace(view, autopilot=view.autopilot or context.state.autopilot)
    verdicts, policy = context.state.verdicts(), context.policy
    reason = refusal_to_remove(known, verdicts, peer, policy, changes_so_far=changes_so_far)
    if reason is None or reason.code != MINIMUM_UNREAD or not context.set_aside(CLUSTER_MINIMUM, reason.sentence):
        return reason
    none = replace(view, autopilot=AutopilotSettings(cleanup_dead_servers=False, min_quorum=0))
    return refusal_to_remove(none, verdicts, peer, policy, changes_so_far=changes_so_far)


def counted(view: ClusterView) -> VoterCounts:
    """The leader's voters, and how many of them are alive by our own verdicts of this one look."""
    voters = led(view).voters
    return VoterCounts(len(voters), sum(judge_once(view, peer).liveness is Liveness.ALIVE for peer in voters))


def tolerance(view: ClusterView) -> int:
    """How many more may fail, by the same."""
    return counted(view).tolerance


def _seen(view: ClusterView) -> tuple[Peer, ...]:
    return view.best_configuration.peers if view.best_configuration else ()


def _looked(step: str, view: ClusterView) -> Looked:
    judged = [judge_once(view, peer) for peer in _seen(view)]
    leader = next((peer for peer in _seen(view) if peer.id == view.leader_id), None)
    return Looked(
        step=step,
        leader=leader.label if leader else None,
        voters=sum(v.peer.voter for v in judged),
        live_voters=sum(v.peer.voter and v.liveness is Liveness.ALIVE for v in judged),
        verdicts={v.peer.label: v.liveness.value for v in judged},
        view=view,
    )
