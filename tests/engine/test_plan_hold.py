"""A run that is held to a plan does what the plan holds, in its order, and nothing else; and in no other world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runbook.cluster.held import HeldCluster
from runbook.errors import ClusterError, ErrorKind
from runbook.events import RunCompleted, RunFailed, RunRefused
from runbook.saved_plan import PlannedRequest
from tests.engine.commands import REMOVALS
from tests.engine.fake import FakeClock, FakeCluster, peer
from tests.engine.planned import held, planned


def names(requests: tuple[PlannedRequest, ...]) -> list[str]:
    return [request.peer for request in requests]


def test_the_plan_has_each_removal_with_its_numbers(tmp_path: Path) -> None:
    plan = planned(REMOVALS, tmp_path, dead={4, 5})
    assert names(plan.requests) == ["id-4", "id-5"]
    first, second = (request.proof for request in plan.requests)
    assert first
    assert second
    assert (first.voters_before, first.voters_after, first.quorum_after, first.live_after) == (5, 4, 3, 3)
    assert (second.voters_before, second.voters_after, second.quorum_after, second.live_after) == (4, 3, 2, 3)
    assert (first.tolerance_after, second.tolerance_after) == (0, 1)
    assert {server.name: server.verdict for server in plan.servers}["s5.global"] == "dead"
    assert (plan.leader, plan.term, plan.outcome) == ("id-1", 2, "would recover the cluster")


def test_nothing_moved_and_exactly_the_planned_requests_leave_in_their_order(tmp_path: Path) -> None:
    run = held(REMOVALS, tmp_path, planned(REMOVALS, tmp_path, dead={4, 5}), dead={4, 5})
    assert isinstance(run.execute(), RunCompleted)
    assert run.cluster.changes == ["id-4", "id-5"]
    assert run.kinds("plan.") == ["plan.held"]
    assert run.claims == ["claimed"]
    before = [record["kind"] for record in run.records[:3]]
    assert before == ["run.started", "cluster.looked", "plan.held"], "looked at before anything else"


def elected(cluster: FakeCluster) -> None:
    cluster.elect(2, 3)


def elected_again(cluster: FakeCluster) -> None:
    cluster.elect(1, 3)


MOVED: dict[str, tuple[Callable[[FakeCluster], object], str]] = {
    "one more dies": (lambda cluster: cluster.dead.add(4), "s4.global was alive and it is dead now: "),
    "one comes back": (lambda cluster: cluster.dead.clear(), "s5.global was dead and it is alive now"),
    "another leads": (elected, "s1.global led in term 2 and s2.global leads in term 3 now"),
    "elected anew": (elected_again, "s1.global led in term 2 and s1.global leads in term 3 now"),
    "one more": (lambda cluster: cluster.add(6), "voter 127.0.0.16:4647 (s6.global) is new in the configuration"),
    "one is gone": (lambda cluster: cluster.drop(4), "s4.global (127.0.0.14:4647) was in the configuration and is not"),
}


@pytest.mark.parametrize("how", MOVED)
def test_a_world_that_moved_is_refused_with_the_difference(how: str, tmp_path: Path) -> None:
    """Before anything is done, and within seconds."""
    move, words = MOVED[how]
    run = held(
        REMOVALS, tmp_path, planned(REMOVALS, tmp_path, dead={5}), dead={5}, servers=6 if how == "one more" else 5
    )
    run.cluster.drop(6)
    move(run.cluster)
    ending = run.execute()
    assert isinstance(ending, RunRefused)
    assert (ending.code, ending.step, words in ending.message) == ("PlanMoved", "plan", True), ending.message
    assert (run.cluster.changes, run.claims, run.kinds("step.started")) == ([], [], [])
    assert run.cluster.clock.seconds < 10


def test_a_server_that_one_look_misses_is_waited_for(tmp_path: Path) -> None:
    """It hangs for a moment: nobody can tell of it, and so the plan does hold."""
    plan = planned(REMOVALS, tmp_path, dead={5})
    run = held(REMOVALS, tmp_path, plan, dead={5}, hung={3}, at_look={3: lambda cluster: cluster.hung.clear()})
    assert isinstance(run.execute(), RunCompleted)
    assert run.cluster.changes == ["id-5"]


def test_a_server_that_hangs_is_another_world(tmp_path: Path) -> None:
    run = held(REMOVALS, tmp_path, planned(REMOVALS, tmp_path, dead={5}), dead={5}, hung={3})
    ending = run.execute()
    assert isinstance(ending, RunRefused)
    assert "s3.global was alive and it is unknown now" in ending.message
    assert 30 <= run.cluster.clock.seconds < 40


def test_without_a_leader_it_says_so_as_ever(tmp_path: Path) -> None:
    """By the exit code of a cluster that cannot be changed by anybody now."""
    ending = held(REMOVALS, tmp_path, planned(REMOVALS, tmp_path, dead={5}), dead={5}, leader=None).execute()
    assert isinstance(ending, RunFailed)
    assert ending.error_kind == "no_leader"


def test_one_that_dies_later_is_seen_before_the_removal(tmp_path: Path) -> None:
    """The world was as planned as the run began."""
    plan = planned(REMOVALS, tmp_path, dead={5})
    run = held(REMOVALS, tmp_path, plan, dead={5}, at_look={3: lambda cluster: cluster.dead.add(4)})
    ending = run.execute()
    assert isinstance(ending, RunRefused)
    assert (ending.code, ending.step) == ("PlanMoved", "remove"), ending.message
    assert "s4.global was alive and it is dead now" in ending.message
    assert run.cluster.changes == []


@pytest.mark.parametrize("all_of_them", [False, True])
def test_a_planned_peer_that_vanished_is_fine_and_is_named(tmp_path: Path, all_of_them: bool) -> None:
    plan = planned(REMOVALS, tmp_path, dead={4, 5})
    run = held(REMOVALS, tmp_path, plan, dead={4, 5})
    for number in (4, 5) if all_of_them else (4,):
        run.cluster.drop(number)
    assert isinstance(run.execute(), RunCompleted)
    assert run.cluster.changes == ([] if all_of_them else ["id-5"])
    (told,) = [record for record in run.records if record["kind"] == "plan.held"]
    assert list(told["vanished"]) == (["s4.global", "s5.global"] if all_of_them else ["s4.global"])


def test_a_removal_that_the_plan_does_not_hold_never_leaves(tmp_path: Path) -> None:
    """It is refused before its intent."""
    plan = planned(REMOVALS, tmp_path, dead={4, 5})
    run = held(REMOVALS, tmp_path, replace(plan, requests=plan.requests[:1]), dead={4, 5})
    ending = run.execute()
    assert isinstance(ending, RunRefused)
    assert ending.code == "NotInPlan"
    assert ending.message.startswith("the removal of s5.global (127.0.0.15:4647) by step remove.2 is no change")
    assert run.cluster.changes == ["id-4"]
    assert [r["peer"] for r in run.records if r["kind"] == "removal.requested"] == ["id-4"]


def test_another_order_is_refused(tmp_path: Path) -> None:
    plan = planned(REMOVALS, tmp_path, dead={4, 5})
    run = held(REMOVALS, tmp_path, replace(plan, requests=plan.requests[::-1]), dead={4, 5})
    ending = run.execute()
    assert isinstance(ending, RunRefused)
    assert "is not next in the plan: remove s5.global (127.0.0.15:4647), by step remove comes before" in ending.message
    assert run.cluster.changes == []


COMMANDS = """\
  - id: first
    uses: command.run
    with: { argv: ["true"] }
  - id: each
    for_each: "[1, 2]"
    uses: command.run
    with: { argv: ["true"] }
  - id: asked
    uses: command.run
    effect: read
    with: { argv: [echo, more] }
  - id: more
    if: asked.stdout == "more"
    uses: command.run
    with: { argv: ["true"] }
