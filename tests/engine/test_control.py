"""Control flow as transcripts: each playbook of ``cases/`` is run on a cluster of five with one dead server.

The ``.told`` beside it is its record, a line an event; ``pytest --rewrite`` writes it anew, and the diff is the review.
"""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Any

import pytest

from runbook.errors import ClusterError, ErrorKind
from runbook.events import RunCompleted, RunResumed
from tests.engine.fake import FakeClock, FakeCluster, Run

CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))


def run(text: bytes, folder: Path, path: Path) -> Run:
    return Run(FakeCluster(FakeClock(), dead={5}), folder, text=text, path=str(path))


def line(record: dict[str, Any]) -> str:
    told = [record["kind"], record.get("step", ""), record.get("outcome", ""), record.get("message", "")]
    told += [f"undo: {record['undo']}"] if record.get("undo") else []
    told += [f"{record['seconds']:g} s, {record['reason']}"] if record["kind"] == "step.waiting" else []
    return f"{record['at'][14:19]}  " + "  ".join(part for part in told if part)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_the_record_of(case: Path, tmp_path: Path, rewrite: bool) -> None:
    """Order, places, outcomes, words and times, as the journal has them."""
    played = run(case.read_bytes(), tmp_path, case)
    played.agreed = None
    played.execute()
    told = "".join(f"{line(record)}\n" for record in played.records)
    expected = case.with_suffix(".told")
    if rewrite:
        expected.write_text(told, encoding="utf-8")
    assert told == expected.read_text(encoding="utf-8")


RESUMABLE = ["blocks-and-rounds", "a-failure-that-is-gone-on-from", "until-it-holds"]


@pytest.mark.parametrize("name", RESUMABLE)
def test_every_prefix_of_the_record_can_be_gone_on_with(name: str, tmp_path: Path) -> None:
    """Finished steps, rounds and blocks are not done again: each place is completed once in the whole record."""
    case = next(case for case in CASES if case.stem == name)
    whole = run(case.read_bytes(), tmp_path, case)
    whole.execute()
    for length in range(1, len(whole.records)):
        again = run(case.read_bytes(), tmp_path, case)
        again.records = [dict(record) for record in whole.records[:length]]
        past = again.progress()
        again.emit(RunResumed("ann", "nomad:fake", False))
        assert isinstance(again.execute(past), RunCompleted), length
        completed = [record["step"] for record in again.records if record["kind"] == "step.completed"]
        assert sorted(completed) == sorted(set(completed)), length
        outputs = {r["step"]: r["output"] for r in again.records if r["kind"] == "step.completed"}
        assert outputs == {r["step"]: r["output"] for r in whole.records if r["kind"] == "step.completed"}, length


OUTER = b"""
runbook: 1
name: outer
guards: { min_voters: 4 }
steps:
  - id: check
    uses: playbook.run
    with: { playbook: inner.yaml, params: { wanted: 5s, who: "${{ run.name }}" } }
  - id: told
    uses: log.message
    with: { text: "inner ${{ check.outcome }}" }
"""
INNER = b"""
runbook: 1
name: inner
params:
  wanted: { type: duration }
  who: { type: string }
steps:
  - id: before
    uses: log.message
    with: { text: "for ${{ params.who }}: ${{ params.wanted }}" }
finally:
  - id: last
    uses: log.message
    with: { text: "inner ${{ run.outcome }}" }
"""


def test_a_playbook_within_a_playbook_is_in_the_same_record(tmp_path: Path) -> None:
    """Its steps stand behind the name of the step that runs it, and their ids do not meet the outer ones."""
    (tmp_path / "inner.yaml").write_bytes(INNER)
    played = run(OUTER, tmp_path, tmp_path / "outer.yaml")
    assert isinstance(played.execute(), RunCompleted)
    told = [f"{r['step']}: {r['message']}" for r in played.records if r["kind"] == "step.completed"]
    assert told == [
        "check/before: for outer: 5s",
        "check/last: inner success",
        "check: inner ended well",
        "told: inner success",
    ]


@pytest.mark.parametrize(
    ("inner", "words"),
    [
        (
            INNER.replace(
                b'log.message\n    with: { text: "inner ${{ run.outcome }}" }',
                b"playbook.run\n    effect: read\n    with: { playbook: outer.yaml }",
            ),
            "would run itself",
        ),
        (b"nonsense", "a playbook is a mapping"),
        (INNER.replace(b"type: duration", b"type: int"), "wanted"),
    ],
    ids=["itself", "broken", "other params"],
)
def test_a_playbook_that_cannot_be_run_is_a_failed_step(tmp_path: Path, inner: bytes, words: str) -> None:
    """Said at the step that runs it; nothing of it has begun."""
    (tmp_path / "inner.yaml").write_bytes(inner)
    (tmp_path / "outer.yaml").write_bytes(OUTER)
    played = run(OUTER, tmp_path, tmp_path / "outer.yaml")
    ending = played.execute()
    assert words in getattr(ending, "message", ""), ending


@pytest.mark.parametrize(
    ("words", "places"),
    [
        (b"for_each: '[1, 2]'", ["check.1/before", "check.1/last", "check.2/before", "check.2/last"]),
        (
            b"until: result.outcome == 'x'\n    every: 1s\n    within: 2s",
            ["check/before", "check/last", "check.2/before", "check.2/last", "check.3/before", "check.3/last"],
        ),
    ],
    ids=["for_each", "until"],
)
def test_a_playbook_that_is_run_again_in_a_step_leaves_a_record_that_can_be_read(
    tmp_path: Path, words: bytes, places: list[str]
) -> None:
    """Each time its steps have places of their own; a run that is gone on with finds them."""
    (tmp_path / "inner.yaml").write_bytes(INNER)
    text = OUTER.replace(b"uses: playbook.run", words + b"\n    uses: playbook.run")
    text = text.replace(b"inner ${{ check.outcome }}", b"told")
    whole = run(text, tmp_path, tmp_path / "outer.yaml")
    whole.execute()
    told = [r["step"] for r in whole.records if r["kind"] == "step.completed" and "/" in r["step"]]
    assert told == places
    for length in range(1, len(whole.records)):
        again = run(text, tmp_path, tmp_path / "outer.yaml")
        again.records = [dict(record) for record in whole.records[:length]]
        past = again.progress()
        again.emit(RunResumed("ann", "nomad:fake", False))
        again.execute(past)
        assert again.progress().state in ("completed", "failed"), length


class HungCluster(FakeCluster):
    """Answers no call before its time is over; how long each one was given is kept."""

    def save_state(self, path: Path, *, within: float = inf) -> str:
        self.given = within
        self.clock.sleep(within)
        raise ClusterError(ErrorKind.TIMEOUT, "no whole answer")


def test_the_timeout_of_a_step_bounds_the_calls_in_it(tmp_path: Path) -> None:
    """I10: a state snapshot may take two minutes, unless the playbook gives its step less."""
    text = b"runbook: 1\nname: short\nsteps:\n  - id: keep\n    uses: raft.snapshot\n    timeout: 5s\n"
    cluster = HungCluster(FakeClock(), dead={5})
    Run(cluster, tmp_path, text=text).execute()
    assert 0 < cluster.given <= 5
    assert cluster.clock.monotonic() <= 5.1
