"""The picture of a run at work, drawn from its events alone: what it shows at which width, and of whom."""

from __future__ import annotations

import os
import time

import pytest

from runbook.report.live_draw import frame_lines
from runbook.report.live_view import LiveFold, LiveView
from runbook.run_state import fold
from tests.report.live_run import BEGAN, NAMES, at, confirming, looked, removing, started, view_of, watching
from tests.report.terminal import SGR

EVIL = "s5\x1b[2J\x9b\r\u202e\n[bold red]evil[/]"


def drawn(view: LiveView, second: float, columns: int = 100, lines: int = 40, *, ascii_only: bool = False) -> list[str]:
    size = os.terminal_size((columns, lines))
    frame = frame_lines(view, BEGAN.timestamp() + second, size, ascii_only=ascii_only)
    return [SGR.sub("", line).rstrip() for line in frame]


def row(lines: list[str], begin: str) -> str:
    return " ".join(next(line for line in lines if line.lstrip(" ✓▶·✗–").startswith(begin)).split())


def test_all_of_it_at_sixty_columns() -> None:
    """What an operator with a small window sees: no number is cut."""
    assert drawn(view_of(confirming()), 19, 60, 24) == [
        "─" * 59,
        "remove-dead-peers on nomad:http://10.0…  03:00:19 UTC, 19 s",
        "",
        "✓  before   2 s",
        "▶  dead    17 s  raft.find_dead",
        "·  quorum",
        "·  remove",
        "·  verify",
        "",
        "5 voters, 4 alive, quorum 3, 1 more may fail",
        "server     verdict              contact  the others say",
        "s1.global  alive, leads               -  3 alive",
        "s2.global  alive                  13 ms  3 alive",
        "s3.global  alive                  26 ms  3 alive",
        "s4.global  alive                  39 ms  3 alive",
        "s5.global  alive → looks dead  18 s ago  3 failed, 1 alive",
        "",
        "confirming s5.global is dead",
        "━━━━━━━━━━━━━━─────────────  15 of 30 s, until 03:00:34 UTC",
    ]


WIDTHS = {
    40: ["s5.global alive → looks dead 18 s ago", "19 s"],
    100: ["s5.global yes alive looks dead 18 s ago 3 failed, 1 alive"],
    140: ["s5.global yes alive looks dead 18 s ago failed: s1.global, s3.global, s4.global; alive: s2.global"],
}


@pytest.mark.parametrize("columns", WIDTHS)
def test_the_numbers_are_there_at_every_width(columns: int) -> None:
    """Words are left out first; a wide terminal names who says what."""
    lines = drawn(view_of(confirming()), 19, columns)
    assert row(lines, "s5.global") == WIDTHS[columns][0]
    assert lines[-1].endswith("15 of 30 s, until 03:00:34 UTC")
    assert max(map(len, lines)) < columns


def test_only_the_clock_runs_while_nothing_happens() -> None:
    """Between two events the bar and the seconds go on, and end with what was to be waited for."""
    view = view_of(confirming())
    assert drawn(view, 20)[-1].endswith("16 of 30 s, until 03:00:34 UTC")
    assert drawn(view, 99)[-1].endswith("30 of 30 s, until 03:00:34 UTC")
    assert "▶  dead    18 s" in drawn(view, 20)[4]


def test_a_second_of_waiting_costs_little() -> None:
    """Below 3 % of one core: it is drawn once a second while nothing happens. Processor time, as others work here."""
    view = view_of(confirming())
    drawn(view, 19)
    began = time.process_time()
    for second in range(20):
        drawn(view, second)
    assert (time.process_time() - began) / 20 < 0.03


def test_nobody_is_called_dead_before_it_is_proven_and_each_fate_is_told() -> None:
    """One look makes nobody dead."""
    assert row(drawn(view_of(confirming()), 19), "s5") == "s5.global yes alive looks dead 18 s ago 3 failed, 1 alive"
    assert " being removed " in row(drawn(view_of(removing()), 37), "s5")
    proven = [event for event in removing() if not event["kind"].startswith("removal")]
    assert " alive dead " in row(drawn(view_of(proven), 35), "s5")
    lines = drawn(view_of(watching()), 63)
    assert row(lines, "s5") == "s5.global yes alive removed 1 min 2 s ago"
    assert "5 → 4 voters, 4 alive, quorum 3, 1 more may fail" in lines
    back = view_of([*watching(), looked(70, "verify")])
    assert " added back " in row(drawn(back, 71), "s5")


