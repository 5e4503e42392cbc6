"""One schedule from its beginning to its end: the playbook on the simulated cluster, with what befalls it, resumed
where the tool was killed, and held against the truth once the faults are over.
"""

from __future__ import annotations

import contextvars
import traceback
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from random import Random
from typing import Any, NoReturn

from runbook.changes import ANSWERS
from runbook.dataclass import dataclass
from runbook.doors import shut_for_rehearsal
from runbook.engine.execute import Ending, execute
from runbook.engine.plan import Plan
from runbook.engine.services import RunServices
from runbook.events import RunCompleted, RunFailed, RunResumed, RunStarted
from runbook.hosts.process import programs_played_by
from runbook.proving import files
from runbook.proving.checks import Checks, EndlessError
from runbook.proving.claims import ENDINGS
from runbook.proving.demands import demands_of
from runbook.proving.faults import AT_A_HOST_LOOK, AT_A_READ, OF_A_MESSAGE, ProofFault
from runbook.proving.machines import ProofMachines
from runbook.proving.points import Points, Schedule
from runbook.proving.programs import Programs
from runbook.proving.stage import ProofStage
from runbook.proving.tool import ProofClock, ProofCluster, ProofJournal, ProofNetwork
from runbook.proving.truth import format_transcript
from runbook.raft.quorum import quorum
from runbook.run_state import RunState
from runbook.simulation.scenario import Scenario
from runbook.steps.context import Agreement

BEGAN = datetime(2026, 1, 1, tzinfo=timezone.utc)
AFTER_A_CRASH = 5.0  # seconds until a person resumes the run
CALM = 95.0  # seconds for an election, the next reconcile and a promotion, beside what gossip needs
RECONCILE = 60.0  # seconds from one reconcile of a leader to the next
NO_TOKEN = "00000000-0000-4000-8000-00000000dead"  # noqa: S105 - nobody has it, so no record can hold it
WHO = "run"
MISSED = ("no_leader", "quorum_lost", "unreachable", "timeout", "unavailable", "bug")  # kinds of failures


@dataclass(frozen=True)
class Cast:
    """What is the same for all schedules of one scenario. ``folder`` is where the run may write; ``reads``: something
    befalls single reads of the servers too.
    """

    plan: Plan
    scenario: Scenario
    folder: Path
    reads: bool = True


