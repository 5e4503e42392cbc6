"""A cluster behind the port, without a network or a clock: five servers, what each holds, and what a removal does."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any

from runbook.cluster.hashicorp.opinions import opinions_in
from runbook.engine.execute import Ending, execute
from runbook.engine.plan import bind_plan
from runbook.engine.services import RunServices
from runbook.errors import ClusterError, ErrorKind, RefusedError
from runbook.events import Event, RunStarted
from runbook.playbook.approval_rule import ApprovalRule
from runbook.playbook.params import bind_params
from runbook.playbook.parser import parse_playbook
from runbook.raft.left_out import NOBODY, LeftOutList, refusal_if_returned
from runbook.raft.model import AutopilotSettings, ClusterView, Configuration, Member, MemberStatus, Peer, Reach, Vantage
from runbook.run_state import RunState, fold
from runbook.saved_plan import SavedPlan
from runbook.steps.context import Agreement
from runbook.steps.registry import CATALOG

NO_MINIMUM = AutopilotSettings(cleanup_dead_servers=False, min_quorum=0)
UNREAD = "GET /v1/operator/autopilot/configuration answered 404: Invalid method"
ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK = ROOT / "playbooks" / "remove-dead-peers.yaml"


class FakeClock:
    """Sleeping is what lets its time pass, and so does every look."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> str:
        minutes, seconds = divmod(self.seconds, 60)
        return f"2026-01-01T00:{int(minutes):02}:{seconds:06.3f}+00:00"

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def peer(number: int) -> Peer:
    return Peer(f"id-{number}", f"127.0.0.{10 + number}:4647", voter=True, name=f"s{number}.global", protocol=3)


def mute(number: int) -> Vantage:
    where = peer(number)
    return Vantage(f"http://{where.address}", Reach.ACCEPTED, expected_id=where.id, trouble="no answer in time")


@dataclass
class FakeCluster:
    """``held`` is each living server's own list of peers, by number; ``replies`` is what becomes of the next removals.

    ``done`` happens and is answered, ``lost`` happens without an answer, ``dropped`` does not happen and has none,
    ``unknown`` is answered with *was not found*. ``late 22`` is given up after 20 s and happens 22 s after it was asked
    for, as at a leader whose disk hangs. ``changes`` counts what was asked for. Who is in ``hung`` accepts connections
    and says nothing. ``slow_looks`` are the seconds that a look of this number takes; ``at_look`` is what happens at
    its end.
    """

    clock: FakeClock
    servers: int = 5
    dead: set[int] = field(default_factory=set)
    leader: int | None = 1
    term: int = 2
    replies: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    late: list[tuple[float, int]] = field(default_factory=list)
    hung: set[int] = field(default_factory=set)
    looks: int = 0
    at_look: dict[int, Callable[[FakeCluster], None]] = field(default_factory=dict)
    slow_looks: dict[int, float] = field(default_factory=dict)
    opens: dict[int, tuple[float, float]] = field(default_factory=dict)
    name: str = "nomad:fake"
    secrets: tuple[str, ...] = ()
    autopilot: AutopilotSettings | None = NO_MINIMUM

    def __post_init__(self) -> None:
        self.held = {number: set(range(1, self.servers + 1)) for number in range(1, self.servers + 1)}

    def look(self, *, within: float = inf) -> ClusterView:
        self.looks += 1
        began = self.clock.monotonic()
        self.clock.sleep(self.slow_looks.get(self.looks, 0.01))
        if self.looks in self.at_look:
            self.at_look[self.looks](self)
        self.catch_up()
        alive = [number for number in self.held if number not in self.dead | self.hung]
        leader = self.leader if self.leader in alive else None
        status = {n: MemberStatus.FAILED if n in self.dead else MemberStatus.ALIVE for n in self.held}
        members = tuple(Member(f"s{n}", status[n], peer(n).id, peer(n).address) for n in self.held)
        view = ClusterView(
            cluster=self.name,
            taken_at=began,
            seconds=self.clock.monotonic() - began,
            configuration=self._configuration(leader) if leader else None,
            leader_id=peer(leader).id if leader else None,
            vantages=(*(self._vantage(number, members) for number in alive), *map(mute, sorted(self.hung))),
            probes={peer(n).address: Reach.REFUSED if n in self.dead else Reach.ACCEPTED for n in self.held},
            error_kind=None if leader else "no_leader",
            autopilot=self.autopilot,
            autopilot_error=UNREAD if self.autopilot is None else None,
        )
        return replace(view, opinions=opinions_in(view))

    def _vantage(self, number: int, members: tuple[Member, ...]) -> Vantage:
        who, held = peer(number), self._configuration(number)
        return Vantage(
            f"http://{who.address}",
            Reach.ANSWERED,
            who.id,
            who.name,
            who.address,
            state="Leader" if number == self.leader else "Follower",
            term=self.term,
            configuration=held,
            members=members,
            last_contact=0.02,
        )

    def _configuration(self, number: int) -> Configuration:
        return Configuration(tuple(peer(n) for n in self.held[number]))

    def probe(self, addresses: Collection[str]) -> Mapping[str, Reach]:
        """Between the looks; ``opens`` says of a dead server from when to when its port accepts."""
        now, number = self.clock.monotonic(), {peer(n).address: n for n in self.held}
        opened = {address for address in addresses for since, until in [self.opens.get(number[address], (inf, inf))]
                  if since <= now < until}  # fmt: skip
        return {address: Reach.ACCEPTED if address in opened else Reach.REFUSED for address in addresses}

    def remove_peer(self, target: Peer, *, within: float = inf) -> None:
        self.act(target)

    def act(self, target: Peer) -> None:
        """What a test puts something else in the place of."""
        self.changes.append(target.id)
        reply = self.replies.pop(0) if self.replies else "done"
        if reply.startswith("late "):
            number = int(target.id.removeprefix("id-"))
            self.late.append((self.clock.seconds + float(reply.removeprefix("late ")), number))
            self.clock.sleep(20.0)
        self.catch_up()
        if reply in ("done", "lost"):
            self.drop(int(target.id.removeprefix("id-")))
        if reply == "unknown":
            raise ClusterError(ErrorKind.NOT_A_PEER, f'id "{target.id}" was not found in the Raft configuration')
        if reply != "done":
            raise ClusterError(ErrorKind.AMBIGUOUS, "the connection broke")

    def catch_up(self) -> None:
        """What is due of what came late."""
        for due, number in self.late:
            if due <= self.clock.seconds:
                self.drop(number)
        self.late = [(due, number) for due, number in self.late if due > self.clock.seconds]

    def drop(self, number: int) -> None:
        for held in self.held.values():
            held.discard(number)

    def add(self, number: int) -> None:
        for held in self.held.values():
            held.add(number)

    def elect(self, leader: int, term: int) -> None:
        self.leader, self.term = leader, term

    def settle_on(self, autopilot: AutopilotSettings | None) -> None:
        self.autopilot = autopilot

    def save_state(self, path: Path, *, within: float = inf) -> str:
        path.write_bytes(b"state")
        return "0" * 64


