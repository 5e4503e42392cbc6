"""The process dies everywhere, once, while the leadership moves: on both sides of every event, look and request."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pytest

from runbook.events import RunCompleted, RunResumed
from runbook.raft.model import Peer
from tests.crash.test_everywhere import Death, Fate, MortalCluster, MortalRun
from tests.engine.fake import FakeClock
from tests.engine.test_transfer import MovingCluster

TEXT = """\
runbook: 1
name: transfer
guards: { max_changes: 1 }
steps:
  - id: move
    uses: raft.transfer_leadership
    with: { to: "TO", within: 10s }
"""


class MortalMovingCluster(MortalCluster, MovingCluster):
    def transfer_leadership(self, to: Peer | None, *, within: float = inf) -> None:
        self.fate.pass_by("before the request")
        super().transfer_leadership(to, within=within)
        self.fate.pass_by("after the request")


def played(folder: Path, to: str, place: int) -> tuple[MortalMovingCluster, MortalRun]:
    """To its end: where it dies at that place, it is resumed, and dies no more."""
    cluster = MortalMovingCluster(FakeClock(), servers=3)
    run = MortalRun(cluster, folder, text=TEXT.replace("TO", to).encode())
    cluster.fate = Fate(place)
    try:
        assert isinstance(run.execute(), RunCompleted)
    except Death:
        state = run.progress()
        if state.state == "running":
            run.emit(RunResumed("ann", "nomad:fake", False))
            assert isinstance(run.execute(state), RunCompleted), cluster.fate.named
    return cluster, run


@pytest.mark.parametrize("to", ["s2", ""])
def test_a_resumed_run_ends_with_one_new_leader_and_one_request(to: str, tmp_path: Path) -> None:
    """I7, I8: nobody is asked, as a look tells; and the leadership does not move on to a third server."""
    places = played(tmp_path, to, 0)[0].fate.passed
    assert places > 15
    for place in range(2, places + 1):  # before the first event there is nothing to resume
        cluster, run = played(tmp_path, to, place)
        end = cluster.sent, cluster.leader, run.state.open_changes, run.answers
        assert end == (["id-2"], 2, (), {}), cluster.fate.named
        assert run.state.outputs["move"]["leader"] == "s2.global", cluster.fate.named
