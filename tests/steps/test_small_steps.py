"""The steps that touch nothing outside: wait, assert, set, log, approve, and a playbook within a playbook."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from runbook.clock import Deadline
from runbook.cluster_events import Looked
from runbook.errors import ErrorKind, RefusedError, StepError
from runbook.events import Approved, Waiting
from runbook.playbook.expressions.model import UNKNOWN
from runbook.raft.model import ClusterView, Configuration, Peer, Reach, Vantage
from runbook.raft.removal import Refusal
from runbook.steps.base import Output
from runbook.steps.context import Agreement
from runbook.steps.flow import refuse_recursion
from tests.steps.world import NoCluster, World


def test_a_wait_passes_in_slices_and_each_is_told(world: World) -> None:
    """I10: whoever looks at the screen sees how long it still is."""
    assert world.run("wait.for", duration=25.0, reason="a reason") == ("waited 25s", {})
    assert world.clock.slept == [10.0, 10.0, 5.0]
    assert world.events == [Waiting("it", left, "a reason", 25.0 - left, 25.0) for left in (25.0, 15.0, 5.0)]


def test_a_wait_of_nothing_is_over_at_once(world: World) -> None:
    assert world.run("wait.for", duration=0.0)[0] == "waited 0s"
    assert world.clock.slept == []


def test_a_wait_longer_than_its_step_may_take_fails_before_it_begins(world: World) -> None:
    with pytest.raises(StepError, match="longer than what is left") as caught:
        world.run("wait.for", world.context(deadline=Deadline(world.clock.monotonic() + 24, "step it")), duration=25.0)
    assert (caught.value.kind, world.clock.slept) == (ErrorKind.TIMEOUT, [])


def test_a_dry_run_sleeps_at_once_what_its_clock_leaps_over(world: World) -> None:
    assert world.dry("wait.for", duration=UNKNOWN) == ("would wait", {})
    assert (world.clock.slept, world.events) == ([], [])
    assert world.dry("wait.for", duration=3600.0) == ("would wait 1h", {})
    assert world.clock.slept == [3600.0]


def view(leader: bool, answering: int) -> ClusterView:
    peers = tuple(Peer(f"id{n}", f"10.0.0.{n}:4647", True, f"s{n}", 3) for n in range(1, 4))
    vantages = tuple(
        Vantage(
            f"http://s{n}", Reach.ANSWERED, f"id{n}", f"s{n}", f"10.0.0.{n}:4647", configuration=Configuration(peers)
        )
        for n in range(1, answering + 1)
    )
    configuration = Configuration(peers) if leader else None
    return ClusterView("none", 1.0, configuration, "id1" if leader else None, vantages)


@pytest.mark.parametrize(
    ("leader", "answering", "output"),
    [
        (True, 3, {"leader": "s1", "voters": 3, "alive": 3, "quorum": 2, "tolerance": 1}),
        (True, 2, {"leader": "s1", "voters": 3, "alive": 2, "quorum": 2, "tolerance": 0}),
        (False, 1, {"leader": None, "voters": 3, "alive": 1, "quorum": 2, "tolerance": 0}),
        (False, 0, {"leader": None, "voters": 0, "alive": 0, "quorum": 0, "tolerance": 0}),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_look_gives_numbers_however_ill_the_cluster_is(
    world: World, leader: bool, answering: int, output: Output, dry_run: bool
) -> None:
    """What is waited for is that it gets better, so an ill cluster is no failure."""
    world.cluster = NoCluster(view(leader, answering))
    assert world.run("wait.until", world.context(dry_run=dry_run))[1] == output
    assert [type(event) for event in world.events] == [Looked]


def test_what_holds_passes_and_what_does_not_fails_in_the_playbooks_own_words(world: World) -> None:
    words: dict[str, Any] = {"else": "only 2 servers"}  # a word of Python, and of the playbook
    assert world.run("assert", that=True, **words) == ("it is so", {})
    with pytest.raises(StepError, match="^only 2 servers$") as caught:
        world.run("assert", that=False, **words)
    assert caught.value.kind is ErrorKind.UNEXPECTED
    assert world.dry("assert", that=UNKNOWN, **words) == ("only the real run can tell", {})


def test_names_are_told_and_values_only_kept(world: World) -> None:
    """A value may be made of a secret in a form that no redaction knows."""
    message, output = world.run("set", values={"a": 1, "b": ["canary"]})
    assert (message, output) == ("named a, b", {"values": {"a": 1, "b": ["canary"]}})
    assert world.dry("set", values={"a": UNKNOWN})[1] == {"values": {"a": UNKNOWN}}


def test_a_message_is_said_without_what_a_terminal_obeys(world: World) -> None:
    assert world.run("log.message", text="é\tb\n\x1b[31mred\x9b\u202e\r") == (
        "é\tb\n\\x1b[31mred\\x9b\\u202e\\r",
        {},
    )
    long = world.run("log.message", text="word " * 2000)[0]
    assert len(long) <= 4000
    assert long.endswith("word…")


def test_a_yes_is_kept_with_who_and_when(world: World) -> None:
    asked: list[tuple[str, float]] = []

    def ask(prompt: str, seconds: float) -> Agreement:
        asked.append((prompt, seconds))
        return Agreement("ann@bastion", "by --yes")

    context = world.context(ask=ask, deadline=Deadline(world.clock.monotonic() + 60, "step it"))
    message, output = world.run("approve", context, prompt="Is it safe?", within=600.0)
    assert (message, output) == ("agreed to by ann@bastion, by --yes", {"who": "ann@bastion", "at": world.clock.now()})
    assert asked == [("Is it safe?", 60.0)]
    assert world.events == [Waiting("it", 60.0, "an answer to: Is it safe?"), Approved("it", "ann@bastion", "by --yes")]


def test_without_anybody_to_ask_or_without_a_yes_it_is_refused_and_nobody_agreed(world: World) -> None:
    def no(_prompt: str, _seconds: float) -> Agreement:
        raise RefusedError(Refusal("NotApproved", "the answer was no", ""))

    for context in (world.context(), world.context(ask=no)):
        with pytest.raises(RefusedError):
            world.run("approve", context, prompt="Is it safe?")
    assert not [event for event in world.events if isinstance(event, Approved)]


def test_when_a_person_will_agree_a_dry_run_cannot_know(world: World) -> None:
    context = world.context(dry_run=True, ask=lambda *_: Agreement("ann@bastion", "by --yes"))
    told = world.run("approve", context, prompt="Is it safe?")
    assert told == ("would ask: Is it safe?", {"who": "ann@bastion", "at": UNKNOWN})


def test_another_playbook_is_found_beside_this_one(tmp_path: Path) -> None:
    outer = str(tmp_path / "outer.yaml")
    assert refuse_recursion((outer,), "inner.yaml") == str(tmp_path / "inner.yaml")
    assert refuse_recursion((outer,), "/else/where.yaml") == "/else/where.yaml"


@pytest.mark.parametrize(
    ("running", "wanted", "words"),
    [
        (("a.yaml",), "a.yaml", "would run itself: a.yaml runs a.yaml"),
        (("a.yaml", "b.yaml"), "../x/a.yaml", "would run itself: a.yaml runs b.yaml runs a.yaml"),
        (("a.yaml", "b.yaml"), "link.yaml", "would run itself"),
        (("a.yaml", "b.yaml", "c.yaml", "d.yaml"), "e.yaml", "number 5 within each other, and 4 is the most"),
    ],
)
def test_no_playbook_runs_itself_by_whatever_name_nor_too_deep(
    world: World, tmp_path: Path, running: tuple[str, ...], wanted: str, words: str
) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    (folder / "link.yaml").symlink_to(folder / "a.yaml")
    with pytest.raises(StepError, match=re.escape(words)):
        refuse_recursion(tuple(str(folder / name) for name in running), wanted)
