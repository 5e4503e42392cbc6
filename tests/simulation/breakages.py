"""The proof of the proof: guards broken on purpose, one at a time, each of which the simulation must notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from runbook.changes import ChangesFolding
from runbook.cluster.hashicorp import interview, replies
from runbook.cluster.hashicorp.adapter import HashiCorpCluster
from runbook.engine import change_guards, endings, execute, runner
from runbook.engine.change_guards import ChangeGuards
from runbook.errors import ClusterError, ErrorKind, RefusedError
from runbook.events import AlreadyGone
from runbook.raft import liveness, plan_basis, removal, verdicts
from runbook.raft.liveness import Liveness, Verdict, judge
from runbook.raft.model import AutopilotSettings, ClusterView, Peer, Reach, Vantage
from runbook.raft.opinions import Opinion
from runbook.raft.probes import ProbeEvidence, ProbeMeaning, probe_evidence
from runbook.raft.removal import Policy, Refusal
from runbook.removals import RemovalsFolding
from runbook.run_state import RunState
from runbook.steps import registry
from runbook.steps.base import StepResult
from runbook.steps.context import StepContext
from runbook.steps.raft import find_dead, looking, settling
from runbook.steps.raft.remove_peer import remove_peer
from runbook.steps.raft.settling import Settled

NO_MINIMUM = AutopilotSettings(cleanup_dead_servers=False, min_quorum=0)


@dataclass(frozen=True)
class Breakage:
    """``patches`` are (where, name, what instead). ``caught_at`` is a seed that is known to notice it: tried first."""

    name: str
    patches: tuple[tuple[Any, str, Any], ...]
    caught_at: int = 0

    @contextmanager
    def made(self) -> Iterator[None]:
        with ExitStack() as stack:
            for where, name, instead in self.patches:
                stack.enter_context(patch.object(where, name, instead))
            yield


def _unknown_is_dead(looks: Sequence[ClusterView], peer: Peer, **spread: Any) -> Verdict:
    verdict = judge(looks, peer, **spread)
    return replace(verdict, liveness=Liveness.DEAD) if verdict.liveness is Liveness.UNKNOWN else verdict


def _newest_look_is_enough(looks: Sequence[ClusterView], peer: Peer, **_spread: Any) -> Verdict:
    return judge(looks[-1:], peer, confirm_for=0.0, least_looks=1)


_refusal_for_quorum = removal._refusal_for_quorum


def _counting_everybody(view: ClusterView, verdicts: Any, peer: Peer, policy: Policy) -> Refusal | None:
    """Non-voters are taken for voters."""
    assert view.configuration is not None
    peers = tuple(replace(each, voter=True) for each in view.configuration.peers)
    everybody = replace(view.configuration, peers=peers)
    return _refusal_for_quorum(replace(view, configuration=everybody), verdicts, replace(peer, voter=True), policy)


def _without_floor(view: ClusterView, verdicts: Any, peer: Peer, policy: Policy) -> Refusal | None:
    return _refusal_for_quorum(view, verdicts, peer, replace(policy, min_voters=0))


def _only_the_floor(view: ClusterView, _verdicts: Any, peer: Peer, policy: Policy) -> Refusal | None:
    """No quorum is asked for."""
    alive = {
        each.id: Verdict(each, Liveness.ALIVE, ()) for each in (view.configuration.peers if view.configuration else ())
    }
    return _refusal_for_quorum(view, alive, peer, policy)


def _leader_too(view: ClusterView, verdicts: Any, peer: Peer) -> Refusal | None:
    return None if peer.id == view.leader_id else removal_target(view, verdicts, peer)


removal_target = removal._refusal_for_target


def _leader_is_dead(looks: Sequence[ClusterView], peer: Peer, **spread: Any) -> Verdict:
    """A leader that does not answer this host is given up, whatever the others say."""
    verdict = judge(looks, peer, **spread)
    silent = looks[-1].leader_id == peer.id and verdict.liveness is Liveness.UNKNOWN
    return replace(verdict, liveness=Liveness.DEAD) if silent else verdict


def _asked_twice(context: StepContext, peer: Peer, until: float) -> ClusterError | None:
    """A lost reply is answered by sending again."""
    try:
        context.cluster.remove_peer(peer)
    except ClusterError:
        return _send_removal(context, peer, until)
    return None


_send_removal = settling._send_removal
_remove = settling.remove_and_settle


def _acts_before_it_writes(context: StepContext, peer: Peer, intent: Any, until: float) -> Any:
    _send_removal(context, peer, until)
    return _remove(context, peer, intent, until)


def _in_earnest(context: StepContext, arguments: dict[str, Any]) -> Any:
    return remove_peer(replace(context, dry_run=False), arguments)


_opinions_of = ClusterView.opinions_of


def _only_the_leaders(self: ClusterView, peer: Peer) -> dict[str, Opinion]:
    return {by: opinion for by, opinion in _opinions_of(self, peer).items() if by == self.leader_id}


def _stale_is_good_enough(self: HashiCorpCluster, answering: list[Vantage], _seen: Any, _until: float) -> Any:
    """What any server remembers is taken for the leader's own words."""
    for vantage in answering:
        if vantage.configuration is not None:
            reply = self._client.checked(vantage.url, "GET", f"{interview.RAFT}?stale", 3.0)
            held, leader = replies.configuration(replies.decode(reply.body, vantage.url), vantage.url)
            return held, leader or held.peers[0].id, None
    return None, None, ClusterError(ErrorKind.UNREACHABLE, "nobody answers")


