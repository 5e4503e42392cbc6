"""The items of a ``for_each``: which are done, what becomes of one that fails, and several beside each other."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from runbook.events import RunCompleted, RunFailed, RunInterrupted, RunRefused, RunResumed
from runbook.run_state import fold
from runbook.session.interrupts import SignalInterrupts
from tests.engine.fake import FakeClock, FakeCluster, Run

HEAD = "runbook: 1\nname: items\nguards: {{ max_changes: {most} }}\nsteps:\n"
EACH = """\
  - id: each
    for_each: "{items}"
    parallel: {parallel}
    uses: command.run
    with: {{ argv: [sh, -c, "{command}"] }}
    {more}
"""
TELL = """\
  - id: told
    uses: log.message
    with: { text: "${{ [default(r.stdout, '-') for r in each.results] }} ${{ each.count }}" }
"""
TELL_FAILED = TELL.replace("each.count", "each.failed")


def items(folder: Path, command: str, **other: Any) -> Run:
    given = {"items": "[1, 2, 3, 4]", "parallel": 1, "more": "", "most": 9, "tell": "", **other}
    text = HEAD.format(**given) + EACH.format(command=command.replace("FOLDER", str(folder)), **given) + given["tell"]
    return Run(FakeCluster(FakeClock()), folder, text=text.encode())


def told(run: Run) -> str:
    return str(next(record["message"] for record in run.records if record.get("step") == "told" and "output" in record))


def events(run: Run, kind: str) -> list[Any]:
    return [record["item"] for record in run.records if record["kind"] == kind]


def resumed(run: Run) -> Any:
    past = run.progress()
    run.emit(RunResumed("ann", "nomad:fake", False))
    return run.execute(past)


def test_some_commands_run_beside_each_other_and_results_keep_their_order(tmp_path: Path) -> None:
    """Each of four waits until it sees the next one's mark; one after the other none would ever end."""
    wait = "touch FOLDER/${{ item }}; until test -e FOLDER/${{ item % 4 + 1 }}; do sleep 0.01; done; echo ${{ item }}"
    run = items(tmp_path, wait, parallel=4, tell=TELL)
    assert isinstance(run.execute(), RunCompleted)
    assert told(run) == '["1", "2", "3", "4"] 4'
    assert sorted(events(run, "item.completed")) == [0, 1, 2, 3]


def test_no_more_than_so_many_run_at_a_time(tmp_path: Path) -> None:
    """And never fewer while there is work: the second begins at once, the third when one has ended."""
    count = "mkdir FOLDER/${{ item }}; sleep 0.2; ls -d FOLDER/[1-4] | wc -l; rmdir FOLDER/${{ item }}"
    run = items(tmp_path, count, parallel=2)
    assert isinstance(run.execute(), RunCompleted)
    beside = [int(record["output"]["stdout"]) for record in run.records if record["kind"] == "item.completed"]
    assert max(beside) == 2


@pytest.mark.parametrize("parallel", [1, 2])
def test_an_item_that_fails_keeps_no_other_from_being_done_where_the_run_goes_on(tmp_path: Path, parallel: int) -> None:
    """The end names it, with why; its result is null, and the run succeeds."""
    more = "continue_on_failure: true"
    run = items(
        tmp_path, "test ${{ item }} != 2 || exit 3; echo ${{ item }}", parallel=parallel, more=more, tell=TELL_FAILED
    )
    assert isinstance(run.execute(), RunCompleted)
    failure = '[{"index": 2, "item": "2", "error": "sh ended with 3"}]'
    assert told(run) == f'["1", "-", "3", "4"] {failure}'
    assert events(run, "item.failed") == [1]
    assert [r["message"] for r in run.records if r["kind"] == "step.failed"] == [
        "1 of 4 items failed: 2: sh ended with 3"
    ]


