"""The lines of a run as it goes on, and as they are told afterwards: what has been said is not said again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runbook.report.screen import Screen, wrap_line

STARTED = {"kind": "run.started", "playbook": "mine", "cluster": "c", "dry_run": False}
FAILED = {"kind": "run.failed", "step": "boom", "error_kind": "step.unexpected", "message": "ended with 3"}


def recorded(*events: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"at": "2026-11-24T03:00:00.000+00:00", **event} for event in (STARTED, *events)]


def started(step: str, uses: str = "command.run") -> dict[str, Any]:
    return {"kind": "step.started", "step": step, "uses": uses}


def change(step: str, item: int | None = None) -> dict[str, Any]:
    return {"kind": "change.begun", "step": step, "item": item, "uses": "command.run"}


def begun(step: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return started(step), change(step)


def completed(step: str, undo: str = "", message: str = "done") -> dict[str, Any]:
    return {"kind": "step.completed", "step": step, "message": message, "output": {}, "undo": undo}


def failed(step: str) -> dict[str, Any]:
    return {"kind": "step.failed", "step": step, "outcome": "failed", "message": "ended with 3"}


def lines(*events: Mapping[str, Any]) -> list[str]:
    screen = Screen()
    return [line for event in recorded(*events) for line in screen.format_event(event)][1:]


def test_a_failure_stands_where_it_happened_and_is_not_read_three_times() -> None:
    """In the step, in the block around it and at the end it is one sentence."""
    once = (started("block", "block"), *begun("boom"), failed("boom"), failed("block"), FAILED)
    seen = ["00:00  boom      failed: ended with 3", "00:00  boom      FAILED"]
    assert lines(*once) == seen
    resumed = {"kind": "run.resumed", "who": "me", "cluster": "c", "torn": False}
    assert lines(*once, resumed, *once) == [*seen, "00:00            resumed by me on c", *seen]


def test_two_steps_that_fail_alike_are_both_told() -> None:
    """Two hosts of a round may be down in the same words."""
    seen = lines(*begun("each.1.a"), failed("each.1.a"), *begun("each.2.a"), failed("each.2.a"))
    assert [line.split()[1] for line in seen] == ["each.1.a", "each.2.a"]


def test_a_round_is_told_when_it_is_over_and_not_again_with_its_step() -> None:
    """A resumed run, which has not told the first round itself, tells it with the step."""
    second = {"kind": "item.completed", "step": "each", "item": 1, "message": "two", "output": {}}
    first = {**second, "item": 0, "message": "one"}
    both = completed("each", message="one\ntwo")
    assert lines(first, second, both) == ["00:00  each      ok  one", "00:00  each      ok  two"]
    assert lines(second, both) == ["00:00  each      ok  two", "00:00  each      ok  one"]


def test_a_wait_for_the_same_thing_is_told_once_until_something_else_was() -> None:
    """Gossip takes forty seconds to notice: twenty lines of it would hide what came before."""
    wait = {"kind": "step.waiting", "step": "dead", "seconds": 2, "reason": "gossip says alive"}
    retried = {"kind": "attempt.failed", "step": "dead", "attempt": 1, "error_kind": "timeout", "message": "no answer"}
    assert [line[17:] for line in lines(wait, wait, wait, retried, wait)] == [
        "waiting 2 s: gossip says alive",
        "attempt 1 failed: no answer",
        "waiting 2 s: gossip says alive",
    ]


def test_another_playbook_is_named_before_its_steps() -> None:
    """Whose steps they are is read from the line above them."""
    entered = {"kind": "playbook.entered", "step": "look", "path": "/p/inner.yaml", "digest": "d", "params": {}}
    assert lines(entered) == ["00:00  look      runs the playbook /p/inner.yaml"]


def test_a_long_name_moves_the_column_for_what_follows() -> None:
    """So that the texts stand under each other again."""
    seen = lines(*begun("each.12.touch"), completed("each.12.touch"), *begun("b"), completed("b"))
    assert seen == ["00:00  each.12.touch ok  done", "00:00  b             ok  done"]


def test_a_line_is_broken_between_words_only() -> None:
    """What follows stands below the text; a word that is too long stays whole, so that it can be copied."""
    assert wrap_line("00:00  a  one two three", 15, 10) == ["00:00  a  one two", "          three"]
    assert wrap_line("", 80, 10) == [""]
    assert wrap_line("record  " + "x" * 90, 40, 8) == ["record  " + "x" * 90]
    assert wrap_line("record  a " + "x" * 90, 40, 8) == ["record  a", "        " + "x" * 90]


OBEYED = {"\x1b", "\r", "\n", "\u202e"}
HOSTILE = "s5\x1b[2J\r\u202e\n00:09  remove    s1 is gone"


def test_a_name_forges_nothing() -> None:
    """I17: a name in gossip is whatever its owner typed; it moves no cursor and begins no line."""
    gone = {"kind": "removal.already_gone", "step": "remove", "peer": "id-5", "name": HOSTILE}
    (line,) = Screen().format_event(recorded(gone)[1])
    assert not OBEYED & set(line)


# -- told afterwards


def told_afterwards(*events: Mapping[str, Any], told_below: str = "") -> list[str]:
    screen = Screen(afterwards=True)
    screen.told_below = told_below
    return [line for event in events for line in screen.format_event(event)]


def at(moment: str, event: Mapping[str, Any]) -> dict[str, Any]:
    return {**event, "at": f"{moment}.000+00:00"}


def test_afterwards_each_line_has_its_time_each_day_a_line_and_each_step_what_it_took() -> None:
    """Who reads of it a week later has no clock beside it. What took no time is not measured."""
    seen = told_afterwards(
        at("2026-11-24T23:59:50", STARTED),
        at("2026-11-24T23:59:51", started("a")),
        at("2026-11-25T00:00:05", completed("a")),
        at("2026-11-25T00:00:05", started("b")),
        at("2026-11-25T00:00:05", completed("b")),
        at("2026-11-25T00:00:06", started("c")),
        at("2026-11-25T00:02:36", failed("c")),
    )
    assert seen == [
        "2026-11-24 (UTC)",
        "23:59:50  00:00            mine on c",
        "2026-11-25 (UTC)",
        "00:00:05  00:15  a         ok in 14 s  done",
        "00:00:05  00:15  b         ok  done",
        "00:02:36  02:46  c         failed after 2 min 30 s: ended with 3",
    ]


def test_a_refusal_that_is_told_below_is_told_once() -> None:
    """The sentence with the numbers is long, and in the summary it is looked for."""
    refused = {**failed("quorum"), "outcome": "refused", "message": "2 of 5 voters"}
    end = {"kind": "run.refused", "step": "quorum", "code": "QuorumLost", "message": "2 of 5 voters"}
    seen = told_afterwards(*recorded(started("quorum"), refused, end), told_below="2 of 5 voters")
    assert seen[2:] == ["03:00:00  00:00  quorum    refused, see below", "03:00:00  00:00  quorum    REFUSED"]
    assert "2 of 5 voters" in told_afterwards(*recorded(started("quorum"), refused, end))[2]
