"""Going on with a run that stopped: what was refused is judged anew, and what nobody saw the end of is asked."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runbook.errors import ErrorKind, StepError
from runbook.events import RunCompleted, RunFailed, RunRefused
from runbook.steps import extensions
from tests.engine.commands import INNER, MINE, RETRY, TOUCH, commands, done, extension, flaky
from tests.engine.fake import FakeClock, FakeCluster, Run
from tests.engine.test_resume import resumed
from tests.steps.server import Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


REFUSED = b"""
runbook: 1
name: lenient
guards: { min_voters: 4 }
steps:
  - id: dead
    uses: raft.find_dead
  - id: quorum
    uses: raft.check_quorum
    with: { remove: "${{ dead.peers }}" }
    continue_on_failure: true
  - id: told
    uses: log.message
    with: { text: "quorum: ${{ outcome(quorum) }}" }
"""
IN_A_BLOCK = b"""
runbook: 1
name: lenient
guards: { min_voters: 4 }
steps:
  - id: dead
    uses: raft.find_dead
  - id: around
    continue_on_failure: true
    steps:
      - id: quorum
        uses: raft.check_quorum
        with: { remove: "${{ dead.peers }}" }
  - id: told
    uses: log.message
    with: { text: "around: ${{ outcome(around) }}" }