def test_the_first_item_that_fails_lets_no_other_begin_and_those_that_run_go_on(tmp_path: Path) -> None:
    """Where the run does not go on."""
    waits = "if test ${{ item }} = 1; then until test -e FOLDER/begun; do sleep 0.01; done; exit 3; fi; "
    command = f"{waits}touch FOLDER/begun; sleep 0.3; touch FOLDER/${{{{ item }}}}"
    run = items(tmp_path, command, parallel=2)
    assert isinstance(run.execute(), RunFailed)
    assert [path.name for path in tmp_path.iterdir() if path.name.isdigit()] == ["2"]
    assert events(run, "item.completed") == [1]


def test_if_beside_for_each_is_asked_for_each_item_where_it_reads_the_item(tmp_path: Path) -> None:
    """``loop.index`` counts all of them."""
    run = items(tmp_path, "echo ${{ item }} ${{ loop.index }}", more="if: item != 2 and loop.index < 4", tell=TELL)
    assert isinstance(run.execute(), RunCompleted)
    assert told(run) == '["1 1", "3 3"] 2'
    nobody = items(tmp_path, "echo", more="if: item > 9", tell=TELL)
    assert isinstance(nobody.execute(), RunCompleted)
    assert told(nobody) == "[] 0"
    assert [r["message"] for r in nobody.records if r["kind"] == "step.skipped"] == ["the condition is false: item > 9"]


def test_of_changes_beside_each_other_none_goes_over_the_guard(tmp_path: Path) -> None:
    """What is counted is on record before the next one is."""
    run = items(tmp_path, "touch FOLDER/${{ item }}", items="[1, 2, 3, 4, 5, 6]", parallel=6, most=3)
    ending = run.execute()
    assert isinstance(ending, RunRefused)
    assert ending.code == "TooManyChanges"
    assert sum(path.name.isdigit() for path in tmp_path.iterdir()) <= 3
    assert len(events(run, "change.begun")) <= 3


def test_a_person_is_asked_before_any_of_them_begins(tmp_path: Path) -> None:
    """And a no begins none."""
    run = items(tmp_path, "touch FOLDER/${{ item }}", parallel=4)
    run.agreed = None
    assert isinstance(run.execute(), RunRefused)
    assert run.questions == ["Run step each (command.run) for nomad:fake? This run may make at most 9 changes"]
    assert not events(run, "change.begun")


def test_an_attempt_that_failed_says_nothing_of_what_runs_beside_it() -> None:
    """Nor does a step that failed in another round: both are begun, and nobody has seen their end."""
    began = {"kind": "run.started", "run": "r", "dry_run": False, "params": {}}
    begun = [{"kind": "change.begun", "step": "each", "item": item, "uses": "command.run"} for item in (0, 1)]
    failed = {"kind": "attempt.failed", "step": "each", "attempt": 1, "error_kind": "timeout", "message": "", "item": 1}
    assert [change.item for change in fold([began, *begun, failed]).open_changes] == [0]
    started = [{"kind": "step.started", "step": f"hosts.{n}.do", "uses": "command.run"} for n in (1, 2)]
    inner = [{"kind": "change.begun", "step": f"hosts.{n}.do", "item": None, "uses": "command.run"} for n in (1, 2)]
    passed = {"kind": "step.failed", "step": "hosts.1.do", "outcome": "failed", "message": "", "goes_on": True}
    assert [change.step for change in fold([began, *started, *inner, passed]).open_changes] == ["hosts.2.do"]
    over = {"kind": "item.failed", "step": "hosts", "item": 0, "name": "a", "message": ""}
    assert [change.step for change in fold([began, *started, *inner, over]).open_changes] == ["hosts.2.do"]


class Signalled(Run):
    """A signal comes half a second after the run began, to a process that heeds signals as a run does."""

    interrupts = SignalInterrupts()

    def _services(self, dry_run: bool) -> Any:
        from dataclasses import replace

        return replace(super()._services(dry_run), interrupts=self.interrupts)


