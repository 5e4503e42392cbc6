"""A removal that is given up and carried out later: what is said of it, what is done meanwhile, and whose it was."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runbook.errors import ClusterError, ErrorKind
from runbook.events import RunCompleted, RunFailed, RunRefused, RunResumed
from runbook.raft.model import Peer
from runbook.report.screen import Screen
from runbook.report.summary import format_summary
from runbook.steps.raft.settling import HELD_FOR
from tests.engine.fake import FakeClock, FakeCluster, Run

LATER = f"late {HELD_FOR + 200:g}"
ONE_BY_ONE = b"""
runbook: 1
name: one-by-one
guards: { min_voters: 4, max_changes: 3 }
steps:
  - id: dead
    uses: raft.find_dead
  - id: quorum
    uses: raft.check_quorum
    with: { remove: "${{ [dead.peers[0]] }}" }
  - id: first
    uses: raft.remove_peer
    with: { peer: id-4 }
    continue_on_failure: true
  - id: next
    uses: raft.check_quorum
    with: { remove: "${{ [dead.peers[1]] }}" }
  - id: second
    uses: raft.remove_peer
    with: { peer: id-5 }
"""


def run(folder: Path, *replies: str, **cluster: Any) -> Run:
    return Run(FakeCluster(FakeClock(), replies=list(replies), **cluster), folder)


def removals(run: Run) -> list[str]:
    return [kind.removeprefix("removal.") for kind in run.kinds("removal.")]


def told(run: Run) -> str:
    """Everything a person is shown of it."""
    screen = Screen()
    lines = [line for record in run.records for line in screen.format_event(record)]
    return "\n".join([*lines, *format_summary(run.progress(), "/runs/run-1")])


def resumed(first: Run) -> Any:
    past = first.progress()
    first.emit(RunResumed("ann", first.cluster.name, False))
    return first.execute(past)


@pytest.mark.parametrize("seconds", [21, 22, 40, 100])
def test_a_removal_that_is_done_after_it_was_given_up_is_confirmed_and_ours(tmp_path: Path, seconds: int) -> None:
    """The leader's disk hangs under the request: the old list proves nothing as long as servers may hold it."""
    late = run(tmp_path, f"late {seconds}", dead={5})
    assert isinstance(late.execute(), RunCompleted)
    assert (removals(late), late.cluster.changes) == (["requested", "confirmed"], ["id-5"])
    assert "nothing was changed" not in told(late)
    assert "somebody else" not in told(late)


def test_while_it_may_be_held_that_is_said_with_the_number(tmp_path: Path) -> None:
    """Once, not at every look; and nobody sits before a silent screen for two minutes."""
    late = run(tmp_path, "late 60", dead={5})
    late.execute()
    waits = [r["reason"] for r in late.records if r["kind"] == "step.waiting" and "hold the request" in r["reason"]]
    assert waits == ["s5.global is still listed, and the servers may hold the request for up to 120 s; looking again"]


def test_what_everybody_lists_long_after_is_asked_for_again_and_never_called_unchanged(tmp_path: Path) -> None:
    """The request is taken for lost; that it was is promised by nobody."""
    lost = run(tmp_path, "dropped", dead={5})
    began = lost.cluster.clock.seconds
    assert isinstance(lost.execute(), RunCompleted)
    assert removals(lost) == ["requested", "still_listed", "requested", "confirmed"]
    first, second = (r["at"] for r in lost.records if r["kind"] == "removal.requested")
    apart = datetime.fromisoformat(second) - datetime.fromisoformat(first)
    assert began == 0
    assert apart >= timedelta(seconds=HELD_FOR)
    assert "120 s after it was asked for, the leader and every server that answers still list it" in told(lost)
    assert "nothing was changed" not in told(lost)