_apply = RunState.apply


def _forgets_what_it_asked_for(self: RunState, record: Any, view: Any = None, moment: Any = None) -> None:
    """A resumed run begins as if it had asked for nothing."""
    _apply(self, record, view, moment)
    if record["kind"] == "run.resumed":
        self._removals = RemovalsFolding()


def _goes_on_after_a_no(
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


def _removing_by(remove: Any) -> Callable[[str], Any]:
    return lambda name: remove if name == "raft.remove_peer" else registry.body_of(name)


def _done_at_once(_context: StepContext, _peer_id: str, **_told: Any) -> Settled:
    return Settled.DONE


def _silence_is_death(view: ClusterView, peer: Peer) -> ProbeEvidence:
    """Whatever its machine answers."""
    evidence = probe_evidence(view, peer)
    silent = view.probes.get(peer.address) is Reach.SILENT
    return ProbeEvidence(ProbeMeaning.NO_PROCESS, evidence.words) if silent else evidence


def _unread_is_none(view: ClusterView, verdicts: Any, peer: Peer, policy: Policy, **more: Any) -> Refusal | None:
    return refusal_to_remove(replace(view, autopilot=view.autopilot or NO_MINIMUM), verdicts, peer, policy, **more)


refusal_to_remove = removal.refusal_to_remove


def _no_server_hangs(view: ClusterView, peer_id: str) -> Settled:
    return _what_a_look_says(replace(view, vantages=view.answering), peer_id)


_what_a_look_says = settling._what_a_look_says


def _only_as_it_is(context: StepContext, view: ClusterView, peer: Peer, *, changes_so_far: int) -> Refusal | None:
    """What was asked for without an answer is not counted as done."""
    return looking._reason_in_view(context, view, peer, changes_so_far)


def _by_somebody_else(context: StepContext, peer_id: str, _by_word: str = "") -> StepResult:
    context.emit(AlreadyGone(context.step, peer_id, peer_id))
    return StepResult("", {"id": peer_id, "outcome": "already_gone"})


def _no_life_here(_view: ClusterView, _peer: Peer) -> str | None:
    return None


_apply_other = RunState._apply_other


def _forgets_what_was_claimed_before(self: RunState, kind: str, record: Mapping[str, Any]) -> None:
    """Only the newest claim counts."""
    if kind == "cluster.claimed":
        self.peers = frozenset()
    _apply_other(self, kind, record)


def _no_refusal(*_: Any) -> None:
    return None


def _unasked(*_: Any) -> bool:
    """Nobody agrees to anything, and no cool-down is asked for."""
    return False


def _all_is_open(*_: Any) -> frozenset[Any]:
    return frozenset()


_take = ChangesFolding.take


def _a_refusal_is_an_end(self: ChangesFolding, event: Any) -> None:
    """As if the step that was refused had been seen to its end."""
    _take(self, event)
    if event["kind"] == "run.refused":
        self._changes = {key: replace(change, state="ended") for key, change in self._changes.items()}


BREAKAGES = (
    Breakage("unknown is counted as dead", ((verdicts, "judge", _unknown_is_dead),)),
    Breakage(
        "one look is enough", ((verdicts, "judge", _newest_look_is_enough), (looking, "_unconfirmed", lambda *_: []))
    ),
    Breakage("gossip is not asked", ((liveness, "_doubt_of_others", _no_life_here),), 51),
    Breakage("only the leader's gossip counts", ((ClusterView, "opinions_of", _only_the_leaders),), 229),
    Breakage("the own probe is ignored", ((liveness, "_doubt_from_here", _no_life_here),), 28),
    Breakage("a frozen process with a full queue is dead", ((liveness, "probe_evidence", _silence_is_death),), 35),
    Breakage("a silent machine is dead at once", ((liveness, "SILENT_MACHINE", 0.0),), 35),
    Breakage("a removal may follow from an old look", ((settling, "FRESH", float("inf")),), 27),
    Breakage(
        "looks may be far apart", ((liveness, "MAX_GAP", float("inf")), (looking, "LOOK_EVERY", float("inf"))), 51
    ),
    Breakage("non-voters are counted into quorum", ((removal, "_refusal_for_quorum", _counting_everybody),), 45),
    Breakage("no quorum is asked for", ((removal, "_refusal_for_quorum", _only_the_floor),), 367),
    Breakage("min_voters is ignored", ((removal, "_refusal_for_quorum", _without_floor),), 45),
    Breakage("MinQuorum is not read", ((replies, "autopilot_settings", lambda *_: NO_MINIMUM),), 70),
    Breakage(
        "a silent leader is not spared",
        ((removal, "_refusal_for_target", _leader_too), (verdicts, "judge", _leader_is_dead)),
        261,
    ),
    Breakage("there is no fence", ((plan_basis, "refusal_if_plan_is_stale", lambda *_: None),), 126),
    Breakage("a yes is believed without a look", ((settling, "settle", _done_at_once),)),
    Breakage("after a lost reply it sends again", ((settling, "_send_removal", _asked_twice),), 2),
    Breakage("it acts before it writes", ((settling, "remove_and_settle", _acts_before_it_writes),)),
    Breakage("a dry run is in earnest", ((runner, "body_of", _removing_by(_in_earnest)),), 5),
    Breakage("a refusal does not stop it", ((runner, "body_of", _removing_by(_goes_on_after_a_no(remove_peer))),), 0),
    Breakage("the lock is not taken", ((ChangeGuards, "acquire", lambda *_: None),)),
    Breakage(
        "an old configuration is taken for the leader's",
        ((HashiCorpCluster, "_read_configuration", _stale_is_good_enough),),
        10,
    ),
    Breakage("a resumed run forgets what it asked for", ((RunState, "apply", _forgets_what_it_asked_for),), 444),
    Breakage(
        "a resumed run frees only what it claimed itself",
        ((RunState, "_apply_other", _forgets_what_was_claimed_before),),
        356,
    ),
    Breakage("a run that is over bars the next one", ((RunState, "released", ""),), 234),
    Breakage("commands are not counted", ((change_guards, "refusal_over_max_changes", _no_refusal),), 9),
    Breakage("no guard is asked how the cluster stands", ((change_guards, "refusal_to_change", _no_refusal),), 9),
    Breakage("nobody is asked before a change", ((ChangeGuards, "permit", _unasked),)),
    Breakage("what was cut off is run again", ((execute, "settle_open_changes", _all_is_open),), 23),
    Breakage("a refusal is taken for an end", ((ChangesFolding, "take", _a_refusal_is_an_end),), 165),
    Breakage("settling has no limit", ((settling, "SETTLE", float("inf")),), 256),
    Breakage("a minimum that cannot be read is none", ((looking, "refusal_to_remove", _unread_is_none),), 101),
    Breakage("a removal without an answer is settled at once", ((settling, "HELD_FOR", 0.0),), 383),
    Breakage("a server that hangs holds nothing", ((settling, "_what_a_look_says", _no_server_hangs),), 214),
    Breakage(
        "a removal that may yet be done is not counted", ((looking, "reason_against_removal", _only_as_it_is),), 6709
    ),
    Breakage("a removal that failed is a recovery", ((endings, "_never_asked_for", _no_refusal),), 268),
    Breakage("there is nothing to do beside a voter in trouble", ((endings, "_undecided", _no_refusal),), 29),
    Breakage("its own removals are somebody else's", ((settling, "_record_removed", _by_somebody_else),)),
    Breakage("finding the dead has no limit", ((find_dead, "SETTLE", float("inf")),), 125),
)
