"""Traps of docs/servers/traps.md about changing a cluster: whole runs of the shipped playbook, one test a trap."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from runbook.engine.step_rounds import retry_policy
from runbook.errors import ClusterError, ErrorKind
from runbook.events import RunCompleted, RunFailed, RunRefused
from runbook.playbook.parser import parse_playbook
from runbook.raft.diagnosis.diagnose import diagnose
from runbook.raft.model import AutopilotSettings, Peer
from runbook.raft.removal import Policy, refusal_to_remove
from runbook.run_state import RunState
from runbook.steps.context import StepContext
from runbook.steps.raft.check_quorum import check_quorum
from runbook.steps.registry import CATALOG
from tests.engine.fake import PLAYBOOK, FakeClock, FakeCluster, Run
from tests.raft.worlds import Kind, peer, verdicts_of, view_of

HERE = Path(__file__).parent
ALIVE, DEAD = Kind(), Kind(sight="refused", gossip="failed")


def run(folder: Path, **cluster: Any) -> Run:
    return Run(FakeCluster(FakeClock(), **cluster), folder)


def last_look_before_the_change(folder: Path, **cluster: Any) -> int:
    """Which look the guard of the first removal decides on, in an undisturbed run."""
    calm = run(folder, **cluster)
    seen: list[int] = []
    act = calm.cluster.act
    calm.cluster.act = lambda target: (seen.append(calm.cluster.looks), act(target))[1]  # type: ignore[func-returns-value, method-assign]
    calm.execute()
    return seen[0]


def test_trap_01_what_moved_between_plan_and_change_refuses(tmp_path: Path) -> None:
    """There is no compare-and-set: the whole set of peers is read again just before the request."""
    look = last_look_before_the_change(tmp_path, dead={5})
    moved = run(tmp_path, dead={5}, at_look={look: lambda cluster: cluster.add(9)})
    ending = moved.execute()
    assert isinstance(ending, RunRefused), ending
    assert (ending.code, moved.cluster.changes) == ("ConfigurationChanged", [])


@pytest.mark.parametrize("reply", ["lost", "dropped", "unknown"])
def test_trap_09_an_ambiguous_answer_is_settled_by_looking_and_never_sent_blindly(tmp_path: Path, reply: str) -> None:
    """Whatever became of it, the server is gone once at the end, and every intent has its end on record (I7)."""
    unsure = run(tmp_path, dead={5}, replies=[reply])
    unsure.execute()
    kinds = [kind.removeprefix("removal.") for kind in unsure.kinds("removal.")]
    assert kinds[0] == "requested"
    assert all(one != other for one, other in pairwise(kinds))
    assert kinds[-1] != "requested"
    assert len(unsure.cluster.changes) == kinds.count("requested")


def test_trap_10_retries_are_few_spaced_and_only_for_what_may_pass(tmp_path: Path) -> None:
    """At most five, two seconds apart or more (above an election), within six minutes, and never after a no."""
    playbook = parse_playbook(PLAYBOOK.read_bytes(), "x", CATALOG)
    retry = next(retry_policy(step.retry, {}) for step in playbook.steps if step.uses == "raft.remove_peer")
    assert retry is not None
    assert (retry.times, retry.wait_min >= 2, retry.within) == (5, True, 360)
    for trouble, most in ((ErrorKind.UNAVAILABLE, 5), (ErrorKind.REJECTED, 1), (ErrorKind.FORBIDDEN, 1)):
        stubborn = run(tmp_path, dead={5})
        asked: list[float] = []

        def refuse(target: Peer, asked: list[float] = asked, at: Run = stubborn, why: ErrorKind = trouble) -> None:
            asked.append(at.cluster.clock.monotonic())
            raise ClusterError(why, "no")

        stubborn.cluster.act = refuse  # type: ignore[method-assign]
        assert isinstance(stubborn.execute(), RunFailed)
        assert len(asked) == most
        assert all(later - earlier >= 2 for earlier, later in pairwise(asked))


def test_trap_18_an_election_between_plan_and_change_refuses(tmp_path: Path) -> None:
    """A new leader, or only a new term of the old one, was not what the plan was made on."""
    look = last_look_before_the_change(tmp_path, dead={5})
    for leader, term in ((2, 3), (1, 3)):
        moved = run(tmp_path, dead={5}, at_look={look: lambda cluster, to=leader, in_=term: cluster.elect(to, in_)})
        ending = moved.execute()
        assert isinstance(ending, RunRefused), ending
        assert (ending.code, moved.cluster.changes) == ("LeaderChanged", [])


def test_trap_19_autopilot_may_be_faster_and_that_is_success(tmp_path: Path) -> None:
    """The record does not claim its work; and the diagnosis says beforehand that there is a second actor."""
    raced = run(tmp_path, dead={5}, at_look={5: lambda cluster: cluster.drop(5)})
    assert isinstance(raced.execute(), RunCompleted)
    assert raced.cluster.changes == []
    cleans = replace(view_of([ALIVE, ALIVE, ALIVE, DEAD]), autopilot=AutopilotSettings(True, 0))
    assert "autopilot's CleanupDeadServers is on" in " ".join(word for f in diagnose(cleans) for word in f.evidence)


def test_trap_20_the_clusters_own_min_quorum_is_a_floor() -> None:
    """Also where the playbook's floor is lower."""
    view = replace(view_of([ALIVE, ALIVE, ALIVE, DEAD]), autopilot=AutopilotSettings(False, 4))
    reason = refusal_to_remove(view, verdicts_of(view), peer(4, DEAD), Policy(min_voters=1))
    assert reason is not None
    assert (reason.code, "autopilot's MinQuorum, is 4" in reason.sentence) == ("BelowMinimumVoters", True)


