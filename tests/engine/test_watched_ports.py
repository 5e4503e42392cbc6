"""Between two looks the port of who looks dead is tried every second: who crashes and is started comes and goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.events import RunCompleted
from tests.engine.fake import FakeClock, FakeCluster, Run


def run(tmp_path: Path, *opens: tuple[float, float]) -> Run:
    cluster = FakeCluster(FakeClock(), dead={5}, opens=dict.fromkeys([5], opens[0]) if opens else {})
    return Run(cluster, tmp_path)


def opened(of: Run) -> list[str]:
    return [record["name"] for record in of.records if record["kind"] == "server.port_opened"]


def test_a_port_that_stays_closed_hinders_nobody(tmp_path: Path) -> None:
    dead = run(tmp_path)
    assert isinstance(dead.execute(), RunCompleted)
    assert (dead.cluster.changes, opened(dead)) == (["id-5"], [])


@pytest.mark.parametrize("since", [2.0, 6.0, 17.0, 24.0])
def test_a_port_that_opens_for_two_seconds_between_two_looks_begins_the_verdict_anew(
    tmp_path: Path, since: float
) -> None:
    """Every look shows it dead, and it is not removed within the time that death needs after it was seen."""
    crashing = run(tmp_path, (since, since + 2.0))
    crashing.execute()
    assert opened(crashing) == ["s5.global"]
    asked = [record["at"] for record in crashing.records if record["kind"] == "removal.requested"]
    assert not asked or float(asked[0][17:23]) + 60 * int(asked[0][14:16]) >= since + 30.0


def test_a_port_that_opens_again_and_again_is_never_removed(tmp_path: Path) -> None:
    """As after a restart by its service manager, which crashes at once."""
    loop = run(tmp_path, (2.0, 10_000.0))
    loop.execute()
    assert loop.cluster.changes == []
    assert len(opened(loop)) > 2
