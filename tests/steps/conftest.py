"""What the tests of the steps share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.steps.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Its run's folder is empty and its own."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    return World(folder)
