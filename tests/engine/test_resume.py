"""What becomes of an intent whose end nobody saw, and what a removal refuses: on a fake cluster, in no time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runbook.events import RunCompleted, RunFailed, RunRefused, RunResumed
from tests.engine.fake import PLAYBOOK, FakeClock, FakeCluster, Run


def run(folder: Path, **cluster: Any) -> Run:
    return Run(FakeCluster(FakeClock(), **cluster), folder)


def removals(run: Run) -> list[str]:
    return [kind.removeprefix("removal.") for kind in run.kinds("removal.")]


def cut_at_the_intent(first: Run) -> None:
    """As if the process had died just after the intent was on disk."""
    place = next(n for n, record in enumerate(first.records) if record["kind"] == "removal.requested")
    del first.records[place + 1 :]


def resumed(first: Run) -> Any:
    past = first.progress()
    first.emit(RunResumed("ann", first.cluster.name, False))
    return first.execute(past)


def test_two_dead_go_one_after_the_other(tmp_path: Path) -> None:
    """The plain case that all others are measured against."""
    plain = run(tmp_path, dead={4, 5})
    assert isinstance(plain.execute(), RunCompleted)
    assert removals(plain) == ["requested", "confirmed"] * 2
    assert plain.cluster.held[1] == {1, 2, 3}


@pytest.mark.parametrize(
    ("reply", "told", "asked"),
    [
        ("lost", ["requested", "confirmed"], 1),
        ("dropped", ["requested", "still_listed", "requested", "confirmed"], 2),
        ("unknown", ["requested", "failed", "requested", "confirmed"], 2),
    ],
)
def test_an_answer_that_leaves_it_open_is_settled_by_looking(
    tmp_path: Path, reply: str, told: list[str], asked: int
) -> None:
    """Never sent again blindly, and again only where everybody still lists it."""
    ambiguous = run(tmp_path, dead={5}, replies=[reply])
    ambiguous.execute()
    assert (removals(ambiguous)[: len(told)], len(ambiguous.cluster.changes)) == (told, asked)


def test_who_vanishes_between_look_and_request_was_removed_by_somebody_else(tmp_path: Path) -> None:
    """Autopilot won; the record does not claim its work."""
    raced = run(tmp_path, dead={5}, replies=["unknown"])
    act = raced.cluster.act

    def autopilot_first(target: Any) -> None:
        raced.cluster.drop(5)
        act(target)

    raced.cluster.act = autopilot_first  # type: ignore[method-assign]
    assert isinstance(raced.execute(), RunCompleted)
    assert removals(raced) == ["requested", "already_gone"]


def test_who_was_to_go_and_went_by_itself_is_no_drift(tmp_path: Path) -> None:
    """Autopilot takes both while the first is looked at: nothing is asked for, nothing is refused."""
    quick = run(tmp_path, dead={4, 5}, at_look={6: lambda cluster: (cluster.drop(4), cluster.drop(5))})
    assert isinstance(quick.execute(), RunCompleted)
    assert (removals(quick), quick.cluster.changes) == (["already_gone"] * 2, [])


DRIFTS: list[tuple[str, str, Callable[[FakeCluster], None]]] = [
    ("ConfigurationChanged", "voter 127.0.0.13:4647 (id-3) was removed", lambda cluster: cluster.drop(3)),
    (
        "LeaderChanged",
        "the leader changed from id-1 in term 2 to s2.global in term 3",
        lambda cluster: cluster.elect(2, 3),
    ),
    (
        "LeaderChanged",
        "the leader id-1 was elected again: term 2 then, term 4 now",
        lambda cluster: cluster.elect(1, 4),
    ),
    ("NeverWorse", "failure tolerance fell from 1 to 0", lambda cluster: cluster.dead.add(2)),
]


@pytest.mark.parametrize(("code", "words", "moved"), DRIFTS, ids=[f"{row[0]}: {row[1]}" for row in DRIFTS])
def test_what_moved_since_the_plan_refuses(tmp_path: Path, code: str, words: str, moved: Any) -> None:
    """The plan basis, with a readable difference; nothing is asked for."""
    fenced = run(tmp_path, dead={5}, at_look={6: moved})
    ending = fenced.execute()
    assert isinstance(ending, RunRefused)
    assert (ending.code, words in ending.message, fenced.cluster.changes) == (code, True, []), ending.message


@pytest.mark.parametrize(
    ("took_effect", "told"), [(True, ["requested", "confirmed"]), (False, ["requested", "still_listed"])]
)
def test_a_resumed_run_answers_done_or_not_done_by_looking(tmp_path: Path, took_effect: bool, told: list[str]) -> None:
    """An intent without an end: looked at first, and only asked for again where it was surely not done."""
    first = run(tmp_path, dead={5})
    first.execute()
    cut_at_the_intent(first)
    first.cluster.held = {n: set(range(1, 5 if took_effect else 6)) for n in range(1, 6)}
    assert isinstance(resumed(first), RunCompleted)
    assert removals(first)[:2] == told
    assert len(first.cluster.changes) == (1 if took_effect else 2)


def disagreeing(tmp_path: Path) -> Run:
    """Died after the intent; afterwards one server, cut off, lists the peer for good."""
    first = run(tmp_path, dead={5})
    first.execute()
    cut_at_the_intent(first)
    first.cluster.held[3].add(5)
    return first


def test_what_nobody_can_tell_is_refused_without_a_person(tmp_path: Path) -> None:
    """Not failed: refused, with what to do; the intent stays open for the next resume."""
    ending = resumed(first := disagreeing(tmp_path))
    assert isinstance(ending, RunRefused)
    assert (ending.code, removals(first), len(first.cluster.changes)) == ("CannotTell", ["requested"], 1)
    assert first.progress().removals[0].unsettled


@pytest.mark.parametrize(("answer", "told"), [("done", "confirmed"), ("not done", "still_listed")])
def test_a_person_at_the_terminal_may_tell(tmp_path: Path, answer: str, told: str) -> None:
    """Their word is recorded as theirs."""
    first = disagreeing(tmp_path)
    first.answer = answer
    resumed(first)
    record = next(r for r in first.records if r["kind"] == f"removal.{told}")
    assert record["message"] == "according to the person at the terminal"


def test_a_resumed_run_looks_as_long_as_a_new_one_before_it_removes(tmp_path: Path) -> None:
    """No look from before the stop counts."""
    first = run(tmp_path, dead={5})
    first.execute()
    place = next(n for n, record in enumerate(first.records) if record.get("step") == "remove")
    del first.records[place:]
    first.cluster.held = {n: set(range(1, 6)) for n in range(1, 6)}
    began = first.cluster.clock.seconds
    assert isinstance(resumed(first), RunCompleted)
    asked = next(record for record in first.records if record["kind"] == "removal.requested")
    assert float(asked["at"][14:16]) * 60 + float(asked["at"][17:23]) >= began + 30


def test_another_cluster_is_not_gone_on_with(tmp_path: Path) -> None:
    """None of the peers that the run began with: refused before anything."""
    first = run(tmp_path, dead={5})
    first.execute()
    cut_at_the_intent(first)
    claimed = next(record for record in first.records if record["kind"] == "cluster.claimed")
    claimed["peers"] = ["id-8", "id-9"]
    ending = resumed(first)
    assert isinstance(ending, RunRefused)
    assert ending.code == "AnotherCluster"


def test_a_removed_peer_that_is_added_back_is_named(tmp_path: Path) -> None:
    """Gossip called it alive: the finding is ZombiePeer, and the run did not end well."""
    zombie = run(tmp_path, dead={5})
    zombie.cluster.at_look = {12: lambda cluster: cluster.add(5)}
    ending = zombie.execute()
    assert isinstance(ending, RunFailed)
    assert "ZombiePeer: s5.global was removed and the leader has added it back" in ending.message


def test_a_sign_of_life_counts_whatever_the_look_was_for(tmp_path: Path) -> None:
    """Who answered in a look that only settled another removal was not dead in every look (I1)."""
    flicker = run(tmp_path, dead={4, 5})
    flicker.cluster.at_look = {7: lambda cluster: cluster.dead.discard(5), 8: lambda cluster: cluster.dead.add(5)}
    ending = flicker.execute()
    assert isinstance(ending, RunRefused)
    assert ending.code == "TargetUnknown"
    assert flicker.cluster.changes == ["id-4"]


TIMED = b"""
runbook: 1
name: timed
guards: { min_voters: 3 }
steps:
  - id: dead
    uses: raft.find_dead
  - id: quorum
    uses: raft.check_quorum
    with: { remove: "${{ dead.peers }}" }
  - id: remove
    for_each: quorum.removals
    uses: raft.remove_peer
    timeout: 5s
    with: { peer: "${{ item.id }}" }