class Performance:
    """One schedule; with :class:`Points` that fork, many that begin as it does."""

    def __init__(self, cast: Cast, points: Points) -> None:
        self._cast, self._points = cast, points
        self._stage = ProofStage(cast.scenario)
        self._plan = files.place(cast.plan, cast.folder, self._stage.snapshot())
        points.keep = lambda: files.keep(cast.folder)
        self._records: list[Mapping[str, Any]] = []
        self._machines = ProofMachines(self._stage, self._records)
        self._programs = Programs(self._stage, self._machines)
        self._locked = False
        self._network: ProofNetwork | None = None
        self._ending: Ending | None = None
        self._over = False
        self._checks: Checks

    def play(self) -> Schedule:
        """What came of it; in a process that was forked this does not return, and tells the one that it came from."""
        try:
            self._stage.timeline.wait(self._cast.scenario.starts_at)
            self._process()
            schedule = self._end()
        except Exception:  # a simulation that breaks has proven nothing
            self._stage.transcript.violated("simulation", traceback.format_exc())
            schedule = self._schedule()
        return self._told(schedule)

    # -- one process of the tool

    def _process(self, *, resumed: bool = False) -> None:
        stage, plan = self._stage, self._plan
        self._locked = False
        self._programs.process += 1
        self._checks = checks = Checks(
            stage.truth,
            stage.transcript,
            demands_of(plan),
            WHO,
            dry_run=False,
            token=NO_TOKEN,
            holds_lock=lambda: self._locked,
            past=list(self._records),
        )
        clock = ProofClock(stage, BEGAN, checks, self._reach)
        journal = ProofJournal(clock, checks, self._records, self._reach)
        self._network = ProofNetwork(stage, checks, self._reach)
        cluster = ProofCluster(stage.cluster(self._network), self._network, checks, self._reach)
        services = self._services(cluster, clock, journal)
        player = self._programs.player(checks, lambda: _uses(self._records), self._reach)
        with ExitStack() as stack:
            stack.enter_context(shut_for_rehearsal(self._cast.folder))
            stack.enter_context(programs_played_by(player))
            try:
                journal.emit(self._first(plan, cluster.name, resumed=resumed))
                self._ending = execute(plan, services, journal.state)
                checks.over()
            except EndlessError:
                self._ending = None

    def _first(self, plan: Plan, cluster: str, *, resumed: bool) -> RunStarted | RunResumed:
        if resumed:
            return RunResumed(WHO, cluster, torn=False)
        return RunStarted(plan.run, plan.playbook.name, plan.playbook.digest, cluster, WHO, False, plan.params)

    def _services(self, cluster: ProofCluster, clock: ProofClock, journal: ProofJournal) -> RunServices:
        chance = Random(f"retries {len(self._records)}")  # noqa: S311 - a proof must be repeatable
        answers = self._answers(journal.state)

        def hold(_peers: frozenset[str]) -> None:
            self._locked = True

        return RunServices(
            cluster=cluster,
            clock=clock,
            emit=journal.emit,
            folder=self._cast.folder / files.RUN,
            hosts=self._machines.specs(),
            random_fraction=chance.random,
            approve=lambda _sentence, _seconds: Agreement("a person", "as a proof presumes"),
            dry_run=False,
            keep_tracebacks=False,
            acquire=hold,
            answers=answers,
            choose=lambda _question, words: None if words == ANSWERS else words[0],
        )

    def _answers(self, state: RunState) -> dict[str, str]:
        """Of a person who has found out what became of the commands whose end nobody saw."""
        done = self._programs.unseen or self._stage.model.state.restored
        return {change.name: "done" if done else "again" for change in state.open_changes}

    # -- what befalls it

    def _reach(self, place: str, faults: tuple[ProofFault, ...]) -> ProofFault | None:
        if self._over:
            return None
        befalls = faults if self._cast.reads or faults not in (AT_A_READ, AT_A_HOST_LOOK) else ()
        fault = self._points.reach(self._place(place), befalls)
        if fault is ProofFault.CRASH:
            self._crash()
        if fault in OF_A_MESSAGE:
            self._stage.transcript.happened(fault.value, place)
        elif fault is not None:
            self._stage.befall(fault)
        return fault

    def _place(self, place: str) -> str:
        step = next((record["step"] for record in reversed(self._records) if record["kind"] == "step.started"), "")
        return f"{step}, {place}" if step else place

    def _crash(self) -> NoReturn:
        """What the killed process had on its stack is left where it is: nothing of it goes on."""
        self._stage.transcript.happened(ProofFault.CRASH.value)
        if self._network is not None:
            self._network.die()
        contextvars.Context().run(self._after_a_crash)
        raise RuntimeError("the process of a schedule goes on after its end")

    def _after_a_crash(self) -> None:
        try:
            self._stage.timeline.wait(self._stage.now + AFTER_A_CRASH)
            if self._records and self._records[-1]["kind"] not in ENDINGS:
                self._process(resumed=True)
            elif not self._records:
                self._process()
            schedule = self._end()
        except Exception:
            self._stage.transcript.violated("simulation", traceback.format_exc())
            schedule = self._schedule()
        self._told(schedule)

    def _told(self, schedule: Schedule) -> Schedule:
        if self._points.tell is not None:
            self._points.tell([*self._points.played, schedule])
        return schedule

    # -- once the faults are over

    def _end(self) -> Schedule:
        """I3, I7, I8 and I11, and what a run that says that it is completed must have seen."""
        ended_at, ending = self._stage.now, self._ending
        self._over = True
        self._stage.mend()
        self._stage.timeline.wait(ended_at + CALM + 1.3 * self._cast.scenario.settings.gossip_delay)
        led = self._has_a_leader()
        if getattr(ending, "error_kind", "") == "bug":
            self._stage.transcript.violated("no bug", str(getattr(ending, "message", "")))
        if isinstance(ending, RunCompleted):
            self._stays_completed(ended_at)
            for invariant, untrue in self._machines.recoveries.untrue_end():
                self._stage.transcript.violated(invariant, f"{WHO}: {untrue}")
        elif isinstance(ending, RunFailed) and (led or self._may_recover()):
            self._goes_on_well()
        for lost in files.lost_snapshots(self._records):
            self._stage.transcript.violated("snapshot", lost)
        for broken in self._stage.truth.asked.broken_promises():
            self._stage.transcript.violated("I7", broken)
        return self._schedule(ending)

    def _may_recover(self) -> bool:
        """Whether the recovery of a lost quorum that failed is to go on: nobody of the plan has died meanwhile."""
        died = any(each.fault is ProofFault.ANOTHER_DIES for each in self._points.befallen)
        return self._machines.recoveries.is_confirmed and not died

    def _has_a_leader(self) -> bool:
        truth = self._stage.truth
        if truth.leader() is not None:
            return True
        running = [server for server in self._stage.model.state.servers.values() if server.running]
        best = max(running, key=lambda server: server.committed, default=None)
        held = best.committed_configuration if best else None
        alive = {server.raft_id for server in running}
        lives = held is not None and sum(voter.id in alive for voter in held.voters) >= quorum(len(held.voters))
        if lives and not truth.overtaken():
            sentence = "a quorum lives, nobody can be elected, and it was no race that did it"
            self._stage.transcript.violated("I3", sentence)
        return False

    def _stays_completed(self, ended_at: float) -> None:
        """Who was removed is not back, unless it came back once a reconcile had passed without it."""
        truth = self._stage.truth
        leader = truth.leader()
        gone = [record for record in self._records if record["kind"] == "removal.confirmed"]
        last = max((self._moment(record) for record in gone), default=ended_at)
        if leader is None or ended_at - last >= RECONCILE:
            return
        for record in gone:
            server = next((s for s in self._stage.model.state.servers.values() if s.raft_id == record["peer"]), None)
            back = server is not None and truth.back_since.get(server.name, ended_at + 1.0) <= ended_at
            if server is not None and back and any(peer.id == record["peer"] for peer in leader.peers):
                seconds = ended_at - last
                self._stage.transcript.violated(
                    "I11",
                    f"{WHO}: it says that it is completed {seconds:.0f} s after its last removal, before the leader's "
                    f"next reconcile, and {server.name}, which it removed, is back in the configuration",
                )

    def _moment(self, record: Mapping[str, Any]) -> float:
        return (datetime.fromisoformat(record["at"]) - BEGAN).total_seconds()

    def _goes_on_well(self) -> None:
        """I8: a run that failed can be resumed once all is well again, and does not miss the cluster then."""
        self._process(resumed=True)
        if isinstance(self._ending, RunFailed) and self._ending.error_kind in MISSED:
            sentence = f"{WHO}: resumed with a leader and without faults it failed: {self._ending.message}"
            self._stage.transcript.violated("I8", sentence)

    def _schedule(self, ending: Ending | None = None) -> Schedule:
        transcript = self._stage.transcript
        here = str(self._cast.folder / files.GIVEN), str(self._cast.folder)  # another one on each core
        violations = tuple((each.invariant, _without(here, each.sentence)) for each in transcript.violations)
        steps = {str(record["step"]) for record in self._records if record["kind"] == "step.started"}
        kind = ending.kind.partition(".")[2] if ending is not None else "cut off"
        code = getattr(ending, "code", None) or getattr(ending, "error_kind", "")
        return Schedule(
            tuple(map(str, self._points.befallen)),
            violations,
            f"{kind} {code}".strip(),
            tuple(sorted(steps)),
            tuple(sorted(self._programs.presumed)),
            tuple(_without(here, line) for line in format_transcript(transcript.lines)) if violations else (),
        )


def _uses(records: list[Mapping[str, Any]]) -> str:
    """The type of the step that is at work."""
    return next((str(record["uses"]) for record in reversed(records) if record["kind"] == "step.started"), "")


def _without(folders: Sequence[str], text: str) -> str:
    for folder in folders:
        text = text.replace(folder, "")
    return text