"""


@pytest.mark.parametrize("text", [REFUSED, IN_A_BLOCK], ids=["a step", "a block"])
def test_a_refusal_is_never_gone_on_from(tmp_path: Path, text: bytes) -> None:
    """Refused is not failed: not by the run that met it, nor by one that goes on, which judges anew."""
    first = Run(FakeCluster(FakeClock(), dead={4, 5}), tmp_path, text=text)
    assert isinstance(first.execute(), RunRefused)
    assert first.progress().steps["quorum"] == "refused"
    ending = resumed(first)
    assert isinstance(ending, RunRefused), ending
    assert [record["step"] for record in first.records if record["kind"] == "step.completed"] == ["dead"]


# -- a change whose end nobody saw


def cut(run: Run, step: str, item: int | None = None) -> None:
    """As if the process had been killed inside of this change, and what it did is undone for the test to see."""
    place = max(
        n
        for n, record in enumerate(run.records)
        if (record["kind"], record.get("step"), record.get("item")) == ("change.begun", step, item)
    )
    del run.records[place + 1 :]
    (run.folder / "mark").unlink(missing_ok=True)


def killed(folder: Path, step: str, *ids: str, item: int | None = None, more: str = "") -> Run:
    run = commands(folder, "max_changes: 9", *ids, more=more)
    run.execute()
    cut(run, step, item)
    return run


def asked(run: Run) -> list[str]:
    return [question for question in run.questions if "Was it done?" in question]


EACH = TOUCH.format(id="each", file="FILE").replace("    uses", "    for_each: '[1, 2, 3]'\n    uses")
BLOCK = "  - id: block\n    for_each: '[1, 2]'\n    steps:\n" + "".join(
    f"    {line}\n" for line in TOUCH.format(id="inner", file="FILE").splitlines()
)
NESTED = "  - id: nested\n    uses: playbook.run\n    with: { playbook: inner.yaml }\n"
FAILS = "  - id: fails\n    uses: log.message\n    assert: 1 == 2\n    with: { text: x }\n"
HANDLER = f"{FAILS}on_failure:\n{TOUCH.format(id='handler', file='FILE')}"
PLACES = [
    (TOUCH.format(id="first", file="FILE"), "first", None, "first"),
    (EACH, "each", 1, "each.2"),
    (BLOCK, "block.2.inner", None, "block.2.inner"),
    (NESTED, "nested/first", None, "nested/first"),
    (HANDLER, "handler", None, "handler"),
]
PLACED = pytest.mark.parametrize(("more", "step", "item", "name"), PLACES, ids=[row[3] for row in PLACES])


def killed_at(folder: Path, more: str, step: str, item: int | None) -> Run:
    inner = INNER.format(guards="") + TOUCH.format(id="first", file=folder / "mark")
    (folder / "inner.yaml").write_text(inner.replace("steps:", "guards: { max_changes: 9 }\nsteps:"), encoding="utf-8")
    return killed(folder, step, item=item, more=more.replace("FILE", str(folder / "mark")))


@PLACED
def test_it_is_asked_at_every_resume_and_without_an_answer_nothing_is_run(
    tmp_path: Path, mark: Path, more: str, step: str, item: int | None, name: str
) -> None:
    """A refusal answers nothing, so the third time is as the first; the words say what to type."""
    run = killed_at(tmp_path, more, step, item)
    for _ in range(3):
        ending = resumed(run)
        assert isinstance(ending, RunRefused), ending
        assert (ending.code, ending.step, done(mark)) == ("CannotTell", name, [])
        assert f"runbook resume run-1 --answer {name}=WORD, where WORD is done (" in ending.message
    assert len(asked(run)) == 3


@PLACED
@pytest.mark.parametrize("beforehand", [False, True], ids=["at the terminal", "--answer"])
@pytest.mark.parametrize("word", ["done", "again"])
def test_the_word_is_obeyed_and_kept(
    tmp_path: Path, mark: Path, more: str, step: str, item: int | None, name: str, beforehand: bool, word: str
) -> None:
    """Once: a run that is killed again elsewhere asks no more about it."""
    run = killed_at(tmp_path, more, step, item)
    run.answer, run.answers = (None, {name: word}) if beforehand else (word, {})
    ending = resumed(run)
    assert isinstance(ending, RunFailed if step == "handler" else RunCompleted), ending
    rest = {"each": 1}.get(step, 0)
    assert len(done(mark)) == rest + (word == "again")
    answered = next(record for record in run.records if record["kind"] == "change.answered")
    assert (answered["answer"], answered["how"]) == (word, "--answer" if beforehand else "at the terminal")
    run.records = [record for record in run.records if record["kind"] not in ("run.completed", "run.failed")]
    run.answer, run.answers, before = None, {}, len(asked(run))
    resumed(run)
    assert len(asked(run)) == before
    if step != "handler":  # of which each process has its own
        assert len(done(mark)) == rest + (word == "again")


def test_stop_settles_nothing(tmp_path: Path, mark: Path) -> None:
    """The person wants to find out first: nothing is run, and the next resume asks again."""
    run = killed(tmp_path, "first", "first")
    run.answer = "stop"
    ending = resumed(run)
    assert (getattr(ending, "code", ""), done(mark)) == ("Stopped", [])
    run.answer = "again"
    assert isinstance(resumed(run), RunCompleted)
    assert (done(mark), len(asked(run))) == (["first"], 2)


SLOW = "  - id: slow\n    uses: command.run\n    with: { argv: [sleep, 9], timeout: 100ms }\n"


def test_a_word_that_was_given_beside_an_open_question_is_kept(tmp_path: Path, mark: Path) -> None:
    """A step was killed at its time-out, and its handler with the process: each is answered once."""
    run = killed(tmp_path, "handler", more=SLOW + HANDLER.removeprefix(FAILS).replace("FILE", str(mark)))
    run.answers = {"handler": "done"}
    assert getattr(ending := resumed(run), "code", "") == "CannotTell"
    assert "--answer slow=WORD" in getattr(ending, "message", "")
    assert "--answer handler" not in getattr(ending, "message", "")
    run.answers = {"slow": "done"}
    assert isinstance(resumed(run), RunCompleted)
    assert done(mark) == []


def test_who_is_killed_again_is_asked_again(tmp_path: Path, mark: Path) -> None:
    """The word *again* was for one time."""
    run = killed(tmp_path, "first", "first")
    run.answer = "again"
    resumed(run)
    cut(run, "first")
    run.answer = None
    assert (getattr(resumed(run), "code", ""), done(mark)) == ("CannotTell", [])


def test_killed_between_two_attempts_nothing_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of the first one was seen; inside of the second it is not."""
    begun = flaky(monkeypatch, 1)
    run = commands(tmp_path, "max_changes: 9", more=MINE + RETRY)
    run.execute()
    kinds = [record["kind"] for record in run.records]
    waiting = kinds.index("step.waiting")
    between = Run(run.cluster, tmp_path, text=run.text, records=run.records[: waiting + 1])
    assert isinstance(resumed(between), RunCompleted)
    inside = Run(run.cluster, tmp_path, text=run.text, records=run.records[: kinds.index("change.begun", waiting) + 1])
    assert getattr(resumed(inside), "code", "") == "CannotTell"
    assert len(begun) == 3


