"""Which tests on real servers are played: by `make test` one a product, in CI all but the long ones, at night all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from runbook.lab import agent_layout

HERE = Path(__file__).parent


@pytest.fixture
def short_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Consul's servers say at once that they have no leader, and not after 7 s, for tests of many such looks."""
    settings = agent_layout._consul

    def hasty(layout: agent_layout.AgentLayout, name: str) -> dict[str, Any]:
        return {**settings(layout, name), "performance": {"raft_multiplier": 1, "rpc_hold_timeout": "500ms"}}

    monkeypatch.setattr(agent_layout, "_consul", hasty)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The others are skipped, with the words that play them."""
    if os.environ.get("CONTRACT") == "all" or any("contract" in str(argument) for argument in config.args):
        return
    in_ci = os.environ.get("CI") == "true"
    for item in items:
        if HERE not in item.path.parents:
            continue
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="played by night, or by CONTRACT=all make test"))
        elif not in_ci and not item.get_closest_marker("smoke"):
            item.add_marker(pytest.mark.skip(reason="played in CI, or by CONTRACT=all make test"))
