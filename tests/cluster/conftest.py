"""Small time-outs, so that a server that hangs costs a test a moment and not seconds."""

from __future__ import annotations

import pytest

from runbook.cluster import hashicorp, http

PATIENCE = (
    1.0  # seconds; stands for every time-out: a moment for who hangs, and enough for who answers on a busy machine
)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> float:
    """What each of the adapter's time-outs is made: seconds."""
    for name in ("STALE_TIMEOUT", "READ_TIMEOUT", "CHANGE_TIMEOUT", "STATE_TIMEOUT"):
        monkeypatch.setattr(hashicorp, name, PATIENCE)
    monkeypatch.setattr(http, "CONNECT_TIMEOUT", PATIENCE)
    return PATIENCE
