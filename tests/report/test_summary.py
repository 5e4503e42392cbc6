"""The last lines of a run: what was done and what was not is never said of each other, and the numbers are true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from runbook.report.summary import format_summary
from runbook.run_state import fold
from tests.report.test_screen import FAILED, begun, change, completed, failed, recorded, started

RUN = "20261124T030000Z-mine-ab12"
COMPLETED = {"kind": "run.completed", "message": "done"}


def told(*events: Mapping[str, Any]) -> list[str]:
    return format_summary(fold(recorded(*events)), f"/state/runs/{RUN}")


def test_nothing_changed_is_said_only_of_a_run_in_which_no_step_may_have_changed_anything() -> None:
    """A command that ran before the failure may have changed the world, and one that failed too."""
    assert "changed            nothing" in told(started("boom"), failed("boom"), FAILED)
    seen = told(*begun("touch"), completed("touch"), *begun("boom"), failed("boom"), FAILED)
    assert "changed            nothing" not in seen
    assert "ran                touch (command.run): done" in seen
    assert "ran, and failed    boom (command.run): what it did until then is not known" in seen


def test_after_a_failure_the_undo_sentences_are_listed_backwards() -> None:
    """As one undoes it; after a run that ended well nobody is asked to take anything back."""
    two = (*begun("a"), completed("a", "rm a"), *begun("b"), completed("b", "rm b\nrm c"))
    seen = told(*two, *begun("boom"), failed("boom"), FAILED)
    undo = [line.removeprefix("undo by hand       ") for line in seen if line.startswith("undo by hand")]
    assert undo == ["b: rm b", "b: rm c", "a: rm a"]
    assert not [line for line in told(*two, COMPLETED) if "undo" in line]


def test_a_change_that_was_begun_and_never_ended_is_not_known_and_the_next_command_is_named() -> None:
    """The whole name of the run, as `last` may be another one by then."""
    seen = told(*begun("boom"))
    unknown = "OUTCOME NOT KNOWN  boom (command.run) was begun, and its end was not seen. "
    assert f"{unknown}`runbook resume {RUN}` asks whether it was done" in seen
    assert f"next               `runbook resume {RUN}` goes on with it" in seen


def test_after_a_failure_the_next_commands_are_named() -> None:
    """A dry run is never gone on with, and by hand is done what a run that changed something has left."""
    seen = told(*begun("boom"), failed("boom"), FAILED)
    mend = f"`runbook show {RUN}` tells all. Mend the cause, then `runbook resume {RUN}` goes on with it"
    mend = f"next               {mend}"
    assert f"{mend}; or `runbook print --run {RUN}`, and do the rest by hand" in seen
    assert mend in told(started("boom"), failed("boom"), FAILED)
    assert not [line for line in told(*begun("touch"), completed("touch"), COMPLETED) if line.startswith("next")]


def test_a_cluster_that_nobody_led_did_not_have_the_numbers_before_that_it_has_afterwards() -> None:
    """Of a lost quorum `2 -> 2` reads as if nothing had been wrong."""
    seen = told(started("a"), looked(3, 1, None), looked(1, 1), looked(2, 2), COMPLETED)
    assert "voters             3 (1 alive), no leader -> 2 (2 alive)" in seen
    assert "failure tolerance  no leader before -> 0" in seen
    led = told(started("a"), looked(3, 2), looked(3, 1, None), looked(2, 2), COMPLETED)
    assert "voters             3 (2 alive) -> 2 (2 alive)" in led


def test_of_many_changes_the_first_are_told_and_the_rest_is_counted() -> None:
    """A block over a hundred hosts does not fill the screen."""
    many = [event for number in range(29) for event in (*begun(f"s{number}"), completed(f"s{number}"))]
    seen = [line for line in told(*many, COMPLETED) if "(command.run)" in line or "more" in line]
    assert seen[:-1] == [f"ran                s{number} (command.run): done" for number in range(20)]
    assert seen[-1] == f"                   and 9 more: `runbook show {RUN}` tells each"


def test_what_ran_is_told_step_by_step_of_every_run_also_of_one_that_ended_well() -> None:
    """Whoever reads only the end sees what is another thing now. Of a step with many items the first are told."""
    rounds = (started("each"), *(change("each", item) for item in range(5)))
    seen = told(*begun("touch"), completed("touch"), *rounds, completed("each", message="1\n2\n3\n4\n5"), COMPLETED)
    assert [line for line in seen if line.startswith("ran ")] == [
        "ran                touch (command.run): done",
        "ran                each (command.run): 1",
        "ran                each (command.run): 2",
        "ran                each (command.run): 3",
        "ran                each (command.run): 2 lines more",
    ]


def test_a_dry_run_says_what_would_run() -> None:
    """What was foretold is never told as done."""
    foretold = {**change("touch"), "kind": "change.would_begin"}
    seen = told(started("touch"), foretold, completed("touch"), COMPLETED)
    assert "would run          touch (command.run): done" in seen


def test_a_message_that_did_not_arrive_is_told_at_the_end() -> None:
    """Nobody was woken by it, and the run went on; nor is a step told that ended the run, or one around it."""
    lost = {**failed("tell"), "message": "POST https://hooks.example.org answered 500", "goes_on": True}
    seen = told(started("tell", "notify.webhook"), lost, COMPLETED)
    assert "failed, went on    tell (notify.webhook): POST https://hooks.example.org answered 500" in seen
    inside = told(started("around", "block"), started("boom"), failed("boom"), failed("around"), FAILED)
    assert not [line for line in inside if "went on" in line]


def test_who_removed_a_peer_that_vanished_is_told_as_far_as_it_is_known() -> None:
    """Not this run; the cluster's own clean-up, where it is on."""
    gone = {"kind": "removal.already_gone", "step": "remove", "peer": "id-5", "name": "s5"}
    assert "already gone       s5: not by this run" in told(started("remove", "raft.remove_peer"), gone, COMPLETED)
    by = told(started("remove", "raft.remove_peer"), {**gone, "message": "probably by autopilot"}, COMPLETED)
    assert "already gone       s5: not by this run, probably by autopilot" in by