def test_the_next_removal_counts_the_one_that_may_yet_be_done(tmp_path: Path) -> None:
    """With ``continue_on_failure``: later than anybody waits the first is done, and min_voters holds all the same."""
    late = run(tmp_path, LATER, dead={4, 5})
    late.text = ONE_BY_ONE
    ending = late.execute()
    late.cluster.clock.sleep(HELD_FOR + 200)
    late.cluster.look()
    assert isinstance(ending, RunRefused), ending
    assert (ending.code, ending.step, late.cluster.changes) == ("BelowMinimumVoters", "next", ["id-4"])
    assert "3 voters would be left" in ending.message
    assert "should s4.global go yet, whose removal was asked for without an answer" in ending.message
    assert late.cluster.held[1] == {1, 2, 3, 5}


def test_no_second_removal_leaves_while_a_server_that_hangs_may_hold_the_first(tmp_path: Path) -> None:
    """A stopped process reads what it was sent when it wakes up, however long ago the connection was reset."""
    hung = run(tmp_path, LATER, dead={4, 5})
    hung.text = ONE_BY_ONE.replace(b"min_voters: 4", b"min_voters: 3")
    act = hung.cluster.act

    def stops_under_it(target: Peer) -> None:
        hung.cluster.hung.add(2)
        act(target)

    hung.cluster.act = stops_under_it  # type: ignore[method-assign]
    ending = hung.execute()
    assert hung.cluster.changes == ["id-4"]
    assert removals(hung) == ["requested", "unsettled"]
    assert isinstance(ending, RunRefused), ending
    assert "OUTCOME NOT KNOWN" in told(hung)
    hung.cluster.hung.clear()
    hung.cluster.act = act  # type: ignore[method-assign]
    hung.cluster.clock.sleep(HELD_FOR + 200)
    resumed(hung)
    assert removals(hung) == ["requested", "unsettled", "confirmed"]


def test_a_handler_waits_for_it_too(tmp_path: Path) -> None:
    """I6 in ``on_failure``: what the failed step asked for is settled before the handler removes anything."""
    handled = run(tmp_path, "late 80", dead={4, 5})
    steps, _, _ = ONE_BY_ONE.replace(b"[dead.peers[0]]", b"dead.peers").partition(b"  - id: next")
    steps = steps.replace(b"min_voters: 4", b"min_voters: 3").replace(b"continue_on_failure: true", b"timeout: 30s")
    handled.text = steps + b"on_failure:\n  - uses: raft.remove_peer\n    with: { peer: id-5 }\n"
    handled.execute()
    assert removals(handled) == ["requested", "unsettled", "confirmed", "requested", "confirmed"]


IN_A_BLOCK = b"""  - id: each
    for_each: "[1]"
    steps:
      - id: first
        uses: raft.remove_peer
        with: { peer: id-4 }
        continue_on_failure: true
"""


@pytest.mark.parametrize("block", [False, True], ids=["a step that failed", "a block that was completed"])
def test_resume_looks_again_at_what_continue_on_failure_led_past(tmp_path: Path, block: bool) -> None:
    """The run had ended with its removal not seen done: gone since, it is this run's work and nobody else's."""
    late = run(tmp_path, LATER, dead={4})
    late.text = ONE_BY_ONE.partition(b"  - id: next")[0]
    if block:
        late.text = late.text.partition(b"  - id: first")[0] + IN_A_BLOCK
    ending = late.execute()
    assert isinstance(ending, RunFailed), ending
    assert (ending.error_kind, "`runbook resume run-1`, which looks first" in ending.message) == ("ambiguous", True)
    assert "NOT SEEN REMOVED" in told(late)
    late.cluster.clock.sleep(HELD_FOR + 200)
    assert isinstance(resumed(late), RunCompleted)
    assert removals(late) == ["requested", "still_listed", "confirmed"]
    assert [removal.state for removal in late.progress().removals] == ["gone"]