"""


def test_a_removal_whose_time_is_over_is_on_record_as_unsettled(tmp_path: Path) -> None:
    """I7: the step's timeout fires between the intent and its end, as one server disagrees for good."""
    timed = run(tmp_path, dead={5})
    timed.text = TIMED
    act = timed.cluster.act

    def cut_off(target: Any) -> None:
        act(target)
        timed.cluster.held[3].add(5)

    timed.cluster.act = cut_off  # type: ignore[method-assign]
    ending = timed.execute()
    assert isinstance(ending, RunFailed)
    assert "the time of step remove is over" in ending.message
    assert removals(timed) == ["requested", "unsettled"]


NESTED = b"""
runbook: 1
name: nested
guards: { min_voters: 3 }
steps:
  - id: block
    for_each: "[1]"
    steps:
      - id: inner
        uses: playbook.run
        with: { playbook: remove-dead-peers.yaml }
"""


def test_a_run_that_dies_inside_a_block_and_a_playbook_within_it_goes_on_there(tmp_path: Path) -> None:
    """What the inner steps proved is remembered by their places: the removal is not refused as unplanned."""
    (tmp_path / "remove-dead-peers.yaml").write_bytes(PLAYBOOK.read_bytes())
    first = run(tmp_path, dead={5})
    first.text, first.path = NESTED, str(tmp_path / "nested.yaml")
    assert isinstance(first.execute(), RunCompleted)
    cut_at_the_intent(first)
    assert isinstance(resumed(first), RunCompleted)
    assert removals(first) == ["requested", "confirmed"]
    assert len(first.cluster.changes) == 1


