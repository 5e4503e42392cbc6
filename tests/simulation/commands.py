"""The commands of a run as they really are: what each does, how often it is run, and what must hold as it begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from random import Random
from typing import Any

from runbook.changes import ANSWERS
from runbook.cluster.hashicorp.pulse import LIFE
from runbook.engine.execute import Ending
from runbook.events import RunRefused
from runbook.hosts.process import Command, Ended
from runbook.raft.removal import Policy
from runbook.run_state import fold
from tests.simulation.faults import ClusterFault, CommandTrial
from tests.simulation.invariants import IncidentChecks
from tests.simulation.tool import CrashPoint
from tests.simulation.world import SimulatedWorld

HEARD = LIFE  # seconds: so old may be what the leader heard from a server, at the beginning of a look
OLDEST_LOOK = 15.0  # seconds from the beginning of a look to the command that follows from it
Key = tuple[str, str, str]  # a run, the command's own name, and its item


@dataclass
class Begun:
    """What is really so of one command.

    ``by`` is the process that began it and ``at`` the length of its record then, ``name`` what the record calls it.
    ``ended``: that process has seen its end.
    """

    by: object
    at: int
    name: str
    acted: bool = False
    ended: bool = False


Ledger = dict[Key, Begun]


class Commands:
    """Those of one process of the tool."""

    def __init__(
        self,
        run: str,
        world: SimulatedWorld,
        checks: IncidentChecks,
        crash: CrashPoint,
        chance: Random,
        policy: Policy,
        ledger: Ledger,
    ) -> None:
        self._run, self._world, self._checks, self._crash, self._chance = run, world, checks, crash, chance
        self._policy, self._ledger = policy, ledger
        self._before = len(checks._records)
        self.unanswered = False
        self._made = 0
        checks.before_removal = self._may_change

    # -- the operating system

    def start(self, command: Command, seconds: float) -> Ended:
        """It takes its time, acts in the middle of it, and may be cut off anywhere."""
        kind, name, item = map(str, command.argv)
        transcript, key = self._world.transcript, (self._run, name, item)
        transcript.happened(CommandTrial.COMMAND.value, f"{kind} {name} {item}")
        self._may_begin(key)
        self._made += 1
        intent = self._checks._records[-1]
        called = intent["step"] if intent.get("item") is None else f"{intent['step']}.{intent['item'] + 1}"
        begun = self._ledger[key] = Begun(self, len(self._checks._records), str(called))
        takes = seconds + 1.0 if kind == "hang" else self._chance.uniform(0.1, 8.0)
        try:
            self._pass(min(takes, seconds) / 2)
            if kind == "kill":
                self._world.happen(ClusterFault.KILL, 0.0)
            begun.acted = True
            self._pass(min(takes, seconds) / 2)
        except BaseException:
            transcript.happened(CommandTrial.CUT_OFF.value, name)
            raise
        begun.ended = takes <= seconds
        return Ended((1 if kind == "fail" else 0) if begun.ended else None, "", "", 0)

    def _pass(self, seconds: float) -> None:
        timeline = self._world.timeline
        timeline.wait(timeline.now + seconds)
        self._crash.reach("inside command")

    # -- the person who goes on with a run

    def answers(self, chance: Random) -> dict[str, str]:
        """At times nobody is there to ask; else they have found out what is so, or want to do that first."""
        waiting = fold(self._checks._records).open_changes
        if not waiting:
            return {}
        self.unanswered = chance.random() < 0.5
        self._world.transcript.happened((CommandTrial.UNANSWERED if self.unanswered else CommandTrial.ANSWERED).value)
        if self.unanswered:
            return {}
        if chance.random() < 0.15:
            self.unanswered = True
            return dict.fromkeys((change.name for change in waiting), "stop")
        acted = {begun.name for key, begun in self._ledger.items() if key[0] == self._run and begun.acted}
        return {change.name: "done" if change.name in acted else "again" for change in waiting}

    def over(self, ending: Ending | None) -> None:
        """I8: unanswered, nothing is done, and the run is refused."""
        if not self.unanswered:
            return
        refused = isinstance(ending, RunRefused) and ending.code in ("CannotTell", "Stopped")
        self._require(refused or ending is None, "I8", f"unanswered, and it ended as {ending}")
        self._require(self._made + self._checks.removals == 0, "I8", "unanswered, and something was changed")

    # -- what must hold

    def _may_begin(self, key: Key) -> None:
        checks = self._checks
        self._require(checks._records[-1]["kind"] == "change.begun", "I7", "a command without an intent on record")
        self._require(not checks._dry_run, "I5", "a dry run runs a command")
        self._require(bool(checks._views), "I16", "a command, and nobody has looked which cluster it is for")
        known = any(view.best_configuration is not None for view in checks._views)
        self._require(checks._holds_lock() or not known, "I5", "a command without the lock")
        self._may_change(key)
        self._cluster_stands()
        self._is_no_repetition(key)

    def _may_change(self, *keys: Key) -> None:
        """One count for commands and removals; and a person, asked by this very process."""
        records = self._checks._records
        agreed = any(record["kind"] == "change.approved" for record in records[self._before :])
        self._require(agreed, "I5", "a change that nobody has agreed to")
        commands = {key for key in self._ledger if key[0] == self._run} | {*keys}
        removals = {str(record["peer"]) for record in records if record["kind"] == "removal.requested"}
        count, most = len(commands) + len(removals), self._policy.max_changes
        self._require(count <= most, "I16", f"this is change number {count}, and {most} are allowed")

    def _cluster_stands(self) -> None:
        """What the playbook states, in the look just before it and in truth."""
        checks, policy, truth = self._checks, self._policy, self._world.truth
        if not policy.stated:
            return
        age = self._world.timeline.now - checks._look_began
        self._require(age <= OLDEST_LOOK, "I16", f"the look before a command began {age:.0f} s ago")
        self._require(
            checks._views[-1].configuration is not None, "I16", "guards are stated, and nobody led in the look"
        )
        looks = [r for r in checks._records if r["kind"] == "cluster.looked" and r["leader"] is not None]
        first, last = (looks[at] if looks else {"voters": 0, "live_voters": 0} for at in (0, -1))
        if "min_voters" in policy.stated:
            seen, least, leader = last["live_voters"], policy.min_voters, truth.leader()
            self._require(seen >= least, "I16", f"{seen} voters were seen alive and {least} are needed")
            listed = [truth.server_of(peer) for peer in leader.peers if peer.voter] if leader else []
            live = sum(server is not None and server.running for server in listed)
            if leader is not None:
                checks.require_or_race(
                    live >= least, "I16", f"{live} voters live and {least} are needed", evidence=HEARD
                )
        if "never_worse" in policy.stated:
            before, now = (each["live_voters"] - (each["voters"] // 2 + 1) for each in (first, last))
            self._require(now >= before, "I16", f"the margin of live voters fell from {before} to {now}")

    def _is_no_repetition(self, key: Key) -> None:
        """Of what an earlier process began: its end is on record, or a person has said so since."""
        before = self._ledger.get(key)
        if before is None or before.by is self:
            return
        since: Sequence[Mapping[str, Any]] = self._checks._records[before.at :]
        seen = before.ended and any(record["kind"] in ("step.completed", "step.failed") for record in since)
        word = any(record["kind"] == "change.answered" and record["answer"] == "again" for record in since)
        self._require(seen or word, "I8", f"{key[1]} {key[2]} is run again: its end was not seen, and nobody said so")

    def _require(self, held: bool, invariant: str, sentence: str) -> None:
        self._checks.require(held, invariant, sentence)


def chosen(answers: Mapping[str, str]) -> Callable[[str, tuple[str, ...]], str | None]:
    """The same answers, given at the terminal: the question names the step."""
    return lambda question, words: answers.get(question.split()[1]) if words == ANSWERS else None


_AT_WORK: ContextVar[Commands] = ContextVar("at work")  # each actor of the simulation has a context of its own


def at_work(commands: Commands) -> None:
    """From now on what this actor starts is started by this process of the tool."""
    _AT_WORK.set(commands)


def run_command(command: Command, seconds: float, _stopped: Callable[[], bool] = lambda: False) -> Ended:
    """Takes the place of the one of :mod:`runbook.hosts.process`."""
    return _AT_WORK.get().start(command, seconds)
