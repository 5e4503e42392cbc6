"""``never_worse``, where a look shows fewer living servers than there were: looked at again before it is refused."""

from __future__ import annotations

from pathlib import Path

from runbook.events import RunCompleted, RunRefused
from tests.engine.fake import FakeCluster
from tests.engine.test_resume import run


def hang(cluster: FakeCluster) -> None:
    """No answer to us; and none to anybody, but for gossip."""
    cluster.hung.add(2)


def test_one_look_that_misses_a_living_server_is_no_decline(tmp_path: Path) -> None:
    """Old releases show a living server without an answer now and then, behind one door."""
    missed = run(tmp_path, dead={5}, at_look={6: hang, 8: lambda cluster: cluster.hung.discard(2)})
    assert isinstance(missed.execute(), RunCompleted)
    assert missed.cluster.changes == ["id-5"]
    waits = [record["reason"] for record in missed.records if record["kind"] == "step.waiting"]
    assert sum("fewer voters are seen alive than when the run began" in reason for reason in waits) == 1


def test_a_server_that_does_not_come_back_is_a_decline(tmp_path: Path) -> None:
    """After half a minute of looking again."""
    hung = run(tmp_path, dead={5}, at_look={6: hang})
    ending = hung.execute()
    assert isinstance(ending, RunRefused)
    assert (ending.code, hung.cluster.changes) == ("NeverWorse", []), ending.message
    assert hung.cluster.looks > 6 + 20
