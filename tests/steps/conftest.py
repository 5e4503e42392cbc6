"""What the tests of the steps share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.steps.server import Server, serving
from tests.steps.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Its run's folder is empty and its own."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    return World(folder)


@pytest.fixture
def server() -> Iterator[Server]:
    """It answers 200 with nothing, where its table says nothing else."""
    with serving() as server:
        yield server
