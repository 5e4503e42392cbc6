"""What stands in the place of a guard that is broken on purpose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any

from runbook.changes import ChangesFolding
from runbook.cluster.hashicorp import interview, replies
from runbook.cluster.hashicorp.adapter import HashiCorpCluster
from runbook.decode import decode
from runbook.engine.shadow import Shadow
from runbook.errors import ClusterError, ErrorKind, RefusedError
from runbook.raft import liveness, removal
from runbook.raft.liveness import Liveness, Verdict, judge
from runbook.raft.model import AutopilotSettings, ClusterView, Peer, Reach, Vantage
from runbook.raft.opinions import Opinion
from runbook.raft.probes import ProbeEvidence, ProbeMeaning, probe_evidence
from runbook.raft.removal import Policy, Refusal
from runbook.removals import AlreadyGone, RemovalsFolding
from runbook.run_state import RunState
from runbook.steps import registry
from runbook.steps.base import StepResult
from runbook.steps.context import StepContext
from runbook.steps.raft import looking, settling
from runbook.steps.raft.settling import Settled

NO_MINIMUM = AutopilotSettings(cleanup_dead_servers=False, min_quorum=0)


def unknown_is_dead(looks: Sequence[ClusterView], peer: Peer, **spread: Any) -> Verdict:
    verdict = judge(looks, peer, **spread)
    return replace(verdict, liveness=Liveness.DEAD) if verdict.liveness is Liveness.UNKNOWN else verdict


def newest_look_is_enough(looks: Sequence[ClusterView], peer: Peer, **_spread: Any) -> Verdict:
    return judge(looks[-1:], peer, confirm_for=0.0, least_looks=1)


_refusal_for_quorum = removal._refusal_for_quorum


def counting_everybody(view: ClusterView, verdicts: Any, peer: Peer, policy: Policy) -> Refusal | None:
    """Non-voters are taken for voters."""
    assert view.configuration is not None
    peers = tuple(replace(each, voter=True) for each in view.configuration.peers)
    everybody = replace(view.configuration, peers=peers)
    return _refusal_for_quorum(replace(view, configuration=everybody), verdicts, replace(peer, voter=True), policy)


def without_floor(view: ClusterView, verdicts: Any, peer: Peer, policy: Policy) -> Refusal | None:
    return _refusal_for_quorum(view, verdicts, peer, replace(policy, min_voters=0))


def only_the_floor(view: ClusterView, verdicts: Any, peer: Peer, policy: Policy) -> Refusal | None:
    """No quorum is asked for."""
    return _refusal_for_quorum(replace(view, quorum_proof="nobody"), verdicts, peer, policy)


def leader_too(view: ClusterView, verdicts: Any, peer: Peer) -> Refusal | None:
    return None if peer.id == view.leader_id else removal_target(view, verdicts, peer)


removal_target = removal._refusal_for_target


def leader_is_dead(looks: Sequence[ClusterView], peer: Peer, **spread: Any) -> Verdict:
    """A leader that does not answer this host is given up, whatever the others say."""
    verdict = judge(looks, peer, **spread)
    silent = looks[-1].leader_id == peer.id and verdict.liveness is Liveness.UNKNOWN
    return replace(verdict, liveness=Liveness.DEAD) if silent else verdict


def asked_twice(context: StepContext, peer: Peer, until: float) -> ClusterError | None:
    """A lost reply is answered by sending again."""
    try:
        context.cluster.remove_peer(peer)
    except ClusterError:
        return _send_removal(context, peer, until)
    return None


_send_removal = settling._send_removal
_remove = settling.remove_and_settle


def acts_before_it_writes(context: StepContext, peer: Peer, intent: Any, until: float) -> Any:
    _send_removal(context, peer, until)
    return _remove(context, peer, intent, until)


def in_earnest(self: Shadow, peer: Peer, *, within: float = inf) -> None:
    self._cluster.remove_peer(peer, within=within)


def no_dry_run() -> bool:
    return False


_opinions_of = ClusterView.opinions_of


def only_the_leaders(self: ClusterView, peer: Peer) -> dict[str, Opinion]:
    return {by: opinion for by, opinion in _opinions_of(self, peer).items() if by == self.leader_id}


def stale_is_good_enough(self: HashiCorpCluster, answering: list[Vantage], _seen: Any, _until: float) -> Any:
    """What any server remembers is taken for the leader's own words."""
    for vantage in answering:
        if vantage.configuration is not None:
            reply = self._client.checked(vantage.url, "GET", f"{interview.RAFT}?stale", 3.0)
            held, leader = replies.configuration(decode(reply.body, vantage.url), vantage.url)
            return held, leader or held.peers[0].id, None
    return None, None, ClusterError(ErrorKind.UNREACHABLE, "nobody answers")


