"""When a removal is believed done, and whose word counts where no look can tell."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from runbook.errors import ClusterError, ErrorKind
from runbook.events import RunCompleted, RunResumed
from runbook.raft.model import Peer
from tests.engine.fake import FakeClock, FakeCluster, Run


@pytest.mark.parametrize(("product", "lease", "most"), [("nomad", 0.5, 1.5), ("consul", 2.5, 4.0), ("new", 2.5, 4.0)])
def test_a_removal_is_believed_after_two_looks_that_are_a_lease_apart(
    tmp_path: Path, product: str, lease: float, most: float
) -> None:
    """I6: within its lease a leader that was cut off still answers, and shows what it alone has."""
    run = Run(FakeCluster(FakeClock(), dead={5}, name=f"{product}:fake"), tmp_path)
    assert isinstance(run.execute(), RunCompleted)
    kinds = [record["kind"] for record in run.records]
    first, last = kinds.index("removal.requested"), kinds.index("removal.confirmed")
    looks = [
        datetime.fromisoformat(record["at"]) for record in run.records[first:last] if record["kind"] == "cluster.looked"
    ]
    assert lease < (looks[-1] - looks[-2]).total_seconds() < most


def split(run: Run) -> None:
    """The answer is lost, and one follower shows the removal done while the others do not: no look can tell."""

    def remove_peer(target: Peer) -> None:
        run.cluster.changes.append(target.id)
        run.cluster.held[2].discard(int(target.id.removeprefix("id-")))
        raise ClusterError(ErrorKind.AMBIGUOUS, "the connection broke")

    run.cluster.act = remove_peer  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("answers", "code", "told"),
    [
        ({}, "CannotTell", []),
        ({"remove": "stop"}, "CannotTell", []),
        ({"remove": "done"}, "", ["removal.confirmed"]),
    ],
)
def test_a_word_given_beforehand_settles_what_no_look_can_tell(
    tmp_path: Path, answers: dict[str, str], code: str, told: list[str]
) -> None:
    """Without a terminal --answer is the only way, and the refusal says so."""
    run = Run(FakeCluster(FakeClock(), dead={5}), tmp_path)
    split(run)
    run.execute()
    past: Any = run.progress()
    run.emit(RunResumed("ann", run.cluster.name, torn=False))
    run.answers, before = answers, len(run.records)
    ending = run.execute(past)
    assert getattr(ending, "code", "") == code
    settled = [record for record in run.records[before:] if record["kind"] == "removal.confirmed"]
    assert [record["kind"] for record in settled] == told
    if told:
        assert settled[0]["message"] == "according to --answer"
    else:
        assert "--answer remove=done or =again" in str(getattr(ending, "message", ""))