def test_a_run_that_is_stopped_in_the_midst_asks_about_what_was_begun(tmp_path: Path) -> None:
    """The commands are ended with it; what nobody saw the end of is asked about, and not done again."""
    command = "touch FOLDER/${{ item }}; test ${{ item }} = 1 || sleep 30"
    made = items(tmp_path, command, parallel=2)
    run = Signalled(made.cluster, made.folder, text=made.text, answer="done")
    began = time.monotonic()
    threading.Timer(0.6, os.kill, (os.getpid(), signal.SIGTERM)).start()
    with run.interrupts.caught():
        assert isinstance(run.execute(), RunInterrupted)
    assert time.monotonic() - began < 10
    assert events(run, "item.completed") == [0]
    assert [change.name for change in run.progress().open_changes] == ["each.2", "each.3"]
    assert not (tmp_path / "4").exists()
    done = Run(run.cluster, run.folder, text=run.text.replace(b"sleep 30", b"true"), answer="done", records=run.records)
    assert isinstance(resumed(done), RunCompleted)
    assert len([q for q in done.questions if "was not seen" in q]) == 2
    assert events(done, "change.begun").count(1) == events(done, "change.begun").count(2) == 1
    assert (tmp_path / "4").exists()


BLOCK = """\
runbook: 1
name: block
guards: { max_changes: 9 }
steps:
  - id: hosts
    for_each: "['a', 'b', 'c']"
    parallel: 3
    continue_on_failure: true
    steps:
      - id: first
        uses: command.run
        with: { argv: [sh, -c, "test ${{ item }} != b || exit 1; echo ${{ item }}"] }
      - id: second
        if: outcome(first) == "success"
        uses: log.message
        with: { text: "${{ first.stdout }} of ${{ loop.index }}" }
    finally:
      - uses: log.message
        with: { text: "${{ run.outcome }}: ${{ run.error }}" }
  - id: told
    uses: log.message
    with: { text: "${{ [default(r.first.stdout, '-') for r in hosts.results] }} ${{ outcome(hosts) }}" }
"""


def test_a_block_is_done_for_each_item_beside_the_others(tmp_path: Path) -> None:
    """Its steps are in the record at places of their own, and what one round knows no other does."""
    run = Run(FakeCluster(FakeClock()), tmp_path, text=BLOCK.encode())
    assert isinstance(run.execute(), RunCompleted)
    assert told(run) == '["a", "-", "c"] failed'
    said = {r["step"]: r["message"] for r in run.records if r["kind"] == "step.completed"}
    assert (said["hosts.1.second"], said["hosts.3.second"]) == ("a of 1", "c of 3")
    assert said["message"] == "failed: 1 of 3 items failed: b: sh ended with 1"


def test_every_prefix_of_the_record_of_a_block_can_be_gone_on_with(tmp_path: Path) -> None:
    """Wherever the process died: no step is done twice, and the end is the same."""
    whole = Run(FakeCluster(FakeClock()), tmp_path, text=BLOCK.encode())
    whole.execute()
    for length in range(1, len(whole.records)):
        run = Run(FakeCluster(FakeClock()), tmp_path, text=BLOCK.encode(), answer="again")
        run.records = [dict(record) for record in whole.records[:length]]
        assert isinstance(resumed(run), RunCompleted), length
        assert told(run) == '["a", "-", "c"] failed', length
        done = [record["step"] for record in run.records if record["kind"] == "step.completed"]
        assert sorted(done) == sorted(set(done)), length


UNDO = 'undo: { show: "rm ${{ item }}" }'


@pytest.mark.parametrize("parallel", [1, 2])
def test_how_an_item_is_taken_back_is_told_whatever_becomes_of_the_rest(tmp_path: Path, parallel: int) -> None:
    """The third fails and ends the run; it is gone on with by another process, and fails at the fourth."""
    until = "test ${{ item }} -lt 3 || { sleep 0.2; test -e FOLDER/${{ item }}; }"
    run = items(tmp_path, until, parallel=parallel, more=UNDO)
    assert isinstance(run.execute(), RunFailed)
    assert sorted(run.progress().undo["each"].splitlines()) == ["rm 1", "rm 2"]
    (tmp_path / "3").touch()
    assert isinstance(resumed(run), RunFailed)
    assert sorted(run.progress().undo["each"].splitlines()) == ["rm 1", "rm 2", "rm 3"]
    (tmp_path / "4").touch()
    assert isinstance(resumed(run), RunCompleted)
    assert run.progress().undo["each"].splitlines() == ["rm 1", "rm 2", "rm 3", "rm 4"]
