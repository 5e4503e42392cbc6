"""Where a run stands: the fold of its events, and the only thing that remembers.

The engine advances it by emitting an event and by nothing else; steps and guards read it; a run that is resumed folds
the same events. What was *seen* is in no journal: after a resume nothing that was seen before proves anything of now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runbook.changes import Change, ChangesFolding, Key
from runbook.errors import TransitionError
from runbook.raft.liveness import SILENT_MACHINE, Verdict
from runbook.raft.model import AutopilotSettings, ClusterView, Peer
from runbook.raft.plan_basis import PlanBasis, plan_basis_from_dict
from runbook.raft.quorum import VoterCounts
from runbook.raft.verdicts import UNDECIDED, DeathCriteria, is_meant, verdicts_of
from runbook.removals import Removal, RemovalsFolding, seconds_since_asked
from runbook.transitions import ENDED, OUTCOMES, RUN, STEP, StepEnd, next_state

Record = Mapping[str, Any]


class RunState:
    """A run as far as its events tell. ``state`` is ``running`` where its end was not written.

    By the place of each step: ``steps`` its state, ``ends`` how it ended last, ``uses`` its type, ``outputs`` its
    result once it has one, ``items`` the finished rounds of one that has none yet, ``failed_items`` those that it went
    on from, ``undo`` how a person takes it back, ``entered`` the digest of the playbook that it ran. ``changed_at`` is
    when the last change began, ``acknowledged`` that a person has looked at the run since then. ``resumed`` counts its
    resumptions. ``peers`` are all that any process of it claimed, ``taken_over`` says that another run has the lock.
    ``refusal`` is the code of the first guard that said no to this process.
    """

    def __init__(self) -> None:
        self.state = "new"
        self.started: Record | None = None
        self.ended: Record | None = None
        self.step = self.changed_at = self.refusal = ""
        self.steps: dict[str, str] = {}
        self.ends: dict[str, StepEnd] = {}
        self.uses: dict[str, str] = {}
        self.outputs: dict[str, Mapping[str, Any]] = {}
        self.items: dict[str, dict[int, Record]] = {}
        self.failed_items: dict[str, dict[int, Record]] = {}
        self.undo: dict[str, str] = {}
        self.entered: dict[str, str] = {}
        self.before: VoterCounts | None = None
        self.now: VoterCounts | None = None
        self.leaderless: VoterCounts | None = None  # of the first look, where it saw no leader: nobody led them
        self.lowest: VoterCounts | None = None  # of all looks with a leader, the one with the smallest margin
        self.last_verdicts: Mapping[str, str] = {}  # of the newest look, by label
        self.led_before: dict[Key, str] = {}  # by label, in the newest look when a change was begun first
        self.leader: str | None = None  # of the newest look, by label
        self.door = ""  # the address at which a server answered last, the leader where it did
        self.undecided: Mapping[str, str] = {}
        self.settled_by: Mapping[str, str] = {}
        self.peers: frozenset[str] = frozenset()
        self.acknowledged = self.taken_over = False
        self.resumed = 0
        self.plan_basis: PlanBasis | None = None
        self.criteria = DeathCriteria()  # where no raft.find_dead has said otherwise
        self.looks: list[ClusterView] = []
        self.foreseen: Record | None = None  # by a dry run, at its end
        self.autopilot: AutopilotSettings | None = None  # the newest that a look of this process could read
        self.confirmed_off: frozenset[str] = frozenset()  # by a person, as they call the servers
        self.names: dict[str, str] = {}  # how a person calls each peer met so far, by id
        self._moments: dict[str, float] = {}  # when this process was about to send a removal, by the peer's id
        self._removals, self._changes = RemovalsFolding(), ChangesFolding()

    @property
    def confirm_for(self) -> float:
        """Seconds for which a peer of this cluster must look dead."""
        return self.criteria.seconds(self.looks)

    def apply(self, record: Record, view: ClusterView | None = None, moment: float | None = None) -> None:
        """One more event, as the journal holds it. Raises :class:`TransitionError`.

        ``view`` is what a look of this process saw, ``moment`` when the event was safe, in seconds of the clock's
        ``monotonic``.
        """
        kind = str(record["kind"])
        family = kind.split(".")[0]
        if family not in ("run", "lock", "left_out") and self.state != "running":
            raise TransitionError(f"{kind} after the run was {self.state}")
        if family == "run":
            self._apply_run(kind, record)
        elif kind in ("step.started", "step.skipped", "step.completed", "step.failed"):
            self._apply_step(kind, record)
        elif kind == "cluster.looked":
            self._apply_look(record, view)
        elif kind == "server.port_opened":
            self.looks += [view] if view else []
        else:
            self._apply_other(kind, record)
        self._apply_changes(kind, record)
        if kind == "removal.requested" and moment is not None:
            self._moments[str(record["peer"])] = moment

    def _apply_other(self, kind: str, record: Record) -> None:
        if kind == "verdict.criteria":
            self.criteria = DeathCriteria.of(record)
        elif kind == "server.confirmed_off":
            self.confirmed_off |= {str(record["name"])}
        elif kind == "cluster.claimed":
            self.peers |= frozenset(record["peers"])
        elif kind == "lock.taken_over" and self.started is not None:  # stands in the records of both runs
            self.taken_over |= record["run"] == self.started["run"]
        elif kind in ("item.completed", "item.failed"):
            self._apply_item(kind, record)
        elif kind == "playbook.entered":
            self.entered[str(record["step"])] = str(record["digest"])
        elif kind == "shadow.ended":
            self.foreseen = record

    def _apply_run(self, kind: str, record: Record) -> None:
        self.state = next_state(RUN, self.state, kind)
        if kind == "run.started":
            self.started = record
        elif kind == "run.resumed":
            self.resumed += 1
            self.ended, self.acknowledged, self.taken_over, self.refusal = None, False, False, ""
            self.looks.clear()
            self.confirmed_off = frozenset()  # since then somebody may have started it
        elif kind == "run.acknowledged":
            self.acknowledged = True
        else:
            self.ended = record
        if kind == "run.interrupted":
            self.steps |= {place: "interrupted" for place, state in self.steps.items() if state == "running"}

    def _apply_look(self, record: Record, view: ClusterView | None) -> None:
        self.last_verdicts, self.leader = record["verdicts"], record["leader"]
        self.door = record.get("door") or self.door
        if self.before is None and record["leader"] is None and record["voters"]:
            self.leaderless = self.leaderless or VoterCounts(record["voters"], record["live_voters"])
        if record["leader"] is not None:  # without a leader nobody knows the configuration for sure
            self.now = VoterCounts(record["voters"], record["live_voters"])
            self.before = self.before or self.now
            self.lowest = min(self.lowest or self.now, self.now, key=lambda counts: counts.margin)
            self.undecided, self.settled_by = record.get("undecided", {}), record.get("settled_by", {})
        if view is None:
            return
        seen = view.best_configuration
        self.names |= {peer.id: peer.label for peer in (seen.peers if seen else ())}
        self.autopilot = view.autopilot or self.autopilot
        self.looks.append(view)
        needed = max(self.criteria.longest, SILENT_MACHINE)
        while len(self.looks) > self.criteria.least_looks and view.taken_at - self.looks[1].ended_at >= needed:
            del self.looks[0]  # older than any verdict needs

    def _apply_step(self, kind: str, record: Record) -> None:
        place = self.step = str(record["step"])
        told = str(record.get("outcome")) if kind == "step.failed" else kind
        if kind == "step.failed" and told not in OUTCOMES:
            raise TransitionError(f"step {place} cannot end as {told}")
        state = self.steps[place] = next_state(STEP, self.steps.get(place, "new"), told)
        if state == "running":
            self.uses[place] = str(record["uses"])
        else:
            message, code = str(record.get("message", "")), str(record.get("code", ""))
            self.ends[place] = StepEnd(state, self.resumed, message, code)
        if state == "refused":
            self.refusal = self.refusal or code or "refused"
        if state == "succeeded" or record.get("output"):
            self.outputs[place] = record["output"]
            self.undo |= {place: str(record["undo"])} if record.get("undo") else {}
        self._apply_proof(place, state)

    def _apply_proof(self, place: str, state: str) -> None:
        """What later steps rest on, whether it was done in a block, for each of a list, or in a playbook within."""
        if self.uses.get(place) != "raft.check_quorum":
            return
        self.plan_basis = None  # what is refused is proven nowhere
        for proven in self.outputs[place].get("results", [self.outputs[place]]) if state == "succeeded" else ():
            self.plan_basis = plan_basis_from_dict(proven["plan_basis"])
            self.names |= {item["id"]: item["name"] for item in proven["removals"]}

    def _apply_item(self, kind: str, record: Record) -> None:
        """Those that are done beside each other end in any order, and each once."""
        place, number = str(record["step"]), int(record["item"])
        if number in self.items.get(place, {}) or number in self.failed_items.get(place, {}):
            raise TransitionError(f"item {number} of step {place} is over already")
        ended = self.items if kind == "item.completed" else self.failed_items
        ended.setdefault(place, {})[number] = record
        if record.get("undo"):  # the step's own end, if it comes to one, has them all
            self.undo[place] = "\n".join([*self.undo.get(place, "").splitlines(), str(record["undo"])])

    def _apply_changes(self, kind: str, record: Record) -> None:
        try:
            self._changes.take(record)
            if kind.startswith("removal."):
                self._removals.take(record)
        except KeyError as error:
            raise TransitionError(f"{kind} cannot follow: {error}") from None
        if kind == "change.begun":
            self.led_before.setdefault((str(record["step"]), record["item"]), self.leader or "")
        if kind in ("change.begun", "removal.requested"):
            self.changed_at, self.acknowledged = str(record.get("at", "")), False
        if kind.startswith("removal.") and record.get("name"):
            self.names[str(record["peer"])] = str(record["name"])

    @property
    def removals(self) -> tuple[Removal, ...]:
        return self._removals.removals()

    @property
    def gone(self) -> frozenset[str]:
        """Removed by this run, vanished while it wanted to remove them, or so in a dry run."""
        return frozenset(removal.peer for removal in self.removals if removal.state in ("gone", "vanished", "foretold"))

    @property
    def asked(self) -> frozenset[str]:
        """The peers whose removal was requested, or would have been."""
        return frozenset(removal.peer for removal in self.removals if removal.asked_at)

    @property
    def unsettled(self) -> frozenset[str]:
        """Asked for, and nobody knows yet what became of it."""
        return frozenset(removal.peer for removal in self.removals if removal.unsettled)

    @property
    def still_listed(self) -> frozenset[str]:
        """Asked for without an answer, and longer ago than servers hold a request: it may yet be done."""
        listed = (removal for removal in self.removals if removal.unanswered and removal.may_yet_be_done)
        return frozenset(removal.peer for removal in listed)

    def asked_moment(self, peer: str, monotonic: float, now: str) -> float:
        """When its removal was about to leave, in seconds of the clock that says ``monotonic`` and ``now``.

        Of an earlier process only the wall clock tells; where that is odd, it counts as now.
        """
        known = self._moments.get(peer)
        return monotonic - seconds_since_asked(self.removals, peer, now) if known is None else known

    @property
    def changes(self) -> tuple[Change, ...]:
        """Those of all steps but the removals."""
        return self._changes.changes()

    def changes_beside(self, key: Key) -> int:
        """How many changes this run has made, or would have, not counting this one: removals too."""
        return sum((change.step, change.item) != key for change in self.changes) + len(self.asked)

    @property
    def open_changes(self) -> tuple[Change, ...]:
        """Those whose end nobody saw, and of which no person has said what became."""
        return tuple(change for change in self.changes if change.open)

    def verdicts(self) -> dict[str, Verdict]:
        """The verdict on every peer of the newest look, over all looks of this process that a verdict needs."""
        return verdicts_of(self.looks, self.criteria, self.confirmed_off)

    def is_confirmed_off(self, peer: Peer) -> bool:
        """Whether a person says so, by a name that is this server's and no other's."""
        return bool(self.looks) and is_meant(self.looks[-1], peer, self.confirmed_off)

    @property
    def dry_run(self) -> bool:
        return bool(self.started and self.started["dry_run"])

    @property
    def has_changed(self) -> bool:
        """Whether anything is, or may be, another thing by this run's doing."""
        made = any(change.state != "foretold" for change in self.changes)
        removed = any(removal.state == "gone" or removal.may_yet_be_done for removal in self.removals)
        return not self.dry_run and (made or removed)

    @property
    def released(self) -> str:
        """Why it holds no lock, though its name may be left there; empty where only its resumption can free it."""
        ended = self.state if self.state in ENDED else ""
        return "taken over" if self.taken_over else ended

    @property
    def ended_undecided(self) -> bool:
        """All of its steps are done, and what it saw is old."""
        return self.ended is not None and self.ended.get("code") == UNDECIDED

    @property
    def not_resumable(self) -> str:
        """Why there is nothing to go on with, as ``it ...``; empty where there is."""
        if self.started is None:
            return "has no beginning"
        if self.dry_run:
            return "was a dry run"
        if self.state == "completed":
            return "is completed"
        if self.ended_undecided:
            return "found nothing to remove and left voters undecided, so only a new run looks again"
        return "was acknowledged" if self.acknowledged else ""


def fold(records: Iterable[Record]) -> RunState:
    """The state after these events. Raises :class:`TransitionError` for what no run of ours can have written."""
    state = RunState()
    for record in records:
        state.apply(record)
    return state
