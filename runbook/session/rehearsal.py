"""A run on a cluster that is played, in virtual time, and whether it came to what was expected.

Its record lies in a folder of its own and goes with it: no lock, cool-down or history of a real cluster is touched, and
nothing leaves the process (:func:`runbook.doors.shut_for_rehearsal`).
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from runbook.clock import SystemClock
from runbook.cluster.port import Cluster
from runbook.dataclass import dataclass
from runbook.doors import shut_for_rehearsal
from runbook.engine.execute import Ending
from runbook.errors import NotStartedError
from runbook.events import RunCompleted, RunFailed, RunRefused
from runbook.lab.virtual.door import VirtualClock
from runbook.lab.virtual.timeline import Timeline
from runbook.raft.diagnosis.diagnose import diagnose
from runbook.raft.diagnosis.findings import Finding
from runbook.redaction import Redactor
from runbook.run_state import RunState
from runbook.session.open_run import RunRequest, open_run, user_name
from runbook.session.run_session import EventWriter, RunSession
from runbook.simulation.scenario import Expectation
from runbook.steps.context import Agreement

JITTER = 1  # the seed of what retries draw: a rehearsal is the same each time


class Stage(Protocol):
    """A cluster that is played. ``impossible`` says what could not be played; empty where all could."""

    @property
    def timeline(self) -> Timeline: ...

    @property
    def impossible(self) -> str: ...

    def cluster(self) -> Cluster:
        """For one process of the tool."""

    def name_of(self, raft_id: str) -> str:
        """Whose id it is or was."""

    def voters(self) -> tuple[str, ...]:
        """Of the newest configuration, by name."""

    def leader(self) -> str | None:
        """By name."""


@dataclass(frozen=True)
class Rehearser:
    """Who agrees to everything, as nothing comes of it, and gives the first of the answers where they are asked."""

    name: str

    def approve(self, sentence: str, seconds: float) -> Agreement | None:  # noqa: ARG002 - whatever it is
        return Agreement(self.name, "as a rehearsal presumes")

    def choose(self, question: str, answers: tuple[str, ...]) -> str | None:  # noqa: ARG002 - whatever it is
        return answers[0]

    would_approve, would_choose = approve, choose


@dataclass(frozen=True)
class Rehearsed:
    """What came of it. ``removed`` are those whom the run asked for and saw gone."""

    ending: Ending
    state: RunState
    findings: tuple[Finding, ...]
    removed: tuple[str, ...]
    voters: tuple[str, ...]
    leader: str | None


@dataclass(frozen=True)
class Comparison:
    """One thing that was expected, and what came, in words."""

    what: str
    expected: str
    came: str
    holds: bool


def rehearse(
    request: RunRequest,
    stage: Stage,
    starts_at: float,
    environment: Mapping[str, str],
    redactor: Redactor,
    writing: Callable[[RunSession], AbstractContextManager[EventWriter]],
    pace: Callable[[float], None] | None = None,
) -> Rehearsed:
    """Diagnose the cluster at ``starts_at``, in seconds of its timeline, and run the playbook then.

    ``pace`` is told of the virtual seconds before they pass, from then on. Raises as ``open_run`` does, and
    NotStartedError where the cluster could not be played.
    """
    timeline = stage.timeline
    began = datetime.fromisoformat(SystemClock().now()) - timedelta(seconds=starts_at)
    random.seed(JITTER)
    with tempfile.TemporaryDirectory(prefix="runbook-rehearsal-") as folder, shut_for_rehearsal(Path(folder)):
        timeline.wait(starts_at)
        findings = diagnose(stage.cluster().look())
        if pace is not None:
            timeline.pace = pace
        own = {**environment, "RUNBOOK_STATE_DIR": folder}
        clock = VirtualClock(timeline, began)
        with open_run(request, own, clock, redactor, on=stage.cluster()) as session, writing(session) as write:
            result = session.run(Rehearser(user_name(environment)), write)
    if stage.impossible:
        raise NotStartedError(stage.impossible)
    gone = {removal.peer for removal in result.state.removals if removal.state == "gone" and removal.asked_at}
    removed = tuple(sorted(map(stage.name_of, gone)))
    return Rehearsed(result.ending, result.state, findings, removed, stage.voters(), stage.leader())


def compare(expect: Expectation, came: Rehearsed, exit_code: int) -> tuple[Comparison, ...]:
    """Everything of which something was said beforehand, in a fixed order."""
    ending, names = came.ending, tuple(finding.name for finding in came.findings)
    outcome = "completed" if isinstance(ending, RunCompleted) else "refused" if isinstance(ending, RunRefused) else ""
    outcome = outcome or ("failed" if isinstance(ending, RunFailed) else "interrupted")
    code = ending.code if isinstance(ending, RunRefused) else getattr(ending, "error_kind", "none")
    found: list[Comparison] = []
    if expect.diagnosis is not None:
        found.append(Comparison("diagnosis", expect.diagnosis, ", ".join(names), expect.diagnosis in names))
    for what, wanted, got in (("exit code", expect.exit, exit_code), ("outcome", expect.outcome, outcome),
                              ("code", expect.code, code)):  # fmt: skip
        if wanted is not None:
            found.append(Comparison(what, str(wanted), str(got), wanted == got))
    for what, servers, seen in (("removed", expect.removed, came.removed), ("voters", expect.voters, came.voters)):
        if servers is not None:
            wanted_names = tuple(sorted(servers))
            found.append(Comparison(what, _listed(wanted_names), _listed(seen), wanted_names == seen))
    if expect.leader is not None:
        led = came.leader is not None
        found.append(
            Comparison("leader", "one" if expect.leader else "none", came.leader or "none", led == expect.leader)
        )
    return tuple(found)


def _listed(names: tuple[str, ...]) -> str:
    return " ".join(names) or "nobody"
