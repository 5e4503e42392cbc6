"""docs/invariants.md, asserted after every event and at every request, against what the tool saw and the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runbook.errors import TransitionError
from runbook.lab.virtual.messages import SentRequest
from runbook.proving import oracle
from runbook.proving.claims import ENDINGS, is_confirmed_off, untrue_ends
from runbook.proving.demands import NOBODY, Demands
from runbook.proving.held import OPEN, SETTLED, Asked, left_open
from runbook.proving.truth import MOMENT, Transcript, Truth, brief
from runbook.raft.model import ClusterView, Peer
from runbook.report.screen import Screen
from runbook.report.summary import format_summary
from runbook.run_state import fold

LONGEST_SLEEP, LONGEST_RUN = 60.0, 1800.0  # seconds of virtual time
LONGEST_SILENCE = 300.0  # in which a run only looks, and says nothing else
OLDEST_EVIDENCE = 10.0 + MOMENT  # seconds from the beginning of a look to the request that follows from it


class EndlessError(BaseException):
    """The run would go on for ever: it is ended from outside, and nothing of it may stop that."""


class Checks:
    """Looks over the shoulder of one process of the tool."""

    def __init__(
        self,
        truth: Truth,
        transcript: Transcript,
        demands: Demands,
        who: str,
        *,
        dry_run: bool,
        token: str,
        holds_lock: Callable[[], bool],
        past: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """``past`` is the record of the processes before this one, of the same run."""
        self._truth, self._transcript, self._demands, self.who = truth, transcript, demands, who
        self._dry_run, self._token, self._holds_lock = dry_run, token, holds_lock
        self._views: list[ClusterView] = []
        self._records = list(past)
        self._target = NOBODY
        self._began = self._look_began = self._spoke = transcript.timeline.now
        self._led_during_look = True
        self._open_intent = left_open(past)
        self._told, self._sent_for_intent = True, 0
        self._unseen: set[str] = set()
        self._ended = False
        self.removals = 0
        self.before_removal: Callable[[], None] = lambda: None

    # -- what the process does

    def sleeps(self, seconds: float) -> None:
        self.require(seconds <= LONGEST_SLEEP, "I10", f"it sleeps {seconds:g} s at a stretch")
        self._in_time()

    def look_begins(self) -> None:
        self._look_began = self._transcript.timeline.now
        self._led_during_look = self._truth.leader() is not None

    def looked(self, view: ClusterView) -> None:
        self._views.append(view)
        self._led_during_look |= self._truth.leader() is not None
        if view.configuration is not None:
            self._unseen = {peer for peer in self._unseen if view.configuration.peer(peer) is not None}
        self._in_time()

    def removes(self, peer: Peer) -> None:
        self._target = peer

    def sends(self, method: str, path: str) -> None:
        """At the moment just before a changing request leaves."""
        peer, view = self._target, self._views[-1]
        self._transcript.tell(self.who, f"{method} {path} ({self.name_of(peer)})")
        self._transcript.counts["removals sent"] += 1
        self.removals += 1
        self._truth.removal(self._look_began, self._transcript.timeline.now)
        self.before_removal()
        self._may_send(view)
        self._follows_an_intent(peer)
        self._is_dead(peer, view)
        self._is_allowed(peer, view)
        self._keeps_quorum(peer, view)
        self._keeps_to_the_plan(view)

    def changes(self, method: str, path: str) -> None:
        """The same of a change that is no removal."""
        self._transcript.tell(self.who, f"{method} {path}")
        self._may_send(self._views[-1])
        self.require("snapshot" not in path or not self._truth.model.state.restored, "I8", "a second restore")

    def sent(self, request: SentRequest) -> None:
        """It is on its way."""
        self._truth.asked.asked.append(Asked(self.who, self._target.id, request))

    def left(self, *, surely_not: bool) -> None:
        """The request is over. One that surely never left may be sent again, by another way."""
        self._spoke = self._transcript.timeline.now  # who waits for an answer does not only look
        if surely_not:
            self._sent_for_intent -= 1

    def recorded(self, record: Mapping[str, Any]) -> None:
        """After every event."""
        self._records.append(record)
        kind = record["kind"]
        self._spoke = self._spoke if kind == "cluster.looked" else self._transcript.timeline.now
        self._transcript.tell(self.who, brief(record))
        self.require(not self._ended, "I5", f"{kind} after the end of the run")
        self.require(self._token not in str(record), "I13", f"{kind} holds the token")
        if kind == "removal.requested":
            self.require(self._open_intent is None, "I6", f"a second intent while {self._open_intent} is unsettled")
            self._open_intent, self._sent_for_intent, self._told = record["peer"], 0, False
        elif kind in SETTLED:
            self._settles(kind, record)
        elif kind == "step.completed" and "peers" in record["output"]:
            self._are_dead([item for item in record["output"]["peers"] if item["verdict"] == "dead"])
        elif kind in ENDINGS:
            self._ended = True
        if kind.startswith(("removal.", "run.")):
            self._can_be_told()

    def over(self) -> None:
        """At the end of a run that was not cut short."""
        self.require(self._ended, "I10", "the run ended without an ending")
        done = self._records[-1]["kind"] == "run.completed"
        claims = self._views[-1:] if self._demands.recovers else ()
        for untrue in untrue_ends(self._records, claims, self._truth, self._look_began) if done else ():
            self.require(False, "I11", untrue)
        known = self._open_intent is None or (self._told and not done)
        self.require(known, "I7", f"the run ended and nobody was told what became of {self._open_intent}")

    # -- what must hold

    def _may_send(self, view: ClusterView) -> None:
        self.require(not self._dry_run, "I5", "a dry run sends a change")
        self.require(not self._ended, "I5", "a change after the end of the run")
        self.require(self._holds_lock(), "I5", "a change without the lock")
        led = view.leader_id is not None and view.configuration is not None
        self.require(led, "I5", "a change without a leader in the last look")
        self.require_or_race(self._led_during_look, "I5", "a change though no server led during the last look")

    def _follows_an_intent(self, peer: Peer) -> None:
        self.require(self._open_intent == peer.id, "I7", "a change without an intent on record")
        self.require(self._sent_for_intent == 0, "I6", "one intent, two requests")
        self.require(not self._unseen - {peer.id}, "I6", "no look has shown the last removal done")
        self._is_held_by_nobody("the next is sent")
        self._sent_for_intent += 1
        self._unseen.add(peer.id)

    def _is_dead(self, peer: Peer, view: ClusterView) -> None:
        if doubt := self.reason_not_dead(peer):
            self.require(False, "I1", f"{self.name_of(peer)} is not proven dead: {doubt}")
        life = self._truth.sign_of_life(peer, view, self._look_began)
        self.require_or_race(life is None, "I1", f"a living server is removed: {life}")
        back = self._truth.back_for(peer)
        self.require(back <= OLDEST_EVIDENCE, "I15", f"{self.name_of(peer)} has been answering again for {back:.1f} s")
        if life is None and self._truth.hidden_life(peer):
            self._transcript.counts["living server that nobody could see"] += 1

    def _are_dead(self, peers: list[Mapping[str, Any]]) -> None:
        for item in peers:
            peer = Peer(item["id"], item["address"], item["voter"])
            life = self._truth.sign_of_life(peer, self._views[-1], self._look_began)
            self.require_or_race(life is None, "I1", f"a living server is called dead: {life}")

    def _is_allowed(self, peer: Peer, view: ClusterView) -> None:
        self.require(peer.id != view.leader_id, "I2", "the leader is removed")
        leader = self._truth.leader()
        self.require_or_race(leader is None or leader.raft_id != peer.id, "I2", "the true leader is removed")
        voters = view.configuration.voters if view.configuration else ()
        if not any(voter.id == peer.id for voter in voters):
            return
        open_ = {each.peer for each in fold(self._records).removals if each.state in OPEN and each.peer != peer.id}
        left = [voter for voter in voters if voter.id != peer.id and voter.id not in open_]
        after, least = len(left), max(1, self._demands.min_voters)
        self.require(after >= least, "I2", f"{after} voters left, {least} allowed by the policy")
        own_floor = int(self._truth.model.state.autopilot["MinQuorum"])
        by_word = any(record["kind"] == "guard.overridden" for record in self._records)
        enough = after >= own_floor or by_word
        self.require(enough, "I2", f"{after} voters left, the cluster's own MinQuorum is {own_floor}")

    def _keeps_quorum(self, peer: Peer, view: ClusterView) -> None:
        voters = len(view.configuration.voters) if view.configuration else 0
        votes = any(each.id == peer.id for each in view.configuration.voters) if view.configuration else False
        live, needed = oracle.live_voters(view, peer.id), oracle.majority(voters - votes)
        self.require(live >= needed, "I3", f"{live} live voters seen, {needed} needed afterwards")
        before = max(0, live - oracle.majority(voters))
        self.require(max(0, live - needed) >= before, "I4", "failure tolerance falls")
        self.require(live >= oracle.majority(voters), "I3", f"{live} live voters of {voters}: quorum is lost already")
        leader = self._truth.leader()
        if leader is None:
            self.require_or_race(False, "I5", "nobody leads when the change leaves")
            return
        left = sum(each.voter and each.id != peer.id for each in leader.peers)
        reached = self._truth.live_in_reach(leader, peer.id)
        enough = reached >= oracle.majority(left)
        self.require_or_race(enough, "I3", f"the leader reaches {reached} of the {left} voters that will be left")

    def _keeps_to_the_plan(self, view: ClusterView) -> None:
        """The plan basis: nothing but what was to go may have moved since the plan was made."""
        outputs = [r["output"] for r in self._records if r["kind"] == "step.completed" and "plan_basis" in r["output"]]
        basis = outputs[-1]["plan_basis"] if outputs else None
        if basis is None or view.configuration is None:
            self.require(False, "plan basis", "a change that nobody has planned")
            return
        planned = {(entry[0], entry[1], entry[2]) for entry in basis["peers"]}
        now = {(peer.id, peer.address, peer.voter) for peer in view.configuration.peers}
        moved = [entry for entry in planned ^ now if entry in now or entry[0] not in basis["removals"]]
        self.require(not moved, "plan basis", f"since the plan was made there moved {moved}")
        self.require(view.leader_id == basis["leader"], "plan basis", "another leads than when the plan was made")

    def _settles(self, kind: str, record: Mapping[str, Any]) -> None:
        self._told = True
        if kind == "removal.unsettled":
            return
        if self._open_intent == record["peer"]:
            self._open_intent = None
        if kind == "removal.failed":
            self._truth.asked.promise(self.who, record["peer"])
        if kind == "removal.still_listed":
            self._is_held_by_nobody("it is taken for lost", record["peer"])
        if kind in ("removal.failed", "removal.still_listed"):  # nothing was done, or a look showed for long that not
            self._unseen.discard(record["peer"])
        if kind == "removal.already_gone":
            own = self._truth.asked.by(self.who, record["peer"])
            self.require(not own, "I7", "somebody else is said to have removed what this run removed")
        if kind not in ("removal.confirmed", "removal.already_gone") or self._dry_run:
            return
        shown = self._views[-1].configuration
        self.require(shown is not None and shown.peer(record["peer"]) is None, "I6", f"{kind}, yet it was seen")
        leader = self._truth.leader()
        held = leader.committed_configuration if leader else None
        gone = held is None or held.peer(record["peer"]) is None
        self.require_or_race(gone, "I6", f"{kind}, yet the leader's committed configuration holds it")

    def _is_held_by_nobody(self, when: str, peer: str | None = None) -> None:
        """Where a server may yet carry out what this run asked for: for two minutes, and as long as a server hangs."""
        for each in self._truth.asked.held(self.who, peer):
            name = each.request.server.name
            if self._truth.asked.can_be_seen(each):
                self.require(False, "I6", f"{when}, and {name} still holds the removal of {each.peer}")
            else:
                self._transcript.counts["removal held by a server that nobody could see"] += 1

    def _can_be_told(self) -> None:
        """I12: log, screen and summary of a run are made from its records and nothing else."""
        try:
            progress = fold(self._records)
            screen = Screen()
            shown = [line for record in self._records[-1:] for line in screen.format_event(record)]
            told = "\n".join([*shown, *format_summary(progress, "folder")]) if self._ended else ""
        except (TransitionError, KeyError, TypeError) as error:
            self._transcript.violated("I12", f"the record cannot be told: {error!r}")
            return
        self.require(self._token not in told, "I13", "the summary holds the token")

    # -- how it is held

    def reason_not_dead(self, peer: Peer) -> str | None:
        """Why the looks of this process do not prove that the peer is dead."""
        by_word = is_confirmed_off(self._records, peer, self.name_of(peer))
        spread = self._demands.confirm_for, self._demands.looks
        return oracle.reason_not_dead(self._views, peer, *spread, by_word=by_word) if self._views else "unseen"

    def seconds_since_look(self) -> float:
        """Since the newest look began; for ever where there was none."""
        return self._transcript.timeline.now - self._look_began if self._views else float("inf")

    def _in_time(self) -> None:
        now = self._transcript.timeline.now
        if now - self._began > LONGEST_RUN or now - self._spoke > LONGEST_SILENCE:
            told = f"after {now - self._began:.0f} s the run still goes on, its last word {now - self._spoke:.0f} s ago"
            self._transcript.violated("I10", f"{self.who}: {told}")
            raise EndlessError

    def require(self, held: bool, invariant: str, sentence: str) -> None:
        if not held:
            self._transcript.violated(invariant, f"{self.who}: {sentence}")

    def require_or_race(self, held: bool, invariant: str, sentence: str, evidence: float = 0.0) -> None:
        """What the world did since the look began, less its ``evidence`` in seconds, no tool can know."""
        if held:
            return
        if self._truth.changed_since(self._look_began - evidence):
            self._transcript.counts[f"unavoidable race ({invariant})"] += 1
            self._transcript.tell("race", f"{invariant}: {sentence}")
        else:
            self.require(False, invariant, sentence)

    def name_of(self, peer: Peer) -> str:
        server = self._truth.server_of(peer)
        return server.name if server else peer.label
