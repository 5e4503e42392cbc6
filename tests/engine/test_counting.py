"""One count of changes for every type of step, every item, every playbook within, and every process of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.engine.plan import bind_plan
from runbook.events import RunCompleted, RunFailed, RunRefused
from runbook.playbook.params import bind_params
from runbook.playbook.parser import parse_playbook
from runbook.raft.removal import refusal_over_max_changes
from runbook.steps.registry import CATALOG
from tests.engine.commands import INNER, MINE, REMOVALS, RETRY, TOUCH, code_of, commands, done, flaky
from tests.engine.fake import PLAYBOOK
from tests.engine.test_resume import resumed


def test_commands_are_counted_as_removals_are(tmp_path: Path, mark: Path) -> None:
    """One more than the playbook allows is refused before it is run, with the numbers."""
    played = commands(tmp_path, "max_changes: 2", "first", "second", "third")
    ending = played.execute()
    assert isinstance(ending, RunRefused)
    assert (ending.code, ending.step, done(mark)) == ("TooManyChanges", "third", ["first", "second"])
    assert "that would be change 3 of this run, and its guard max_changes is 2" in ending.message


def test_a_guard_that_is_a_param_is_called_as_whoever_runs_it_sets_it() -> None:
    """They may never have read the playbook's guards."""
    playbook = parse_playbook(PLAYBOOK.read_bytes(), str(PLAYBOOK), CATALOG)
    policy = bind_plan(playbook, "run", bind_params(playbook, {})).policy
    refusal = str(refusal_over_max_changes(policy, 2))
    assert "its param max_removals is 2" in refusal
    assert "give --param max_removals=3 or run again" in refusal
    assert "max_changes" not in refusal


def test_a_command_leaves_one_removal_less(tmp_path: Path) -> None:
    """One count for both: the proof refuses already, before anything is removed."""
    enough = commands(tmp_path, "max_changes: 2, min_voters: 3", "first", more=REMOVALS, dead={5})
    assert isinstance(enough.execute(), RunCompleted)
    played = commands(tmp_path, "max_changes: 2, min_voters: 3", "first", more=REMOVALS, dead={4, 5})
    assert (code_of(played), played.cluster.changes) == ("TooManyChanges", [])


def test_a_removal_leaves_one_command_less(tmp_path: Path, mark: Path) -> None:
    last = TOUCH.format(id="last", file=mark)
    played = commands(tmp_path, "max_changes: 1, min_voters: 3", more=REMOVALS + last, dead={5})
    assert (code_of(played), played.cluster.changes, done(mark)) == ("TooManyChanges", ["id-5"], [])


@pytest.mark.parametrize(("most", "ran"), [(2, 2), (3, 3)])
def test_each_item_is_a_change(tmp_path: Path, mark: Path, most: int, ran: int) -> None:
    """As each is done to another host."""
    each = TOUCH.format(id="each", file=mark).replace("    uses", "    for_each: '[1, 2, 3]'\n    uses")
    played = commands(tmp_path, f"max_changes: {most}", more=each)
    assert (code_of(played), len(done(mark))) == ("TooManyChanges" if ran < 3 else "", ran)


def test_the_attempts_and_rounds_of_one_step_are_one_change(
    tmp_path: Path, mark: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is repeated is the same change."""
    begun = flaky(monkeypatch, 2)
    rounds = TOUCH.format(id="rounds", file=mark) + "    until: result.exit_code == 1\n    every: 1s\n    within: 3s\n"
    played = commands(tmp_path, "max_changes: 2", more=MINE + RETRY + rounds)
    assert isinstance(played.execute(), RunFailed)
    assert (begun, done(mark)) == (["mine"] * 3, ["rounds"] * 4)


def test_what_only_reads_or_tells_is_no_change(tmp_path: Path) -> None:
    """A promise by the writer, a message, and a file on this host, which is written whole or not at all."""
    text = """\
  - uses: command.run
    effect: read
    with: { argv: ["true"] }
  - uses: file.write
    with: { path: x, content: x }
  - uses: notify.webhook
    with: { url: "http://127.0.0.1:9/", text: x }
    continue_on_failure: true
"""
    played = commands(tmp_path, "max_changes: 0, min_voters: 9", more=text)
    assert isinstance(played.execute(), RunCompleted)
    assert (played.questions, played.kinds("change.")) == ([], [])


@pytest.mark.parametrize(
    ("outer", "inner", "ran"),
    [
        (2, "guards: { max_changes: 9 }\n", ["first", "within"]),
        (9, "guards: { max_changes: 1 }\n", ["first"]),
        (9, "guards: { max_changes: 2 }\n", ["first", "within"]),
    ],
    ids=["the outer binds", "the count is the run's", "the narrower ends with it"],
)
def test_a_playbook_within_another_is_counted_with_it(
    tmp_path: Path, mark: Path, outer: int, inner: str, ran: list[str]
) -> None:
    """The narrower limit holds inside, over the count of the whole run."""
    steps = TOUCH.format(id="within", file=mark)
    (tmp_path / "inner.yaml").write_text(INNER.format(guards=inner) + steps, encoding="utf-8")
    nested = "  - id: nested\n    uses: playbook.run\n    with: { playbook: inner.yaml }\n"
    played = commands(tmp_path, f"max_changes: {outer}", "first", more=nested + TOUCH.format(id="last", file=mark))
    code = code_of(played)
    assert done(mark)[: len(ran)] == ran
    assert (code, "last" in done(mark)) == (("", True) if (outer, len(ran)) == (9, 2) else ("TooManyChanges", False))


def test_a_run_gone_on_with_goes_on_counting(tmp_path: Path, mark: Path) -> None:
    """From the record: what the first process did is done."""
    waits = f'  - uses: command.run\n    effect: read\n    with: {{ argv: [test, -e, "{tmp_path}/ready"] }}\n'
    first = commands(tmp_path, "max_changes: 2", "first", "second", more=waits + TOUCH.format(id="third", file=mark))
    assert isinstance(first.execute(), RunFailed)
    (tmp_path / "ready").touch()
    assert isinstance(ending := resumed(first), RunRefused)
    assert (ending.code, done(mark)) == ("TooManyChanges", ["first", "second"])


def test_the_intent_of_each_attempt_is_on_record_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that whoever reads the record of a run that was killed knows what was begun, and which item of it."""
    flaky(monkeypatch, 1)
    each = MINE.replace("    uses", "    for_each: '[1, 2]'\n    uses")
    played = commands(tmp_path, "max_changes: 9", more=each + RETRY)
    assert isinstance(played.execute(), RunCompleted)
    kept = ("change.begun", "attempt.failed", "item.completed")
    told = [(record["kind"], record.get("item")) for record in played.records if record["kind"] in kept]
    first = [("change.begun", 0), ("attempt.failed", 0)]
    assert told == [*first, ("change.begun", 0), ("item.completed", 0), ("change.begun", 1), ("item.completed", 1)]