# -- a change that failed


FAILURES = [
    ("command.run", '{ argv: ["false"] }', False),
    ("command.run", "{ argv: [no-such-program] }", False),
    ("command.run", "{ argv: [sleep, 9], timeout: 100ms }", True),
    ("command.run", "{ shell: kill -9 $$ }", True),
    ("ssh.run", "{ host: h, argv: [uptime] }", True),
    ("http.request", "{ url: 'http://127.0.0.1:9/', method: POST }", False),
    ("http.request", "{ url: '%s/500', method: POST }", False),
    ("http.request", "{ url: '%s/504', method: POST }", True),
    ("http.request", "{ url: '%s/late', method: POST, timeout: 200ms }", True),
    ("my.step", "{}", True),
]


@pytest.mark.parametrize(("uses", "arguments", "asks"), FAILURES, ids=[" ".join(row[:2]) for row in FAILURES])
def test_a_failure_whose_end_was_seen_is_tried_again_and_any_other_is_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server, uses: str, arguments: str, asks: bool
) -> None:
    """A code, a refused connection and an answer are ends; a time-out, a signal, a broken line are none."""

    def late() -> tuple[int, dict[str, str], bytes]:
        time.sleep(1)
        return 200, {}, b""

    server.table |= {"/500": (500, {}, b""), "/504": (504, {}, b""), "/late": late}
    (tmp_path / "ssh").write_text("#!/bin/sh\necho lost >&2\nexit 255\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(extensions, "one_of", lambda *_: extension(lambda *_: 1 / 0))
    arguments = arguments.replace("%s", server.url)
    run = commands(tmp_path, "max_changes: 9", more=f"  - id: it\n    uses: {uses}\n    with: {arguments}\n")
    assert isinstance(run.execute(), RunFailed)
    ending = resumed(run)
    assert (len(asked(run)), getattr(ending, "code", "")) == ((1, "CannotTell") if asks else (0, ""))


@pytest.mark.parametrize("second", [ErrorKind.UNAVAILABLE, ErrorKind.TIMEOUT])
def test_a_time_out_that_the_playbook_tried_again_and_did_not_settle_is_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: ErrorKind
) -> None:
    """The last attempt saw its end, and yet the first may have done it."""
    troubles = iter([ErrorKind.TIMEOUT, second, ErrorKind.UNEXPECTED])

    def body(*_: Any) -> Any:
        raise StepError(next(troubles), "not now")

    monkeypatch.setattr(extensions, "one_of", lambda *_: extension(body))
    run = commands(tmp_path, "max_changes: 9", more=MINE + RETRY)
    assert isinstance(run.execute(), RunFailed)
    assert getattr(resumed(run), "code", "") == "CannotTell"


def test_a_failure_that_was_gone_on_from_is_not_asked_about(tmp_path: Path, mark: Path) -> None:
    """Nothing of it is done again, so nobody need know; in a block as well."""
    lenient = "    continue_on_failure: true\n"
    block = "  - id: block\n    continue_on_failure: true\n    steps:\n"
    block += "".join(f"    {line}\n" for line in SLOW.replace("slow", "within").splitlines())
    last = TOUCH.format(id="last", file=mark)
    run = killed(tmp_path, "last", more=SLOW + lenient + block + last)
    run.answers = {"last": "again"}
    assert isinstance(resumed(run), RunCompleted)
    assert (asked(run), done(mark)) == ([], ["last"])


def test_a_handler_that_was_gone_on_from_is_asked_about_as_each_process_runs_it_anew(tmp_path: Path) -> None:
    """Nothing of a step that was gone on from is done again, but of a handler everything is."""
    handler = f"on_failure:\n{SLOW}    continue_on_failure: true\n"
    run = commands(tmp_path, "max_changes: 9", more=FAILS + handler)
    assert isinstance(run.execute(), RunFailed)
    assert getattr(resumed(run), "code", "") == "CannotTell"
    run.answers = {"slow": "done"}
    assert isinstance(resumed(run), RunFailed)
    assert len(run.kinds("change.begun")) == 1
