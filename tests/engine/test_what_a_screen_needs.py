"""What the screen of a run shows is on record: who says what of whom, when it changes, and how far a wait is."""

from __future__ import annotations

from pathlib import Path

from runbook.report.live_view import LiveFold
from runbook.report.screen import Screen
from tests.engine.fake import FakeClock, FakeCluster, Run


def test_opinions_are_told_when_they_change_and_last_contacts_in_every_look(tmp_path: Path) -> None:
    """A journal of ten thousand looks does not repeat what nobody has changed their mind about."""
    cluster = FakeCluster(FakeClock(), dead={5})
    cluster.at_look = {3: lambda seen: seen.dead.discard(5)}
    run = Run(cluster, tmp_path)
    run.execute()
    looks = [record for record in run.records if record["kind"] == "cluster.looked"]
    first, second, *_ = looks
    others = ["s1.global", "s2.global", "s3.global", "s4.global"]
    assert {word: list(by) for word, by in first["opinions"]["s5.global"].items()} == {"failed": others}
    assert set(first["opinions"]) == {*others, "s5.global"}
    assert second["opinions"] == {}
    assert [word for look in looks[2:] for word in look["opinions"].get("s5.global", {})] == ["alive"]
    assert all(look["contacts"]["s1.global"] == 0.0 for look in looks)


def test_how_far_a_death_is_confirmed_is_told_with_every_wait(tmp_path: Path) -> None:
    """By the lines of a log too, and until it is proven nobody is called dead."""
    run = Run(FakeCluster(FakeClock(), dead={5}), tmp_path)
    run.execute()
    waits = [record for record in run.records if record["kind"] == "step.waiting" and record["step"] == "dead"]
    assert {record["reason"] for record in waits} == {"confirming s5.global is dead"}
    passed = [record["passed"] for record in waits]
    assert passed == sorted(passed)
    assert {record["whole"] for record in waits} == {30.0}
    lines = [line for record in run.records for line in Screen().format_event({"at": "2026-01-01T00:00:00Z", **record})]
    assert [line for line in lines if line.endswith(f"confirming s5.global is dead, {passed[-1]:.0f} of 30 s")]
    folding, seen = LiveFold(), []
    for record in run.records:
        folding.take(record)
        view = folding.view()
        seen += [(view.wait.step, view.wait.whole) for _ in "1" if view and view.wait]
    assert ("dead", 30.0) in seen
    assert ("verify", 70.0) in seen
