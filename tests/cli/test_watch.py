"""``runbook diagnose --watch``: a diagnosis every few seconds while people restart servers, and who comes and goes."""

from __future__ import annotations

import os

import pytest

from runbook.cli import diagnose
from runbook.cli.diagnose import watch_diagnosis
from runbook.cluster.choice import BY_ENVIRONMENT
from runbook.raft.model import Reach
from tests.diagnosis.test_cases import view_of
from tests.diagnosis.test_execute_agrees import Still
from tests.engine.fake import FakeClock


def test_it_looks_again_and_names_who_comes_and_goes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each look shows the same dead server; between them its port opens."""
    clock = FakeClock()
    cluster = Still(view_of("a_follower_died"), clock)
    monkeypatch.setattr(cluster, "probe", lambda addresses: dict.fromkeys(addresses, Reach.ACCEPTED))
    monkeypatch.setattr(diagnose, "chosen_cluster", lambda *_words, **_more: cluster)
    monkeypatch.setattr(diagnose, "WATCH_FOR", 6.0)
    assert watch_diagnosis("text", os.environ, BY_ENVIRONMENT, clock) == 0
    first, *others = capsys.readouterr().out.split("as this host sees it")[1:]
    assert len(others) == 2
    assert "DeadFollower" in first
    assert all("CrashLooping" in told and "DeadFollower" not in told for told in others)
