"""The process of a worker: where Celery ends by itself it begins anew, but never again and again."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from runbook.fleet import worker_process
from runbook.fleet.broker import BrokerSettings
from runbook.fleet.worker import WorkerPlace
from runbook.fleet.worker_process import LIVED, WorkerOptions, work

URL = "redis://127.0.0.1:9/0"


@pytest.mark.parametrize(
    ("code", "lived", "begun_anew"), [(0, 60.0, False), (70, 60.0, True), (70, LIVED - 1, False), (70, LIVED + 1, True)]
)
def test_it_begins_anew_where_it_had_worked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, lived: float, begun_anew: bool
) -> None:
    begun: list[Any] = []
    clock = iter([0.0, lived])
    for name in ("allow_only_reading", "say_that_it_is_there"):
        monkeypatch.setattr(worker_process, name, lambda *_words: None)
    monkeypatch.setattr(worker_process, "_celery", lambda *_words: code)
    monkeypatch.setattr(worker_process, "now", lambda: next(clock))
    monkeypatch.setattr(os, "execv", lambda *words: begun.append(words))
    place = WorkerPlace("eu", "eu-1@host", None, "", "", {})
    assert work(BrokerSettings(URL, URL), place, WorkerOptions(1), tmp_path / "state") == code
    assert begun == ([(sys.executable, sys.orig_argv)] if begun_anew else [])