@dataclass
class Run:
    """One run on a fake cluster: its records as the journal would keep them, and how it ended."""

    cluster: FakeCluster
    folder: Path
    answer: str | None = None
    agreed: str | None = "ann"
    answers: Mapping[str, str] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)
    overrides: frozenset[str] = frozenset()
    path: str = "fake.yaml"
    params: Mapping[str, str] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    text: bytes = field(default_factory=PLAYBOOK.read_bytes)
    state: RunState = field(default_factory=RunState)
    left_out: LeftOutList = NOBODY
    plan: SavedPlan | None = None
    claims: list[str] = field(default_factory=list)
    run_reads: bool = False
    check_approved: Callable[[tuple[ApprovalRule, ...]], tuple[Agreement, ...]] = lambda _rules: ()

    def execute(self, past: RunState | None = None, *, dry_run: bool = False) -> Ending:
        """From the beginning, or on from ``past``, which is :attr:`state`."""
        playbook = parse_playbook(self.text, self.path, CATALOG)
        plan = bind_plan(playbook, "run-1", bind_params(playbook, self.params))
        if past is None:
            self.state = RunState()
            started = RunStarted("run-1", plan.playbook.name, "", self.cluster.name, "ann", dry_run, plan.params)
            self.emit(started)
        return execute(plan, self._services(dry_run), self.state)

    def progress(self) -> RunState:
        """As it stands in the record; what is emitted from now on advances it."""
        self.state = fold(self.records)
        return self.state

    def kinds(self, family: str) -> list[str]:
        return [record["kind"] for record in self.records if record["kind"].startswith(family)]

    def emit(self, event: Event) -> None:
        record = {"at": self.cluster.clock.now(), **event.record()}
        self.records.append(record)
        self.state.apply(record, view=getattr(event, "view", None), moment=self.cluster.clock.monotonic())

    def _services(self, dry_run: bool) -> RunServices:
        return RunServices(
            cluster=self.cluster,
            clock=self.cluster.clock,
            emit=self.emit,
            folder=self.folder,
            random_fraction=lambda: 0.0,
            approve=self._approve,
            dry_run=dry_run,
            keep_tracebacks=True,
            choose=self._choose,
            set_aside=lambda guard, _refusal: guard in self.overrides,
            answers=self.answers,
            check_left_out=self._check_left_out,
            plan=self.plan,
            run_reads=self.run_reads,
            check_approved=self.check_approved,
            claim_plan=lambda: self.claims.append("claimed"),
        )

    def _check_left_out(self, view: ClusterView) -> None:
        if reason := refusal_if_returned(view, self.left_out):
            raise RefusedError(reason)

    def _approve(self, sentence: str, _seconds: float) -> Agreement | None:
        self.questions.append(sentence)
        return None if self.agreed is None else Agreement(self.agreed, "at the terminal")

    def _choose(self, question: str, _answers: tuple[str, ...]) -> str | None:
        self.questions.append(question)
        return self.answer