_apply = RunState.apply


def forgets_what_it_asked_for(self: RunState, record: Any, view: Any = None, moment: Any = None) -> None:
    """A resumed run begins as if it had asked for nothing."""
    _apply(self, record, view, moment)
    if record["kind"] == "run.resumed":
        self._removals = RemovalsFolding()


def goes_on_after_a_no(
    body: Callable[[StepContext, dict[str, Any]], Any],
) -> Callable[[StepContext, dict[str, Any]], Any]:
    def run(context: StepContext, arguments: dict[str, Any]) -> Any:
        try:
            return body(context, arguments)
        except RefusedError as refused:
            view = context.cluster.look()
            peer = view.configuration.peer(arguments["peer"]) if view.configuration else None
            if peer is None:
                raise
            context.cluster.remove_peer(peer)
            raise refused from None

    return run


def removing_by(remove: Any) -> Callable[[str], Any]:
    return lambda name: remove if name == "raft.remove_peer" else registry.body_of(name)


def done_at_once(_context: StepContext, _peer_id: str, **_told: Any) -> Settled:
    return Settled.DONE


def silence_is_death(view: ClusterView, peer: Peer) -> ProbeEvidence:
    """Whatever its machine answers."""
    evidence = probe_evidence(view, peer)
    silent = view.probes.get(peer.address) is Reach.SILENT
    return ProbeEvidence(ProbeMeaning.NO_PROCESS, evidence.words) if silent else evidence


def unread_is_none(view: ClusterView, verdicts: Any, peer: Peer, policy: Policy, **more: Any) -> Refusal | None:
    return refusal_to_remove(replace(view, autopilot=view.autopilot or NO_MINIMUM), verdicts, peer, policy, **more)


refusal_to_remove = removal.refusal_to_remove


def word_is_enough(view: ClusterView, peer: Peer, *, confirmed_off: bool) -> Verdict:
    """Whatever speaks against it."""
    verdict = _judge_look(view, peer, confirmed_off=confirmed_off)
    doubted = confirmed_off and verdict.liveness is Liveness.UNKNOWN
    return replace(verdict, liveness=Liveness.DEAD) if doubted else verdict


_judge_look = liveness._judge_look


def no_server_hangs(view: ClusterView, peer_id: str) -> Settled:
    return _what_a_look_says(replace(view, vantages=view.answering), peer_id)


_what_a_look_says = settling._what_a_look_says


def only_as_it_is(context: StepContext, view: ClusterView, peer: Peer, *, changes_so_far: int) -> Refusal | None:
    """What was asked for without an answer is not counted as done."""
    return looking._reason_in_view(context, view, peer, changes_so_far)


def by_somebody_else(context: StepContext, peer_id: str, _by_word: str = "") -> StepResult:
    context.emit(AlreadyGone(context.step, peer_id, peer_id))
    return StepResult("", {"id": peer_id, "outcome": "already_gone"})


def no_life_here(_view: ClusterView, _peer: Peer) -> str | None:
    return None


_apply_other = RunState._apply_other


def forgets_what_was_claimed_before(self: RunState, kind: str, record: Mapping[str, Any]) -> None:
    """Only the newest claim counts."""
    if kind == "cluster.claimed":
        self.peers = frozenset()
    _apply_other(self, kind, record)


def no_refusal(*_: Any) -> None:
    return None


def unasked(*_: Any) -> bool:
    """Nobody agrees to anything, and no cool-down is asked for."""
    return False


def all_is_open(*_: Any) -> frozenset[Any]:
    return frozenset()


_take = ChangesFolding.take


def a_refusal_is_an_end(self: ChangesFolding, event: Any) -> None:
    """As if the step that was refused had been seen to its end."""
    _take(self, event)
    if event["kind"] == "run.refused":
        self._changes = {key: replace(change, state="ended") for key, change in self._changes.items()}


def refused_is_dead(view: ClusterView, peer: Peer) -> ProbeEvidence:
    """Whether a firewall refuses for the living, too."""
    return ProbeEvidence(ProbeMeaning.NO_PROCESS, f"port {peer.address} is refused")