"""


def test_a_change_that_could_not_be_foreseen_is_refused_and_was_named(tmp_path: Path) -> None:
    """Whether it is made hangs on what a command says, so the plan does not hold it."""
    plan = planned(COMMANDS, tmp_path)
    assert [(r.step, r.item) for r in plan.requests] == [("first", None), ("each", 0), ("each", 1)]
    assert set(plan.unknown) >= {"asked", "more"}
    run = held(COMMANDS, tmp_path, plan)
    ending = run.execute()
    assert isinstance(ending, RunRefused), ending
    assert (ending.code, ending.step) == ("NotInPlan", "more")
    begun = [(record["step"], record["item"]) for record in run.records if record["kind"] == "change.begun"]
    assert begun == [("first", None), ("each", 0), ("each", 1)]


def test_a_resumed_run_goes_on_with_what_the_plan_still_holds(tmp_path: Path) -> None:
    """Its own removal is no difference; and what it had not done is still all that it may do."""
    plan = planned(REMOVALS, tmp_path, dead={4, 5})
    run = held(REMOVALS, tmp_path, plan, dead={4, 5})
    run.execute()
    cut = next(at for at, r in enumerate(run.records) if r["kind"] == "removal.confirmed") + 1
    again = held(REMOVALS, tmp_path, plan, dead={4, 5})
    again.cluster.drop(4)
    again.records = [*run.records[:cut], {**resumed(), "at": run.records[cut]["at"]}]
    assert isinstance(again.execute(again.progress()), RunCompleted)
    assert again.cluster.changes == ["id-5"]


def resumed() -> dict[str, Any]:
    return {"kind": "run.resumed", "who": "ann", "cluster": "nomad:fake", "torn": False}


def test_a_server_by_the_name_of_another_one_is_refused(tmp_path: Path) -> None:
    """Whoever signs reads names, and what is removed is an id."""
    plan = planned(REMOVALS, tmp_path, dead={4, 5})
    swapped = {"s4.global": "s5.global", "s5.global": "s4.global"}
    forged = replace(plan, servers=tuple(replace(s, name=swapped.get(s.name, s.name)) for s in plan.servers))
    ending = held(REMOVALS, tmp_path, forged, dead={4, 5}).execute()
    assert isinstance(ending, RunRefused)
    assert "id-4 is s5.global in the plan and s4.global now" in ending.message


def test_another_cluster_is_refused(tmp_path: Path) -> None:
    plan = replace(planned(REMOVALS, tmp_path, dead={5}), identities=("id-x", "id-y"))
    ending = held(REMOVALS, tmp_path, plan, dead={5}).execute()
    assert isinstance(ending, RunRefused)
    assert (ending.code, "made for nomad:fake" in ending.message) == ("AnotherCluster", True)


DOORS: dict[str, Callable[[HeldCluster], object]] = {
    "the removal of s4.global": lambda cluster: cluster.remove_peer(peer(4)),
    "a transfer of leadership": lambda cluster: cluster.transfer_leadership(peer(2)),
    "a restored state": lambda cluster: cluster.restore_state(None),  # type: ignore[arg-type]
    "a new member": lambda cluster: cluster.add_learner(("http://x",)),
    "a vote": lambda cluster: cluster.promote("x"),
}


@pytest.mark.parametrize("what", DOORS)
def test_at_the_last_door_nothing_else_passes(what: str, tmp_path: Path) -> None:
    """Whoever forgets to ask; and it is known that it was not sent."""
    fake = FakeCluster(FakeClock(), dead={5})
    door = HeldCluster(fake, planned(REMOVALS, tmp_path, dead={5}))
    with pytest.raises(ClusterError, match=f"not sent: {what}") as caught:
        DOORS[what](door)
    assert (caught.value.kind, fake.changes) == (ErrorKind.REJECTED, [])
    door.remove_peer(peer(5))
    assert fake.changes == ["id-5"]