def test_a_run_that_only_told_something_speaks_of_no_voters() -> None:
    """Nothing was looked at, so there is no number to tell."""
    seen = told(started("tell"), completed("tell"), COMPLETED)
    assert seen == [
        "mine: done",
        "took               0.0 s, from 2026-11-24 03:00:00 UTC",
        f"record             /state/runs/{RUN}",
    ]


# -- the numbers


def looked(voters: int, live: int, leader: str | None = "s1") -> dict[str, Any]:
    seen = {"leader": leader, "voters": voters, "live_voters": live}
    return {"kind": "cluster.looked", "step": "a", "verdicts": {}, **seen}


def removal(voters_after: int, kind: str = "removal.requested") -> dict[str, Any]:
    peer = f"id-{voters_after}"
    return {"kind": kind, "step": "a", "peer": peer, "address": "x", "name": peer, "voters_after": voters_after}


def confirmed(voters_after: int) -> dict[str, Any]:
    return {"kind": "removal.confirmed", "step": "a", "peer": f"id-{voters_after}", "name": f"id-{voters_after}"}


ONE_REMOVED = (removal(4), confirmed(4))
TOLERANCE = [
    ((looked(5, 5), looked(5, 5)), "2 -> 2"),
    ((looked(5, 4), looked(5, 3), looked(5, 4)), "1 -> 0 -> 1"),
    ((looked(5, 4), looked(3, 1, None), looked(5, 4)), "1 -> 1"),
    (
        (looked(5, 4), *ONE_REMOVED, looked(4, 4)),
        "1 -> 1: one more may fail. With a server added it is 2; without the removal it would be 1",
    ),
    (
        (looked(5, 3), *ONE_REMOVED, looked(4, 3), removal(3), confirmed(3), looked(3, 3)),
        "0 -> 1: one more may fail",
    ),
    (
        (looked(3, 2), removal(2), confirmed(2), looked(2, 2)),
        "0 -> 0: one more failure loses quorum, so add a server. With a server added it is 1; without the removal it "
        "would be 0",
    ),
    (
        (looked(7, 6), removal(6), confirmed(6), looked(6, 6)),
        "2 -> 2: 2 more may fail. With a server added it is 3; without the removal it would be 2",
    ),
]


@pytest.mark.parametrize(("events", "words"), TOLERANCE)
def test_failure_tolerance_is_told_before_in_between_and_after(events: tuple[dict[str, Any], ...], words: str) -> None:
    """By what a look without a leader saw nobody is counted. 1 -> 1 reads as no gain, and there is one."""
    (line,) = [line for line in told(started("a"), *events, COMPLETED) if line.startswith("failure tolerance")]
    assert line == f"failure tolerance  {words}"


def test_a_dry_run_counts_the_voters_that_would_be_left() -> None:
    """And says of the same servers what would be so."""
    foretold = (removal(left, "removal.would_be_requested") for left in (4, 3))
    seen = told(started("a"), looked(5, 3), *foretold, looked(3, 3), COMPLETED)  # the last look is at the shadow
    assert "voters             5 (3 alive) -> 3 (3 alive)" in seen
