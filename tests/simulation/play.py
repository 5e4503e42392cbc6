"""One incident from its first moment to its last: first with faults, where only safety counts, then without."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from runbook.cluster.hashicorp.adapter import HashiCorpCluster
from runbook.cluster.hashicorp.dialects import NOMAD
from runbook.cluster.http import HttpSettings
from runbook.cluster_events import ConfirmedOff, GuardOverridden
from runbook.engine.execute import Ending, execute
from runbook.engine.plan import Plan
from runbook.engine.services import RunServices
from runbook.events import RunCompleted, RunFailed, RunRefused, RunResumed, RunStarted
from runbook.proving.checks import EndlessError
from runbook.proving.truth import Violation
from runbook.proving.watched import WatchedCluster
from runbook.simulation.state import ProcessState
from runbook.steps.context import Agreement
from tests.simulation.commands import Commands, Ledger, at_work, chosen
from tests.simulation.endings import Endings
from tests.simulation.faults import CommandTrial
from tests.simulation.incident import TOKEN, Incident, stream
from tests.simulation.invariants import IncidentChecks
from tests.simulation.minimum import FOREVER, plan_minimum
from tests.simulation.plans import plan_of
from tests.simulation.runs import Locks, Run
from tests.simulation.tool import CrashPoint, MemoryJournal, ToolCrash, ToolNetwork, VirtualClock
from tests.simulation.world import SimulatedWorld

HOME = "this host"
MOST_RUNS = 3
NO_MORE_RUNS_AFTER = 500.0  # seconds since the first one began
CALM = 95.0  # seconds for an election, the next reconcile and a promotion, beside what gossip needs


@dataclass(frozen=True)
class Result:
    """What became of one incident."""

    seed: int
    violations: tuple[Violation, ...]
    counts: Counter[str]
    text: str


def play_in(incident: Incident, folder: Path) -> Result:
    """Never raises for what an incident brings; a fault of the simulation itself is raised."""
    performance = _IncidentRun(incident, folder)
    performance.with_faults()
    performance.without_faults()
    for broken in performance.world.truth.asked.broken_promises():
        performance.world.transcript.violated("I7", broken)
    transcript = performance.world.transcript
    counts = transcript.counts + performance.world.network.counts
    return Result(incident.seed, tuple(transcript.violations), counts, transcript.text())


class _IncidentRun:
    def __init__(self, incident: Incident, folder: Path) -> None:
        self.world = SimulatedWorld(incident)
        if incident.goes_on:
            self.world.faults.lose_removals()
        self.world.second_run = self._start_second
        self._incident = incident
        self._folder = folder
        self._journals: dict[str, MemoryJournal] = {}
        self._ledger: Ledger = {}
        self.locks = Locks(lambda run: self._journals[run].records, self.world.transcript.violated)
        self._runs = 0
        self._last: Run | None = None
        self._fellow_ended: Callable[[], bool] = lambda: True

    def with_faults(self) -> None:
        timeline, chance = self.world.timeline, self._incident.chance("pauses")
        self.world.set()
        plan_minimum(self._incident.unreadable, timeline.at, self.world.network.put_minimum)
        timeline.wait(self._incident.run_at)
        for number in range(MOST_RUNS):
            self._go_on_or_anew("tool", self._incident.crash(number), resume=chance.random() < 0.7)
            if self._last is not None and self._last.ending is not None and chance.random() < 0.6:
                break
            timeline.wait(timeline.now + chance.uniform(0.5, 30.0))
            if timeline.now > self._incident.run_at + NO_MORE_RUNS_AFTER:
                break

    def without_faults(self) -> None:
        timeline, transcript = self.world.timeline, self.world.transcript
        self.world.end_faults()
        if self._incident.unreadable is not None and self._incident.unreadable.lasts < FOREVER:
            self.world.network.put_minimum(None)
        timeline.wait(timeline.now + CALM + 1.3 * self._incident.settings.gossip_delay)
        timeline.wait(timeline.now + 3000.0, self._fellow_ended)
        if not self._fellow_ended():
            transcript.violated("I10", "the second run does not end")
            return
        endings = Endings(self.world)
        led = endings.has_a_leader()
        if self._last is not None and self._last.may_go_on and self._incident.chance("end").random() < 0.7:
            endings.goes_on_well(self._process("last resume", CrashPoint(), past=self._last), led)
        rehearses = self._incident.rehearses and (self._incident.commands is None or self._incident.commands.end_well)
        foretold = self._process("rehearsal", CrashPoint(), dry_run=True) if rehearses else None
        run = self._process("last run", CrashPoint())
        endings.ends_well(run, led)
        if foretold is not None:
            endings.was_foretold(foretold, run)
        if self._incident.runs_again and isinstance(run.ending, RunCompleted):
            endings.was_quiet(self._process("once more", CrashPoint()))

    # -- one process

    def _go_on_or_anew(self, who: str, crash: CrashPoint, *, resume: bool) -> None:
        past = self._last if resume and self._last is not None and self._last.may_go_on else None
        self._last = self._process(who, crash, past=past)
        if self._last.commands.unanswered and self._incident.chance(f"comes back {self._runs}").random() < 0.7:
            self._last = self._process(who, CrashPoint(), past=self._last)

    def _process(
        self, who: str, crash: CrashPoint, *, host: str = HOME, dry_run: bool = False, past: Run | None = None
    ) -> Run:
        self._runs += 1
        transcript, name = self.world.transcript, past.name if past else f"{who} {self._runs}"
        transcript.counts["resumes" if past else "runs"] += 1
        run = self._prepared(name, host, crash, dry_run, past)
        try:
            run.ending = self._executed(run, crash, dry_run, past)
            run.checks.over()
            self.locks.free(name)
        except ToolCrash:
            self.locks.dies(name)
            transcript.happened("crash", f"of {name} at {crash.point} {crash.nth}")
        except EndlessError:
            self.locks.dies(name)
        except KeyboardInterrupt:
            self.locks.dies(name)
            transcript.happened("interrupt", f"of {name} outside of a step")
        run.commands.over(run.ending)
        self._count(run)
        return run

    def _prepared(self, name: str, host: str, crash: CrashPoint, dry_run: bool, past: Run | None) -> Run:
        world, plan = self.world, self._plan(name)
        records = past.journal.records if past else []
        checks = IncidentChecks(
            world.truth,
            world.transcript,
            plan,
            name,
            dry_run=dry_run,
            token=TOKEN,
            holds_lock=lambda: self.locks.has(name),
            inject_fault=world.inject_fault,
            past=records,
        )
        clock = VirtualClock(world.timeline, crash, checks, world.hosts)
        lines = list(past.journal.lines) if past else []
        journal = MemoryJournal(clock, crash, checks, lines, world.hang_disk, world.removal_begins)
        self._journals[name] = journal
        own = self._incident.chance(f"commands of {name} {len(records)}")
        commands = Commands(name, world, checks, crash, own, plan.policy, self._ledger)
        return Run(name, host, journal, checks, commands, began_at=len(records))

    def _executed(self, run: Run, crash: CrashPoint, dry_run: bool, past: Run | None) -> Ending:
        incident, world, checks = self._incident, self.world, run.checks
        plan = self._plan(run.name)
        own = stream(incident.seed, f"tool {run.name} {len(run.journal.lines)}")
        passes = not run.name.startswith("tool") or stream(incident.seed, f"takes over {run.name}").random() < 0.75
        over = past is None and passes
        tool_network = ToolNetwork(world.network, world.timeline, world.faults, crash, checks, TOKEN, own)
        inner = HashiCorpCluster(NOMAD, incident.addresses, HttpSettings({"X-Nomad-Token": TOKEN}), None, tool_network)
        folder = self._folder / run.name
        folder.mkdir(exist_ok=True)
        services = RunServices(
            cluster=WatchedCluster(inner, checks),
            clock=VirtualClock(world.timeline, crash, checks, world.hosts),
            emit=run.journal.emit,
            folder=folder,
            random_fraction=own.random,
            approve=lambda _sentence, _seconds: self._agree(stream(incident.seed, f"person {run.name}")),
            dry_run=dry_run,
            keep_tracebacks=False,
            acquire=lambda peers: self.locks.take(run.host, peers, run.name, over=over),
            set_aside=lambda guard, refusal: self._set_aside(run, guard, refusal),
        )
        at_work(run.commands)
        try:
            if past is not None:
                services = self._answering(services, run)
                run.journal.emit(RunResumed("simulated", inner.name, own.random() < 0.5))
                self._say_who_is_off(run)
                return execute(plan, services, run.journal.state)
            digest, params = plan.playbook.digest, plan.params
            run.journal.emit(RunStarted(run.name, "simulated", digest, inner.name, "simulated", dry_run, params))
            self._say_who_is_off(run)
            return execute(plan, services, run.journal.state)
        except ToolCrash:
            tool_network.die()
            raise

    def _say_who_is_off(self, run: Run) -> None:
        """A person's word on those whose process or machine is gone, and on one of whom they only believe it."""
        word, leader = self._incident.word, self.world.truth.leader()
        if word is None or leader is None or run.name.startswith("once more"):
            return  # a new word would be news, and that run is to be quiet
        found = {peer.label: self.world.truth.server_of(peer) for peer in leader.peers}
        gone = [name for name, server in found.items() if server is None or server.process is ProcessState.KILLED]
        others = [name for name in found if name not in gone]
        chance = stream(self._incident.seed, f"word on {sorted(gone)}")
        wrong = chance.sample(others, 1) if word.wrong and others and not self.world.over else []
        for name in (*chance.sample(gone, min(word.most, len(gone))), *wrong):
            self.world.transcript.happened(
                (CommandTrial.WRONG_WORD if name in wrong else CommandTrial.RIGHT_WORD).value
            )
            run.journal.emit(ConfirmedOff(name, "a person", "seen from where it stands"))

    def _answering(self, services: RunServices, run: Run) -> RunServices:
        """With the person who goes on with the run, at the terminal or beforehand."""
        chance = stream(self._incident.seed, f"answers of {run.name} {len(run.journal.lines)}")
        answers = run.commands.answers(chance)
        if chance.random() < 0.5:
            return replace(services, answers=answers)
        return replace(services, choose=chosen(answers))

    def _agree(self, chance: Random) -> Agreement | None:
        """Before the first change. While there are faults some people take their time, and some say no."""
        world, roll = self.world, chance.random()
        if not self._incident.person or world.over or roll > 0.9:
            return Agreement("a person", "by --yes")
        if roll < 0.3:
            world.transcript.happened(CommandTrial.NOBODY.value)
            return None
        seconds = chance.choice((5.0, 30.0, 120.0, 400.0))
        world.transcript.happened(CommandTrial.SLOW_PERSON.value, f"{seconds:g} s")
        world.timeline.wait(world.timeline.now + seconds)
        return Agreement("a person", "at the terminal")

    def _plan(self, run: str) -> Plan:
        incident = self._incident
        params = tuple(sorted(incident.params.items()))
        return plan_of(params, run, incident.commands, goes_on=incident.goes_on)

    def _set_aside(self, run: Run, guard: str, refusal: str) -> bool:
        """By word of the person who runs the tool in this incident, on record."""
        if self._incident.unreadable is None or not self._incident.unreadable.by_word:
            return False
        run.journal.emit(GuardOverridden(guard, "simulated", "we know that it is enough", refusal))
        return True

    def _start_second(self) -> None:
        if self._fellow_ended():
            host = HOME if self._incident.shares_lock else "another host"
            self._fellow_ended = self.world.timeline.start(lambda: self._second(host))

    def _second(self, host: str) -> None:
        try:
            self._process("fellow", CrashPoint(), host=host)
        except BaseException as error:
            self.world.transcript.violated("simulation", f"the second run broke: {error!r}")

    def _count(self, run: Run) -> None:
        counts = self.world.transcript.counts
        ending = run.ending.kind if run.ending is not None else "cut off"
        counts[f"runs {ending}"] += 1
        if isinstance(run.ending, RunRefused):
            counts["refusals"] += 1
            counts[f"refused {run.ending.code}"] += 1
        if isinstance(run.ending, RunFailed):
            counts[f"failed {run.ending.error_kind}"] += 1
            if run.ending.error_kind == "bug":
                self.world.transcript.violated("no bug", run.ending.message)
        counts["removals"] += len(run.of_kind("removal.confirmed"))
        counts["already gone"] += len(run.of_kind("removal.already_gone"))
        counts["unsettled"] += len(run.of_kind("removal.unsettled"))
        counts["still listed"] += len(run.of_kind("removal.still_listed"))