@pytest.mark.parametrize("reply", ["unknown", "done"])
def test_gone_before_it_is_asked_for_again_it_is_ours_whatever_the_answer(tmp_path: Path, reply: str) -> None:
    """``was not found`` after a request that was given up means done; here the first is done under the second."""
    late = run(tmp_path, "late 135", reply, dead={5})
    act = late.cluster.act

    def meanwhile(target: Peer) -> None:
        if len(late.cluster.changes) == 1:
            late.cluster.clock.sleep(5.0)
        act(target)

    late.cluster.act = meanwhile  # type: ignore[method-assign]
    assert isinstance(late.execute(), RunCompleted)
    assert removals(late)[-1] == "confirmed"
    assert "already_gone" not in removals(late)


def test_a_definite_no_to_the_second_request_takes_nothing_back_of_the_first(tmp_path: Path) -> None:
    """Forbidden now, sent without an answer before: it may yet be done, and is ours if it is."""
    late = run(tmp_path, LATER, dead={5})
    act = late.cluster.act

    def then_forbidden(target: Peer) -> None:
        if late.cluster.changes:
            raise ClusterError(ErrorKind.FORBIDDEN, "Permission denied")
        act(target)

    late.cluster.act = then_forbidden  # type: ignore[method-assign]
    assert isinstance(late.execute(), RunFailed)
    assert removals(late) == ["requested", "still_listed", "requested", "still_listed"]
    assert "nothing was changed" not in told(late)
    late.cluster.clock.sleep(HELD_FOR + 200)
    resumed(late)
    assert removals(late)[-1] == "confirmed"


def test_who_goes_after_a_definite_no_was_removed_by_somebody_else(tmp_path: Path) -> None:
    """Nothing was written, so it is not claimed."""
    refused = run(tmp_path, dead={5})

    def no(target: Peer) -> None:
        raise ClusterError(ErrorKind.REJECTED, "need at least one voter")

    refused.cluster.act = no  # type: ignore[method-assign]
    assert isinstance(refused.execute(), RunFailed)
    refused.cluster.drop(5)
    assert isinstance(resumed(refused), RunCompleted)
    assert removals(refused) == ["requested", "failed", "already_gone"]


@pytest.mark.parametrize(("ago", "least", "most"), [(0.0, 120, 130), (90.0, 30, 40), (3600.0, 0, 10)])
def test_a_resumed_run_counts_from_when_it_was_asked_for(tmp_path: Path, ago: float, least: float, most: float) -> None:
    """By the wall clock in the record, as no other outlives a process."""
    died = run(tmp_path, "dropped", dead={5})
    died.execute()
    place = next(n for n, record in enumerate(died.records) if record["kind"] == "removal.requested")
    del died.records[place + 1 :]
    died.cluster.held = {n: set(range(1, 6)) for n in range(1, 6)}
    now = datetime.fromisoformat(died.cluster.clock.now())
    died.records[place]["at"] = (now - timedelta(seconds=ago)).isoformat(timespec="milliseconds")
    began = died.cluster.clock.seconds
    resumed(died)
    settled = next(record for record in died.records if record["kind"] == "removal.still_listed")
    minutes, seconds = settled["at"][14:16], settled["at"][17:23]
    assert least <= float(minutes) * 60 + float(seconds) - began <= most


@pytest.mark.parametrize("at", ["", "yesterday", "2026-01-01T00:00:00"], ids=["none", "no time", "no zone"])
def test_an_odd_time_in_the_record_makes_it_wait_the_whole_time(tmp_path: Path, at: str) -> None:
    """I17: a damaged or hostile record ends no run, and shortens no wait."""
    died = run(tmp_path, "dropped", dead={5})
    died.execute()
    place = next(n for n, record in enumerate(died.records) if record["kind"] == "removal.requested")
    del died.records[place + 1 :]
    died.records[place]["at"] = at
    died.cluster.held = {n: set(range(1, 6)) for n in range(1, 6)}
    began = died.cluster.clock.seconds
    assert isinstance(resumed(died), RunCompleted)
    assert died.cluster.clock.seconds - began > HELD_FOR
