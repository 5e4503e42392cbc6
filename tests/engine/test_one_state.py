"""What a run remembers is what its events say: an end that was written is an end, wherever the process stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runbook.events import Event, RunCompleted, RunFailed, RunInterrupted, RunResumed
from tests.engine.fake import FakeClock, FakeCluster, Run

CLEANS_UP = b"""
runbook: 1
name: cleans-up
guards: { max_changes: 9 }
steps:
  - id: risky
    uses: assert
    with: { that: "${{ 1 == 2 }}", else: it does not hold }
    continue_on_failure: true
    on_failure:
      - id: undo
        uses: log.message
        with: { text: "undone after ${{ run.outcome }}" }
    finally:
      - id: clean
        uses: log.message
        with: { text: "cleaned after ${{ run.outcome }}" }
  - id: later
    uses: log.message
    with: { text: later }
"""
STOPS = CLEANS_UP.replace(b"    continue_on_failure: true\n", b"")
COMES_BACK = b"""
runbook: 1
name: comes-back
guards: { min_voters: 3 }
steps:
  - id: dead
    uses: raft.find_dead
  - id: quorum
    uses: raft.check_quorum
    with: { remove: "${{ dead.peers }}" }
  - id: remove
    for_each: quorum.removals
    uses: raft.remove_peer
    with: { peer: "${{ item.id }}" }
finally:
  - id: verify
    uses: raft.verify
    with: { watch_for: 20s }
"""


class Signalled(Run):
    """A signal comes as the event of this kind is written: it is whole, and then the signal has its effect."""

    at = ""
    meanwhile: Callable[[FakeCluster], Any] = staticmethod(lambda _cluster: None)

    def emit(self, event: Event) -> None:
        super().emit(event)
        if event.kind == self.at:
            self.at = ""
            self.meanwhile(self.cluster)
            raise KeyboardInterrupt


def messages(run: Run) -> list[str]:
    return [r["message"] for r in run.records if r["kind"] == "step.completed" and r["message"]]


@pytest.mark.parametrize("kept", [1, 2, 3, 4, 5])
def test_whoever_died_between_a_failure_and_its_handlers_does_what_is_left_of_them(tmp_path: Path, kept: int) -> None:
    """With ``continue_on_failure`` the step is not done again, and its clean-up was never done by ``resume``."""
    first = Run(FakeCluster(FakeClock()), tmp_path, text=CLEANS_UP)
    first.execute()
    whole = messages(first)
    assert whole == ["undone after failed", "cleaned after failed", "later"]
    failed = next(n for n, record in enumerate(first.records) if record["kind"] == "step.failed")
    again = Run(FakeCluster(FakeClock()), tmp_path, text=CLEANS_UP, records=first.records[: failed + kept])
    past = again.progress()
    again.emit(RunResumed("ann", "nomad:fake", False))
    assert isinstance(again.execute(past), RunCompleted)
    assert messages(again) == whole


@pytest.mark.parametrize("text", [CLEANS_UP, STOPS], ids=["goes on", "stops"])
def test_a_signal_as_a_failure_is_written_skips_no_handler_and_ends_at_that_step(tmp_path: Path, text: bytes) -> None:
    """The handlers were skipped, and the run ended "at step :"."""
    run = Signalled(FakeCluster(FakeClock()), tmp_path, text=text)
    run.at = "step.failed"
    ending = run.execute()
    assert messages(run) == ["undone after failed", "cleaned after failed"]
    assert isinstance(ending, RunInterrupted if text is CLEANS_UP else RunFailed)
    assert getattr(ending, "step", "") == ("later" if text is CLEANS_UP else "risky")


def test_a_signal_right_after_a_removal_leaves_no_handler_blind_for_its_return(tmp_path: Path) -> None:
    """``finally: raft.verify`` did not know of the removal that had just been confirmed, and watched for nobody."""
    run = Signalled(FakeCluster(FakeClock(), dead={5}), tmp_path, text=COMES_BACK)
    run.at = "removal.confirmed"
    run.meanwhile = lambda cluster: cluster.add(5)
    assert isinstance(run.execute(), RunInterrupted)
    (verify,) = [record for record in run.records if record["kind"] == "step.failed" and record["step"] == "verify"]
    assert "ZombiePeer: s5.global was removed and the leader has added it back" in verify["message"]


def test_outcomes_are_distinct(tmp_path: Path) -> None:
    """Succeeded, failed, refused, skipped and interrupted are told apart by the state alone."""
    text = STOPS.replace(
        b"steps:\n", b'steps:\n  - { id: never, if: "1 == 2", uses: log.message, with: { text: nothing } }\n', 1
    )
    failed = Run(FakeCluster(FakeClock()), tmp_path, text=text)
    failed.execute()
    refused = Run(FakeCluster(FakeClock(), dead={2}, servers=3), tmp_path, text=COMES_BACK)
    refused.execute()
    interrupted = Signalled(FakeCluster(FakeClock()), tmp_path, text=COMES_BACK)
    interrupted.at = "cluster.looked"
    interrupted.execute()
    ends = [{place: end.outcome for place, end in run.progress().ends.items()} for run in (failed, refused)]
    assert ends[0] == {"never": "skipped", "undo": "succeeded", "clean": "succeeded", "risky": "failed"}
    assert (ends[1]["dead"], ends[1]["quorum"]) == ("succeeded", "refused")
    assert interrupted.progress().steps["dead"] == "interrupted"
