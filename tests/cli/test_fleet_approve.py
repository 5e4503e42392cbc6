"""`fleet execute` where the inventory says of one cluster that others must sign what is done to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runbook.cli.fleet_execute import run_fleet
from runbook.fleet.record import find_fleet, read_fleet
from tests.cli.test_fleet_execute import ORDER, fleet
from tests.fleet.fakes import FakeFleet

__all__ = ["fleet"]  # a fixture


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_cluster_under_approve_is_refused_and_named(fleet: FakeFleet, tmp_path: Path, dry_run: bool) -> None:
    """--yes is no signature: such a cluster needs a plan of its own, and the fleet stops there."""
    text = fleet.inventory.read_text(encoding="utf-8")
    rule = f"approve: {{ by: {tmp_path / 'allowed_signers'}, count: 1 }}, addresses: ['http://c']"
    fleet.inventory.write_text(text.replace("addresses: ['http://c']", rule), encoding="utf-8")
    (tmp_path / "allowed_signers").write_text("", encoding="utf-8")
    (tmp_path / "allowed_signers").chmod(0o644)
    assert run_fleet(replace(ORDER, dry_run=dry_run), fleet.environment, fleet.clusters["a"].clock) == 3
    told = read_fleet(find_fleet(fleet.state, "last"))
    assert [row.outcome for row in told.rows] == ["completed", "completed", "refused", "not begun", "not begun"]
    assert "runbook plan" in told.rows[2].sentence
    assert fleet.clusters["c"].changes == []
