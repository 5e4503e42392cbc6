"""Waits and their bounds: from params, in a dry run, and what is said when they are over."""

from __future__ import annotations

from pathlib import Path

from runbook.events import RunCompleted, RunFailed
from tests.engine.fake import FakeClock, FakeCluster, Run

WAITS = b"""
runbook: 1
name: waits
params:
  patience: { type: duration, default: 20s }
  pause: { type: duration, default: 7s }
steps:
  - id: many
    uses: wait.until
    until: result.voters == 99 and result.leader != null
    every: ${{ params.pause }}
    within: ${{ params.patience }}
    assert: result.voters == 99
  - uses: log.message
    with: { text: "${{ many.voters }} voters" }
"""
RETRIES = b"""
runbook: 1
name: retries
params:
  tries: { type: int, default: 3 }
  longest: { type: duration, default: 9s }
steps:
  - uses: http.request
    effect: read
    with: { url: "http://127.0.0.1:9/" }
    retry: { times: "${{ params.tries }}", wait: "2s..${{ params.longest }}", jitter: false }
"""


def run(text: bytes, folder: Path, **params: str) -> Run:
    return Run(FakeCluster(FakeClock()), folder, text=text, params=params)


def waits(played: Run) -> list[float]:
    return [record["seconds"] for record in played.records if record["kind"] == "step.waiting"]


def test_a_wait_has_its_bounds_from_params(tmp_path: Path) -> None:
    """And its failure says what was seen last."""
    played = run(WAITS, tmp_path, patience="10s", pause="4s")
    ending = played.execute()
    assert isinstance(ending, RunFailed)
    assert waits(played) == [4.0, 4.0, 2.0]
    assert ending.message == (
        "still false after 10s: result.voters == 99 and result.leader != null; result.voters is 5; "
        'result.leader is "s1.global"; last result: 5 of 5 voters alive, leader s1.global'
    )


def test_a_retry_has_its_bounds_from_params(tmp_path: Path) -> None:
    """Times and both waits."""
    played = run(RETRIES, tmp_path, tries="4", longest="5s")
    assert isinstance(played.execute(), RunFailed)
    assert waits(played) == [2.0, 4.0, 5.0]


def test_a_bound_that_does_not_fit_fails_the_step_and_says_where(tmp_path: Path) -> None:
    """A param has its own type, and the bound has its own limits."""
    ending = run(RETRIES, tmp_path, tries="0").execute()
    assert isinstance(ending, RunFailed)
    assert ending.message == 'fake.yaml:11:21: "times" of retry must be at least 1, not 0'
    ending = run(RETRIES, tmp_path, longest="1s").execute()
    assert isinstance(ending, RunFailed)
    assert '"wait" of retry must go from the shorter to the longer' in ending.message


def test_a_dry_run_looks_once_and_says_what_would_be_waited_for(tmp_path: Path) -> None:
    """It ends well: only the world can make it so. What would be there then is not known."""
    played = run(WAITS, tmp_path)
    assert isinstance(played.execute(dry_run=True), RunCompleted)
    told = [record["message"] for record in played.records if record["kind"] == "step.completed"]
    assert told[0].startswith("would wait until result.voters == 99 and result.leader != null, for 20s at most; ")
    assert told[1] == "(known when it runs)"
    assert waits(played) == []