LENIENT = b"""
runbook: 1
name: lenient
guards: { min_voters: 2 }
steps:
  - id: look
    uses: playbook.run
    effect: read
    with: { playbook: inner.yaml }
  - id: dead
    uses: raft.find_dead
  - id: quorum
    uses: raft.check_quorum
    with: { remove: "${{ dead.peers }}" }
  - id: remove
    for_each: quorum.removals
    uses: raft.remove_peer
    with: { peer: "${{ item.id }}" }
"""


@pytest.mark.parametrize("guards", [b"", b"guards: { min_voters: 5 }\n"])
def test_a_playbook_within_narrows_what_is_allowed_only_where_it_says_so_and_while_it_runs(
    tmp_path: Path, guards: bytes
) -> None:
    """What it does not write is not a guard, and what it writes ends with it: three servers may become two."""
    inner = b"runbook: 1\nname: inner\n" + guards + b"steps:\n  - uses: raft.find_dead\n"
    (tmp_path / "inner.yaml").write_bytes(inner)
    outer = run(tmp_path, servers=3, dead={3})
    outer.text, outer.path = LENIENT, str(tmp_path / "lenient.yaml")
    ending = outer.execute()
    assert isinstance(ending, RunCompleted), ending
    assert outer.cluster.held[1] == {1, 2}