def test_trap_34_a_plan_does_not_outlive_the_world_it_was_made_of(tmp_path: Path) -> None:
    """However long ago it was planned or agreed to, the request leaves only after a look at the world as it is."""
    look = last_look_before_the_change(tmp_path, dead={5})
    revived = run(tmp_path, dead={5}, at_look={look: lambda cluster: cluster.dead.clear()})
    ending = revived.execute()
    assert isinstance(ending, RunRefused), ending
    assert (ending.code, revived.cluster.changes) == ("TargetAlive", [])


def test_trap_34_a_dry_run_is_made_of_the_same_reads(tmp_path: Path) -> None:
    """It foretells the removals that the real run then makes, in the same order (I14)."""
    dry, real = run(tmp_path, dead={4, 5}), run(tmp_path, dead={4, 5})
    dry.execute(dry_run=True)
    real.execute()
    foretold = [r["peer"] for r in dry.records if r["kind"] == "removal.would_be_requested"]
    assert (foretold, dry.cluster.changes) == (real.cluster.changes, [])


def test_trap_35_several_go_one_by_one_non_voters_first_then_stale_then_failed(tmp_path: Path) -> None:
    """Each after a look that shows the last one gone (I6); the order is that of autopilot, the harmless first."""
    kinds = [ALIVE, ALIVE, ALIVE, DEAD, Kind(sight="refused", gossip="absent"),
             Kind(voter=False, sight="refused", gossip="failed")]  # fmt: skip
    view = view_of(kinds)
    looks = [replace(view, taken_at=at) for at in (0.0, 15.0, 30.0)]
    state = RunState()
    state.looks = looks
    cluster = FakeCluster(FakeClock())
    policy = Policy(min_voters=3, max_changes=3)
    context = StepContext(cluster, cluster.clock, lambda _: None, tmp_path, "quorum", policy, False, state)
    dead = [peer(n, kind) for n, kind in enumerate(kinds, 1) if kind.sight == "refused"]
    output = check_quorum(context, {"remove": [{"id": each.id} for each in dead]}).output
    assert [item["id"] for item in output["removals"]] == ["id-6", "id-5", "id-4"]
    two = run(tmp_path, dead={4, 5})
    two.execute()
    story = [k for k in two.kinds("") if k in ("removal.requested", "removal.confirmed", "cluster.looked")]
    first, second = (i for i, kind in enumerate(story) if kind == "removal.requested")
    assert story[first:second].count("cluster.looked") >= 2
    assert "removal.confirmed" in story[first:second]


def test_every_trap_has_its_test() -> None:
    """As many as the page lists, none forgotten."""
    tests = [item.name for path in HERE.glob("test_*.py") for item in ast.walk(ast.parse(path.read_text()))
             if isinstance(item, ast.FunctionDef)]  # fmt: skip
    tested = {int(name.split("_")[2]) for name in tests if name.startswith("test_trap_")}
    page = (HERE.parents[1] / "docs" / "servers" / "traps.md").read_text(encoding="utf-8")
    listed = [int(number) for number in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)]
    assert listed == sorted(tested) != []