def test_what_is_awaited_without_a_known_length_has_its_limit() -> None:
    """Until when, at most."""
    asked = at(2, "step.waiting", step="ask", seconds=600.0, reason="an answer to: Is the rack off?")
    lines = drawn(
        view_of([started(0, "ask"), at(1, "step.started", step="ask", uses="approve", effect="read"), asked]), 8
    )
    assert lines[-2:] == ["an answer to: Is the rack off?", "6 s so far, at most until 03:10:02 UTC"]
    assert drawn(view_of(removing()), 37)[-2:] == [
        "waiting until every server agrees that s5.global is gone",
        "1 s so far",
    ]


def test_attempts_items_and_what_is_inside_of_a_step_are_told() -> None:
    """Whatever is over inside is not news, but a failure is."""
    each = {"uses": "command.run", "effect": "change"}
    done = {"message": "done", "output": {}}
    view = view_of(
        [
            started(0, "each", "last"),
            at(1, "step.started", step="each", uses="block", effect="change"),
            at(2, "step.started", step="each.1.a", **each),
            at(3, "step.completed", step="each.1.a", **done),
            at(3, "item.completed", step="each", item=0, **done),
            at(3, "step.started", step="each.2.a", **each),
            at(4, "attempt.failed", step="each.2.a", attempt=1, error_kind="timeout", message="no"),
            at(5, "step.started", step="each.2.b", **each),
            at(6, "step.failed", step="each.2.b", outcome="refused", message="no"),
        ]
    )
    lines = [" ".join(line.split()) for line in drawn(view, 7)]
    assert lines[3:7] == [
        "▶ each 6 s 1 done, block",
        "▶ each.2.a 4 s attempt 2, command.run",
        "✗ each.2.b 1 s refused, command.run",
        "· last",
    ]


def test_a_resumed_run_shows_what_was_done_before() -> None:
    """The steps of the earlier process are over, and the clock is that of this one."""
    earlier = [*confirming()[:4], at(3, "run.interrupted", step="before", message="SIGINT")]
    folding = LiveFold()
    folding.begin(fold(earlier))
    folding.take(at(3600, "run.resumed", who="ann", cluster="nomad:x", torn=False))
    view = folding.view()
    assert view is not None
    lines = drawn(view, 3605)
    assert lines[1].endswith("04:00:05 UTC, 5 s")
    assert lines[3] == "✓  before    raft.snapshot"
    folding.take(at(3606, "run.completed", message="done"))
    assert folding.view() is None


def test_many_steps_and_servers_are_counted_and_whoever_is_in_trouble_stays() -> None:
    """On 24 lines."""
    steps = [f"s{number}" for number in range(60)]
    events = [started(0, *steps)]
    for step in steps[:30]:
        events.append(at(1, "step.started", step=step, uses="log.message", effect="read"))
        events.append(at(1, "step.completed", step=step, message="", output={}))
    names = {f"server-{number:02}": "alive" for number in range(40)} | {"server-33": "unknown"}
    look = {"leader": "server-07", "voters": 40, "live_voters": 39, "verdicts": names, "contacts": {}}
    lines = drawn(view_of([*events, at(2, "cluster.looked", step="s30", **look)]), 3, 80, 24)
    assert len(lines) <= 20
    assert [line for line in lines if "server-33" in line and "unknown" in line]
    assert [line for line in lines if "server-07" in line and "leads" in line]
    assert [line for line in lines if line.endswith("steps before")]
    assert [line for line in lines if line.endswith("steps to come")]
    assert [line for line in lines if line.startswith("and ") and line.endswith(" more, all alive")]
    assert "·  s30" in lines


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("columns", [40, 60, 100, 140])
def test_hostile_names_move_nothing_and_are_no_markup(columns: int, ascii_only: bool) -> None:
    """Every word that others choose; where only ASCII is known there is nothing else."""
    events = [{**event, "playbook": EVIL, "cluster": EVIL, "reason": EVIL, "uses": EVIL} for event in confirming()]
    for event in events:
        for key in ("verdicts", "opinions", "contacts"):
            told = event.get(key, {})
            event |= {key: {EVIL if name == NAMES[4] else name: value for name, value in told.items()}} if told else {}
    events[0]["steps"] = ["dead", EVIL]
    size = os.terminal_size((columns, 40))
    frame = frame_lines(view_of(events), BEGAN.timestamp() + 19, size, ascii_only=ascii_only)
    text = SGR.sub("", "".join(frame))
    assert text.isprintable()
    assert "\\x1b[2J" in text
    assert columns < 100 or "[bold red]evil[/]" in text
    assert text.isascii() is ascii_only or not ascii_only
    assert max(len(SGR.sub("", line)) for line in frame) < columns
