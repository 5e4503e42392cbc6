"""A simulated world that stands still from some moment on, with every person, command and API that a playbook may meet.

Two of one seed are the same world at the same moment: what a dry run foretells in one is what a run does in the other.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, cast
from unittest.mock import patch

from runbook.cluster.hashicorp.adapter import HashiCorpCluster
from runbook.cluster.hashicorp.dialects import NOMAD
from runbook.cluster.held import HeldCluster
from runbook.cluster.http import HttpSettings, Reply
from runbook.engine.execute import Ending, execute
from runbook.engine.plan import bind_plan
from runbook.engine.services import RunServices
from runbook.errors import RefusedError
from runbook.events import Event, RunStarted
from runbook.hosts import process
from runbook.hosts.process import Command, Ended
from runbook.playbook.params import bind_params
from runbook.playbook.parser import parse_playbook
from runbook.raft.removal import Refusal
from runbook.redaction import Redactor
from runbook.run_state import RunState
from runbook.saved_plan import SavedPlan
from runbook.secrets import SecretStore
from runbook.simulation.state import ProcessState
from runbook.steps import exchange, waiting
from runbook.steps.context import Agreement
from runbook.steps.exchange import Request
from runbook.steps.registry import CATALOG
from tests.simulation.incident import TOKEN, draw, stream
from tests.simulation.invariants import IncidentChecks
from tests.simulation.tool import CrashPoint, ToolNetwork, VirtualClock
from tests.simulation.world import SimulatedWorld

SECRETS = {"SNAPSHOT_PING_URL": "http://ping.example.org/c4nary", "CHAT_WEBHOOK": "http://chat.example.org/c4nary",
           "NOMAD_TOKEN": TOKEN, "BALANCER_TOKEN": "balancer-c4nary"}  # fmt: skip


class _Unwatched:
    """Nobody checks anything: what is compared is what the record says."""

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_words, **_more: None


class StandingWorld:
    """Nothing befalls it any more. Some worlds have had time to settle since, and in some gossip is still at it."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed, self.folder = seed, folder
        self.incident = replace(draw(seed), suspends=False)
        self.chance = stream(seed, "standing")
        self._thread = threading.get_ident()
        self.world = SimulatedWorld(self.incident)
        self.records: list[dict[str, Any]] = []
        self.plan: SavedPlan | None = None  # what a run is held to
        self.state = RunState()
        settled = self.chance.choice((0.0, 5.0, 30.0, 200.0, 200.0, 200.0))
        self._stop(settled)

    def _stop(self, settled: float) -> None:
        """Whatever befalls it is over, mended or not; elections and gossip go on as they do."""
        world, timeline = self.world, self.world.timeline
        world.set()
        world.faults.stop_faults()
        timeline.wait(self.incident.run_at + self.chance.choice((0.0, 60.0, 150.0)))
        world.over = True
        timeline._due.clear()
        world.network.links.deaf.clear()  # replies that are lost one way only are no still world: each look differs
        timeline.wait(timeline.now + settled)

    def picture(self) -> object:
        """What of it must not change by itself, if it is to stand still."""
        leader = self.world.truth.leader()
        return leader and (leader.name, leader.term, leader.peers), self.running()

    def running(self) -> frozenset[str]:
        return frozenset(each.name for each in self.world.model.state.servers.values() if each.running)

    def wait(self, seconds: float) -> None:
        self.world.timeline.wait(self.world.timeline.now + seconds)

    # -- the run

    def play(self, path: Path, params: Mapping[str, str], person: str, *, dry_run: bool) -> Ending:
        """``person``: agrees, is absent, or is held up by a lock or a cool-down."""
        playbook = parse_playbook(path.read_bytes(), str(path), CATALOG)
        plan = bind_plan(playbook, "foretold", bind_params(playbook, dict(params)))
        self.folder.mkdir(exist_ok=True)
        with ExitStack() as stack:
            for target, name, instead in (
                (process, "run_command", self._run_command),
                (exchange, "exchange", self._exchange),
                (waiting, "_why_closed", lambda *_words: ""),
            ):
                stack.enter_context(patch.object(target, name, instead))
            self._emit(RunStarted("foretold", playbook.name, "", "nomad", "ann", dry_run, plan.params))
            return execute(plan, self._services(person, dry_run), self.state)

    def _services(self, person: str, dry_run: bool) -> RunServices:
        world, own = self.world, stream(self.seed, "tool")
        unwatched = cast("IncidentChecks", _Unwatched())
        network = ToolNetwork(world.network, world.timeline, world.faults, CrashPoint(), unwatched, TOKEN, own)
        settings = HttpSettings({"X-Nomad-Token": TOKEN}, read_only=dry_run)

        def agree(_sentence: str, _seconds: float) -> Agreement | None:
            return None if person == "absent" else Agreement("ann", "by --yes")

        def choose(_question: str, answers: tuple[str, ...]) -> str | None:
            return None if person == "absent" else answers[0]

        cluster = HashiCorpCluster(NOMAD, self.incident.addresses, settings, None, network)
        return RunServices(
            cluster=HeldCluster(cluster, self.plan) if self.plan else cluster,
            clock=VirtualClock(world.timeline, CrashPoint(), unwatched, world.hosts),
            emit=self._emit,
            folder=self.folder,
            random_fraction=lambda: 0.5,
            approve=agree,
            would_approve=agree,
            choose=choose,
            would_choose=choose,
            dry_run=dry_run,
            plan=self.plan,
            keep_tracebacks=True,
            check_free=self._refuse(person, "Locked"),
            acquire=self._refuse(person, "Locked"),
            check_cooldown=self._refuse(person, "CoolDown"),
            secret_store=SecretStore(SECRETS, Redactor()),
        )

    def _refuse(self, person: str, code: str) -> Callable[[frozenset[str]], None]:
        def check(_peers: frozenset[str]) -> None:
            if person == code:
                raise RefusedError(Refusal(code, "it is so", "Wait"))

        return check

    def _emit(self, event: Event) -> None:
        timeline = self.world.timeline
        record = json.loads(json.dumps({"at": "2026-01-01T00:00:00+00:00", **event.record()}))
        self.records.append(record)
        self.state.apply(record, view=getattr(event, "view", None), moment=timeline.now)

    # -- what a playbook may meet beside the cluster

    def _pass(self, seconds: float) -> None:
        """For what is done side by side no time passes: the world's greenlets belong to one thread."""
        if threading.get_ident() == self._thread:
            self.wait(seconds)

    def _run_command(self, command: Command, _seconds: float, _stopped: Callable[[], bool] = bool) -> Ended:
        """It takes two seconds and ends well. To start a successor brings a dead server back, without its data."""
        self._pass(2.0)
        dead = [each for each in self.world.model.state.servers.values() if each.process is ProcessState.KILLED]
        if any("systemctl start" in word for word in command.argv) and dead:
            self.world._return(dead[0], wiped=True)
        return Ended(0, "", "", 0)

    def _exchange(self, _request: Request, _seconds: float, _limit: int = 0) -> Reply:
        """Whoever is asked is well."""
        self._pass(0.1)
        return Reply(200, {}, json.dumps({"DrainStrategy": None, "serving": True}).encode())


@contextmanager
def quick_disk() -> Iterator[None]:
    """Nothing of it is to outlive the test."""
    with patch("os.fsync"):
        yield


def chance_of(seed: int, purpose: str) -> Random:
    return stream(seed, purpose)
